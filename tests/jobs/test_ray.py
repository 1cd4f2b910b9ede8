"""The engine Ray: the same folder as from the local one, whatever happens to its workers and nodes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import manifest
from jobs.crew import TRIES, Crew, Done, Failed, Order
from jobs.layout import MANIFESTS
from jobs.shard import Shard
from jobs.state import SessionFacts
from jobs.store import LocalStore
from models.console import CommandError
from tests.conftest import clean_environment, fails_in_one_line, run
from tests.jobs.conftest import (
    LONG_COUNT,
    LONG_RUN,
    LONG_SHARD,
    SEED,
    assert_whole_shards,
    batch,
    differing,
    stamps,
    succeeds,
    temporaries,
    wait_for,
)
from tests.jobs.faults import Disturbance
from tests.jobs.ray_nodes import RayNodes

pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """Two nodes with one CPU each."""
    made = RayNodes()
    yield made
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def command(model: Path, out: Path, nodes: RayNodes) -> list[str]:
    """The command of `undisturbed`, to `out`, on the cluster."""
    return [*batch(model, out, LONG_COUNT, *LONG_RUN), "--engine", "ray", "--ray-address", nodes.address]


def start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        command, env=clean_environment(**environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def disturbed(
    command: list[str], out: Path, disturbance: Disturbance, nodes: RayNodes, notes: Path
) -> subprocess.CompletedProcess[str]:
    """Run `command` with workers on which `disturbance` comes down."""
    notes.mkdir(exist_ok=True)
    config = json.dumps({"runtime_env": {"env_vars": disturbance.environment(out, notes)}})
    return run(*command, **nodes.environment, RAY_JOB_CONFIG_JSON_ENV_VAR=config)


def committed(out: Path) -> set[int]:
    return set(manifest.committed(LocalStore(out), LONG_SHARD))


# The same folder


def test_folder_is_the_local_one_byte_for_byte(
    command: list[str], nodes: RayNodes, out: Path, undisturbed: Path
) -> None:
    result = run(*command, **nodes.environment)
    succeeds(result)
    assert differing(out, undisturbed) == []
    assert temporaries(out) == []
    assert all(re.match(r"\d{4}-\d\d-\d\d .* (INFO|WARNING) ", line) for line in result.stderr.splitlines())


def test_tar_files_are_the_local_ones(
    command: list[str], nodes: RayNodes, out: Path, model: Path, tmp_path: Path
) -> None:
    succeeds(run(*command, "--format", "tar", **nodes.environment))
    succeeds(run(*batch(model, tmp_path / "local", LONG_COUNT, *LONG_RUN), "--format", "tar"))
    assert differing(out, tmp_path / "local") == []


def test_time_budget_then_the_local_engine_goes_on(
    command: list[str], nodes: RayNodes, model: Path, out: Path, undisturbed: Path
) -> None:
    result = run(*command, "--max-seconds", "0", **nodes.environment)
    fails_in_one_line(result, 3, f"{LONG_SHARD} of {LONG_COUNT} images", "again")
    before = stamps(out / "00000")
    succeeds(run(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert stamps(out / "00000") == before
    assert differing(out, undisturbed) == []


# Faults


def test_node_that_is_lost_in_the_middle_changes_nothing(
    model: Path, nodes: RayNodes, out: Path, tmp_path: Path
) -> None:
    count = 10 * LONG_COUNT  # so that the run is not over before it is met
    command = [*batch(model, out, count, *LONG_RUN), "--engine", "ray", "--ray-address", nodes.address]
    process = start(command, **nodes.environment)
    nodes.wait_until_busy()
    process.send_signal(signal.SIGSTOP)
    nodes.lose()
    process.send_signal(signal.SIGCONT)
    stdout, stderr = process.communicate()
    nodes.add()
    assert (process.returncode, stdout) == (0, ""), stderr
    assert "a worker died at shard" in stderr
    succeeds(run(*batch(model, tmp_path / "local", count, *LONG_RUN)))
    assert differing(out, tmp_path / "local") == []
    assert temporaries(out) == []


def test_worker_that_hangs_is_replaced(
    command: list[str], nodes: RayNodes, out: Path, undisturbed: Path, tmp_path: Path
) -> None:
    hang = Disturbance("hang", at=1, name="00000310.png")
    result = disturbed([*command, "--shard-timeout", "3"], out, hang, nodes, tmp_path / "notes")
    succeeds(result)
    (said,) = [line for line in result.stderr.splitlines() if "a worker died" in line]
    assert "at shard 00012" in said
    assert "it hung" in said
    assert differing(out, undisturbed) == []


def test_shard_that_kills_every_worker_stops_the_run_and_is_named(
    command: list[str], nodes: RayNodes, out: Path, undisturbed: Path, tmp_path: Path
) -> None:
    poison = Disturbance("poison", name="00000310.png")
    result = disturbed(command, out, poison, nodes, tmp_path / "notes")
    fails_in_one_line(result, 1, f"died {TRIES} times at shard 00012", "again")
    assert committed(out) >= set(range(12))
    assert 12 not in committed(out)
    assert_whole_shards(out)
    succeeds(run(*command, **nodes.environment))
    assert differing(out, undisturbed) == []


def test_bug_in_a_worker_is_one_line_and_with_debug_its_traceback(
    command: list[str], nodes: RayNodes, out: Path, tmp_path: Path
) -> None:
    bug = Disturbance("raise", name="00000310.png")
    result = disturbed([*command, "--debug"], out, bug, nodes, tmp_path / "notes")
    assert result.returncode == 1
    assert "write_images" in result.stderr
    assert 'ValueError("thrown by a test")' in result.stderr
    assert result.stderr.splitlines()[-1].startswith("gan-batch: error: bug")


def test_full_disk_of_a_worker_is_74_with_node_and_file_and_what_is_committed_stays(
    command: list[str], nodes: RayNodes, out: Path, tmp_path: Path
) -> None:
    full = Disturbance("full", name="00000310.png")
    result = disturbed(command, out, full, nodes, tmp_path / "notes")
    fails_in_one_line(result, 74, f"on {os.uname().nodename}", "00012/00000310.png", "No space left")
    assert len(committed(out)) >= 8
    assert_whole_shards(out)


def test_device_that_is_not_there_is_told_with_the_node(model: Path, out: Path, nodes: RayNodes) -> None:
    options = ["--engine", "ray", "--ray-address", nodes.address, "--gpus-per-worker", "0", "--device", "cuda"]
    result = run(*batch(model, out, 10), *options, **nodes.environment)
    fails_in_one_line(result, 69, f"on {os.uname().nodename}", "CUDA is not to be had")


def test_node_without_this_package_is_told_of(command: list[str], nodes: RayNodes, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['jobs'] = None\n")
    config = json.dumps({"runtime_env": {"env_vars": {"PYTHONPATH": str(tmp_path)}}})
    result = run(*command, **nodes.environment, RAY_JOB_CONFIG_JSON_ENV_VAR=config)
    fails_in_one_line(result, 69, "cannot load this package", "jobs")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_signal_leaves_committed_shards_and_the_cluster(
    number: signal.Signals, code: int, command: list[str], nodes: RayNodes, out: Path, undisturbed: Path
) -> None:
    process = start(command, **nodes.environment)
    wait_for(out / MANIFESTS / "00001.csv", process)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate()
    assert process.returncode == code, stderr
    assert stdout == ""
    assert_whole_shards(out)
    assert temporaries(out) == []
    succeeds(run(*command, **nodes.environment))
    assert differing(out, undisturbed) == []


# A cluster of its own


def test_cluster_of_its_own_is_closed_to_others_and_leaves_nothing(model: Path, out: Path) -> None:
    process = start([*batch(model, out, 100_000, *LONG_RUN), "--engine", "ray"])
    wait_for(out / MANIFESTS / "00001.csv", process)
    family = session_of(process.pid)
    heard = [address for pid in family for address in listening(pid)]
    (head,) = (pid for pid in family if Path(f"/proc/{pid}/comm").read_text().startswith("gcs_server"))
    refused = stranger(listening(head)[0])
    secret = token_of(process.pid)
    arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, ""), stderr
    assert len(heard) > 3
    assert {address.partition(":")[0] for address in heard} == {"127.0.0.1"}
    assert "Authentication" in refused
    assert len(secret) == 64
    assert secret.encode() not in arguments
    assert secret not in stderr
    assert session_of(process.pid) == []
    assert_whole_shards(out)


def session_of(leader: int) -> list[int]:
    """Processes of a session that live, and their children in sessions of their own."""
    found: dict[int, None] = {}
    grown = True
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            stats[int(folder.name)] = int(parent), int(session)
    while grown:
        more = [
            pid
            for pid, (parent, session) in stats.items()
            if pid not in found and (session == leader or parent in found)
        ]
        grown = bool(more)
        found |= dict.fromkeys(more)
    return list(found)


def listening(pid: int) -> list[str]:
    """The addresses and ports that a process listens on, for TCP."""
    try:
        links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, _, port = fields[1].partition(":")
                raw = bytes.fromhex(address)
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                mapped = words.removeprefix(bytes(10) + b"\xff\xff")
                name = ".".join(map(str, mapped)) if len(mapped) == 4 else words.hex()
                found.append(f"{name}:{int(port, 16)}")
    return found


def token_of(leader: int) -> str:
    """The token that the run's children have in their environment."""
    for pid in session_of(leader):
        for line in Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0"):
            if line.startswith("RAY_AUTH_TOKEN="):
                return line.partition("=")[2]
    return ""


def stranger(address: str) -> str:
    """What somebody without the token is told."""
    program = f"from ray._raylet import GcsClient; GcsClient(address={address!r})"
    result = subprocess.run([sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True)
    assert result.returncode != 0
    return result.stderr


# Nothing to work on


@pytest.mark.long
def test_wrong_token_is_told_in_one_line(model: Path, out: Path, nodes: RayNodes) -> None:
    wrong = {**nodes.environment, "RAY_AUTH_TOKEN": "0" * 64}
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", nodes.address, **wrong)
    fails_in_one_line(result, 69, nodes.address, "RAY_AUTH_TOKEN_PATH")
    assert len(result.stderr.splitlines()) == 1


def test_address_where_nothing_is_is_told_in_time(model: Path, out: Path) -> None:
    begun = time.monotonic()
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", "127.0.0.1:1")
    fails_in_one_line(result, 69, "127.0.0.1:1", "refused")
    assert time.monotonic() - begun < 20
    assert not out.exists()


@pytest.mark.long
def test_address_where_something_else_is_is_told_in_time(model: Path, out: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        fails_in_one_line(run(*batch(model, out, 10), "--engine", "ray", "--ray-address", address), 69, address)


@pytest.mark.parametrize("address", ["a..b:6379", "127.0.0.1:\u00b2"])
def test_address_that_cannot_be_is_refused(address: str, model: Path, out: Path) -> None:
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", address)
    assert result.returncode in (2, 69)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("gpus", "code"), [("1.5", 2), ("0.00001", 2), ("1", 69)])
def test_gpus_that_cannot_be_had_are_refused(gpus: str, code: int, model: Path, out: Path) -> None:
    result = run(*batch(model, out, 10), "--engine", "ray", "--gpus-per-worker", gpus)
    fails_in_one_line(result, code, "GPUs")


def test_stop_while_ray_starts_is_a_stop_and_nobody_else_enters_its_folder(model: Path, out: Path) -> None:
    process = start([*batch(model, out, 10), "--engine", "ray"])
    try:
        while not (found := list(Path("/tmp").glob(f"gan-ray-*/r/session_*_{process.pid}"))):
            assert process.poll() is None
            time.sleep(0.05)
        folder = found[0].parents[1]
        assert folder.stat().st_mode & 0o777 == 0o700
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, "SIGTERM" in text) == (143, True)
    assert not folder.exists()


@pytest.mark.parametrize("options", [["--ray-address", "auto"], ["--gpus-per-worker", "1"]])
def test_option_of_ray_without_ray_is_refused(options: list[str], model: Path, out: Path) -> None:
    fails_in_one_line(run(*batch(model, out, 10), *options), 2, options[0], "--engine ray")


def test_address_that_is_none_is_refused(model: Path, out: Path) -> None:
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", "here")
    fails_in_one_line(result, 2, "--ray-address here", "host:port")


def test_missing_package_is_named(model: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')\n")
    result = run(*batch(model, out, 10), "--engine", "ray", PYTHONPATH=str(tmp_path))
    fails_in_one_line(result, 2, "pip install '.[ray]'")


# A worker by itself


@pytest.fixture
def order(model: Path, out: Path) -> Order:
    (out / "00000").mkdir(parents=True)
    return Order(model, "cpu", str(out), SEED)


def test_worker_that_sees_another_folder_refuses(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs import ray_worker

    monkeypatch.setattr(ray_worker, "_SEEN_WITHIN_SECONDS", 0.0)
    maker = ray_worker.Maker(order, order.model.read_bytes())
    assert isinstance(maker.open(), ray_worker.Opened)
    answer = maker.make(Shard(0, 0, 2), 2, ".run.json.0123456789abcdef.tmp")
    assert isinstance(answer, Failed)
    assert answer.exit_code == 73
    assert "all nodes" in answer.message
    assert os.uname().nodename in answer.message
    assert isinstance(maker.make(Shard(0, 0, 2), 2, None), Done)


def test_broken_model_is_told_by_the_name_that_the_user_knows(order: Order) -> None:
    from jobs.ray_worker import Maker

    answer = Maker(order, b"no model").open()
    assert isinstance(answer, Failed)
    assert answer.exit_code == 65
    assert str(order.model) in answer.message


FACTS = SessionFacts("0" * 64, 8, 32, 32, 1, "CPUExecutionProvider", "as asked", "1.31.1", 900)


@pytest.mark.parametrize(
    ("other", "code", "words"),
    [
        ({"provider": "CUDAExecutionProvider"}, 69, "CUDAExecutionProvider"),
        ({"onnxruntime": "1.20.1"}, 78, "1.20.1"),
        ({"model_sha256": "1" * 64}, 78, "changed"),
    ],
)
def test_worker_that_differs_is_refused_with_its_node(
    other: dict[str, str], code: int, words: str, order: Order
) -> None:
    crew = Crew(order)
    crew.agree(FACTS, "one")
    crew.agree(FACTS, "two")
    with pytest.raises(CommandError, match=words) as caught:
        crew.agree(SessionFacts(**{**vars(FACTS), **other}), "three")
    assert caught.value.exit_code == code
    if "model_sha256" not in other:
        assert "three" in str(caught.value)
