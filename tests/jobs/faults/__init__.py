"""A run that fails where a test wants it to: see `injected/sitecustomize.py`, which does it inside its processes."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import run

INJECTED = Path(__file__).parent / "injected"


@dataclass(frozen=True)
class Operation:
    """A file operation of a run, as the trace tells of it.

    Attributes:
        number: of this operation, over all processes of the run.
        process: `main` or `worker`.
        moment: `begins` or `ended`; one that failed or was killed did not end.
        name: of the function, such as `fsync`.
        path: relative to the run's folder; for `replace` the new name.
    """

    number: int
    process: str
    moment: str
    name: str
    path: str


@dataclass(frozen=True)
class Disturbance:
    """What shall go wrong.

    Attributes:
        mode: `trace` nothing; `once` operation `at` fails; `from` it and all later ones; `short` it writes one byte;
            `kill` its process is killed by it; `kill main` the run's main process is, whoever does it; `poison` and
            `raise` a worker dies, or raises ValueError, at `name`; `hang` the first `at` workers there stand still;
            `full` a worker's disk is full there; `die at start` workers do; `slow flush` syncfs
            takes `at` seconds longer.
        at: which operation, from 1.
        error: the error's name.
        counted: operations that are counted; empty: all.
        name: end of a path.
    """

    mode: str = "trace"
    at: float = 0
    error: str = "ENOSPC"
    counted: str = ""
    name: str = ""

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.mode, self.error, self.at, self.counted, self.name) if part)

    def environment(self, folder: Path, notes: Path) -> dict[str, str]:
        """For the run in `folder`; counts and traces go to the folder `notes`."""
        return {
            "PYTHONPATH": str(INJECTED),
            "FAULTS_RUN": str(folder),
            "FAULTS_NOTES": str(notes),
            "FAULTS_MODE": self.mode,
            "FAULTS_AT": str(self.at),
            "FAULTS_ERROR": self.error,
            "FAULTS_COUNTED": self.counted,
            "FAULTS_NAME": self.name,
        }


def disturbed(
    command: list[str], folder: Path, disturbance: Disturbance
) -> tuple[subprocess.CompletedProcess[str], list[Operation]]:
    """Run `command`, which works in `folder`, to its end; returns how it ended, and what it did up to there."""
    with tempfile.TemporaryDirectory() as notes:
        result = run(*command, **disturbance.environment(folder, Path(notes)))
        return result, operations(Path(notes))


def operations(notes: Path) -> list[Operation]:
    """What was noted so far, in order."""
    trace = notes / "trace"
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [Operation(int(number), *rest) for number, *rest in (line.split("\t") for line in lines)]


def workers_of(main: int) -> list[int]:
    """Process ids of the workers that a process started and that live, whether it still lives or not."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"jobs.workers.worker" in command and command[-2] == b"%d" % main:  # a zombie has no command
            found.append(int(folder.name))
    return found


def seconds_until_no_worker(main: int, at_most: float = 10) -> float:
    """How long it takes from now until no worker of a process lives."""
    start = time.monotonic()
    while workers_of(main) and time.monotonic() - start < at_most:
        time.sleep(0.005)
    return time.monotonic() - start
