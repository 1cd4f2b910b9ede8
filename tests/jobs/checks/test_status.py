"""`gan-batch status`: how far a run is, at any moment, and nobody is disturbed by the question."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from jobs.checks.status import status
from jobs.dataset import manifest
from jobs.dataset.manifest import Row
from jobs.stores.local_store import LocalStore
from models.files import is_locked
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import batch, pause, stamps, start, succeeds, wait_for
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

FIELDS = ["state", "at_work", "count", "committed", "seed", "provider", "model_sha256"]
FIELDS += ["images_per_second", "time_left", "last_error"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


def asked(out: Path) -> dict[str, str]:
    """The lines on stdout, after asserting that there is nothing else."""
    result = run_in_process("gan-batch", "status", out)
    assert (result.returncode, result.stderr) == (0, "")
    found = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert list(found) == FIELDS
    return found


def progress(out: Path) -> tuple[str, str, str, str]:
    found = asked(out)
    return found["state"], found["at_work"], found["count"], found["committed"]


def test_complete_run(finished: Path) -> None:
    before = stamps(finished)
    found = asked(finished)
    assert progress(finished) == ("complete", "false", "130", "130")
    fingerprint = json.loads((finished / "run.json").read_text())["fingerprint"]
    assert (found["seed"], found["provider"], found["model_sha256"]) == (
        "5", "CPUExecutionProvider", fingerprint["model_sha256"]
    )  # fmt: skip
    assert stamps(finished) == before


def test_run_that_was_cut_off(small: Path, tmp_path: Path) -> None:
    assert (
        run_in_process(*batch(small, tmp_path / "run", 50, "--shard-size", "20", "--max-seconds", "0")).returncode == 3
    )
    assert progress(tmp_path / "run") == ("cut off", "false", "50", "20")


def test_run_that_was_cut_off_tells_why_and_has_no_speed(small: Path, tmp_path: Path) -> None:
    assert (
        run_in_process(*batch(small, tmp_path / "run", 50, "--shard-size", "20", "--max-seconds", "0")).returncode == 3
    )
    found = asked(tmp_path / "run")
    assert (found["images_per_second"], found["time_left"]) == ("-", "-")
    assert "the time is over with 20 of 50" in found["last_error"]
    succeeds(run_in_process(*batch(small, tmp_path / "run", 50, "--shard-size", "20")))
    assert asked(tmp_path / "run")["last_error"] == "-"


def test_run_that_is_extended_counts_what_it_has(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(small, out, 30, "--shard-size", "20")))
    assert run_in_process(*batch(small, out, 90, "--shard-size", "20", "--max-seconds", "0")).returncode == 3
    assert progress(out) == ("cut off", "false", "90", "40")


def test_run_at_work(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(batch(model, out, 400, "--shard-size", "20", "--batch-size", "5"))
    wait_for(out / "_manifests" / "00000.csv", process)
    pause(process)
    try:
        state, at_work, count, committed = progress(out)
        assert (state, at_work, count) == ("running", "true", "400")
        assert int(committed) == 20 * len(list((out / "_manifests").glob("[0-9]*.csv"))) > 0
    finally:
        process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert progress(out) == ("complete", "false", "400", "400")


def test_rejected_run(tmp_path: Path) -> None:
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    assert run_in_process(*batch(gray, tmp_path / "run", 5)).returncode == 76
    assert progress(tmp_path / "run") == ("rejected by the quality gate", "false", "5", "5")


def test_question_never_makes_a_start_fail(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(small, out, 1)))
    over = threading.Event()
    answers: set[bool] = set()

    def ask() -> None:
        while not over.is_set():
            answers.add(status(out).at_work)
            time.sleep(0.0002)  # thousands of questions a second leave the runs a core

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        codes = [run_in_process(*batch(small, out, 1)).returncode for _ in range(20)]
    finally:
        over.set()
        thread.join()
    assert codes == [0] * 20
    assert answers == {False, True}, "it was never asked at the right moment"


def test_folder_can_be_taken_again_and_again_while_others_ask(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_locked(out)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(2000):
            store = LocalStore(out)
            store.lock()  # raises where it is not to be had
            store.close()
    finally:
        over.set()
        thread.join()


def test_question_leaves_no_lock_behind(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    (out / ".lock").unlink()
    assert progress(out)[1] == "false"
    assert not (out / ".lock").exists()


def test_manifests_that_are_damaged_do_not_count(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    (out / "_manifests" / "00001.csv").write_bytes(b"")
    (out / "_manifests" / "notes.txt").write_text("mine")
    (out / "_manifests" / ".00002.csv.tmp").write_text("half")
    assert progress(out)[3] == "100"


def test_run_of_very_many_images(finished: Path, tmp_path: Path) -> None:
    out, shards = tmp_path / "run", 100
    (out / "_manifests").mkdir(parents=True)
    content = json.loads((finished / "run.json").read_text())
    content["fingerprint"]["shard_size"] = 1000
    (out / "run.json").write_text(json.dumps({**content, "count": shards * 1000, "state": "running"}))
    for shard in range(shards):
        rows = [
            Row(index, f"images/{shard:05d}/{index:08d}.png", 5, "0" * 64, 128, 128, "L", 7000)
            for index in range(shard * 1000, shard * 1000 + 1000)
        ]
        (out / "_manifests" / f"{shard:05d}.csv").write_bytes(manifest.to_csv(rows))
    assert progress(out) == ("cut off", "false", "100000", "100000")


def test_what_is_no_run_is_missing_input(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "none"):
        fails_in_one_line(run_in_process("gan-batch", "status", out), 66, str(out))
    assert list(tmp_path.iterdir()) == []
