"""A Ray cluster of two nodes on this machine, each with one CPU, in a process of its own.

`python -m tests.jobs.ray_nodes` prints its address, then does what each line of its input says: `wait` waits for
a worker on the second node, `lose` kills that node, `add` makes another. All files of it lie in the temporary folder.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT, clean_environment


class RayNodes:
    """The cluster, as a test has it.

    Attributes:
        address: of it.
        environment: what a command needs to join it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp")  # short: paths of sockets are
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        self._said = Path(self._folder.name) / "stderr"
        with self._said.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs.ray_nodes"],
                cwd=ROOT,
                env=clean_environment(**token, TMPDIR=self._folder.name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.environment = token
        self.address = self._line()

    def wait_until_busy(self) -> None:
        """Wait until a worker on the second node makes images."""
        self._tell("wait")

    def lose(self) -> None:
        """Kill the second node, all processes of it."""
        self._tell("lose")

    def add(self) -> None:
        """Have a second node again."""
        self._tell("add")

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._folder.cleanup()

    def _tell(self, what: str) -> None:
        assert self._process.stdin
        print(what, file=self._process.stdin, flush=True)
        assert self._line() == what

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the cluster does not answer; it said:\n{self._said.read_text()}"
        return line.strip()


def children_of(pid: int) -> list[str]:
    """The titles of a process's children."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found.append(Path(f"/proc/{child}/cmdline").read_text())
    return found


def main() -> None:
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    folder = Path(tempfile.gettempdir(), "ray")
    folder.mkdir()  # Ray writes its address there, and makes it only where it chose the place itself
    head = {**small, "temp_dir": str(folder)}
    out, sys.stdout = sys.stdout, sys.stderr  # Ray prints
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**small)
    print(cluster.address, file=out, flush=True)
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.remove_node(second, allow_graceful=False)
        elif line.strip() == "wait":
            (raylet,) = second.all_processes["raylet"]
            while not any(title.startswith("ray::Maker.make") for title in children_of(raylet.process.pid)):
                time.sleep(0.01)
        else:
            second = cluster.add_node(**small)
        print(line.strip(), file=out, flush=True)
    cluster.shutdown()


def start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        command, env=clean_environment(**environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
