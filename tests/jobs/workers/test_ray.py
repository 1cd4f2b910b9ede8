"""The engine Ray: the same folder as from the local one, whatever happens to its workers and nodes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.dataset import manifest
from jobs.dataset.layout import MANIFESTS
from jobs.stores.local_store import LocalStore
from jobs.workers.crew import TRIES
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import (
    LONG_COUNT,
    LONG_RUN,
    LONG_SHARD,
    assert_whole_shards,
    batch,
    differing,
    rows_of,
    stamps,
    succeeds,
    temporaries,
    wait_for,
)
from tests.jobs.faults import Disturbance
from tests.jobs.ray_nodes import RayNodes, start
from tests.jobs.small_models import RARE, write_model

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
    succeeds(run_in_process(*batch(model, tmp_path / "local", LONG_COUNT, *LONG_RUN), "--format", "tar"))
    assert differing(out, tmp_path / "local") == []


def test_classes_and_masks_are_those_of_local_workers_and_of_parts(nodes: RayNodes, out: Path, tmp_path: Path) -> None:
    local, parts = tmp_path / "local", tmp_path / "parts"
    model = write_model(tmp_path / "model.onnx", gain=0.1, classes=["crack", "dent", "hole"], faults=[], masks=RARE)
    options = ("--mix", "crack=0.7,hole=0.3", "--shard-size", "10")
    on_cluster = [*batch(model, out, 35, *options), "--engine", "ray", "--ray-address", nodes.address]
    succeeds(run(*on_cluster, **nodes.environment))
    succeeds(run_in_process(*batch(model, local, 35, *options, "--batch-size", "4", "--workers", "2")))
    for number in (3, 1, 2):
        succeeds(run_in_process(*batch(model, parts, 35, *options, "--part", f"{number}/3")))
    succeeds(run_in_process("gan-batch", "finish", parts))
    assert [row.label for row in rows_of(out)].count("hole") in (10, 11)
    assert len(list(out.glob("masks/*/*.png"))) == 35
    assert differing(out, local) == []
    assert (parts / "manifest.csv").read_bytes() == (local / "manifest.csv").read_bytes()


def test_time_budget_then_the_local_engine_goes_on(
    command: list[str], nodes: RayNodes, model: Path, out: Path, undisturbed: Path
) -> None:
    result = run(*command, "--max-seconds", "0", **nodes.environment)
    fails_in_one_line(result, 3, f"{LONG_SHARD} of {LONG_COUNT} images", "again")
    before = stamps(out / "images" / "00000")
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert stamps(out / "images" / "00000") == before
    assert differing(out, undisturbed) == []


# Faults


def test_node_that_is_lost_in_the_middle_changes_nothing(
    model: Path, nodes: RayNodes, out: Path, tmp_path: Path
) -> None:
    count = 4 * LONG_COUNT  # so that the run is not over before it is met
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
    succeeds(run_in_process(*batch(model, tmp_path / "local", count, *LONG_RUN)))
    assert differing(out, tmp_path / "local") == []
    assert temporaries(out) == []


def test_worker_that_hangs_is_replaced(
    command: list[str], nodes: RayNodes, out: Path, undisturbed: Path, tmp_path: Path
) -> None:
    hang = Disturbance("hang", at=1, name="00000310.png")
    result = disturbed([*command, "--shard-timeout", "10"], out, hang, nodes, tmp_path / "notes")
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
    fails_in_one_line(result, 74, f"on {os.uname().nodename}", "images/00012/00000310.png", "No space left")
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


@pytest.mark.long
def test_wrong_token_is_told_in_one_line(model: Path, out: Path, nodes: RayNodes) -> None:
    wrong = {**nodes.environment, "RAY_AUTH_TOKEN": "0" * 64}
    result = run(*batch(model, out, 10), "--engine", "ray", "--ray-address", nodes.address, **wrong)
    fails_in_one_line(result, 69, nodes.address, "RAY_AUTH_TOKEN_PATH")
    assert [line for line in result.stderr.splitlines() if " INFO " not in line] == [result.stderr.splitlines()[-1]]
