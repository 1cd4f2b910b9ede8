"""A run on this machine: what it leaves, how it goes on, and its memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from jobs import OnDisk, Work, run_batch
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import SEED, batch, differing, rows_of, stamps, start, succeeds

# Hand-over 3

pytestmark = pytest.mark.usefixtures("workers_here")


def test_folder_holds_the_documented_files_and_no_others(finished: Path) -> None:
    images = {f"images/{index // 100:05d}/{index:08d}.png" for index in range(130)}
    others = {"run.json", "manifest.csv", "contact_sheet.png", "quality.json", "log.jsonl", "stats.json", ".lock"}
    shards = {f"{folder}/{shard:05d}.csv" for folder in ("_manifests", "_quality") for shard in (0, 1)}
    found = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert found == images | others | shards


def test_manifest_has_the_documented_columns(finished: Path) -> None:
    header = (finished / "manifest.csv").read_text().splitlines()[0]
    assert header == "index,file_name,seed,sha256,width,height,mode,bytes"


def test_manifest_has_one_row_an_image_in_index_order(finished: Path) -> None:
    found = [(row.index, row.file_name) for row in rows_of(finished)]
    assert found == [(index, f"images/{index // 100:05d}/{index:08d}.png") for index in range(130)]


def test_every_row_describes_its_file(finished: Path) -> None:
    for row in rows_of(finished):
        content = (finished / row.file_name).read_bytes()
        assert (row.sha256, row.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        with Image.open(finished / row.file_name) as image:
            image.verify()
            assert (image.size, image.mode) == ((row.width, row.height), row.mode)
        assert row.seed == SEED


def test_shard_manifests_joined_are_the_manifest(finished: Path) -> None:
    shards = [path.read_text().splitlines() for path in sorted(finished.glob("_manifests/*"))]
    joined = shards[0][:1] + [row for shard in shards for row in shard[1:]]
    assert (finished / "manifest.csv").read_text() == "\n".join(joined) + "\n"


def test_run_json_is_the_fingerprint_and_the_state(finished: Path, model: Path) -> None:
    state = json.loads((finished / "run.json").read_text())
    assert (state["state"], state["count"]) == ("complete", 130)
    assert state["fingerprint"]["seed"] == SEED
    assert state["fingerprint"]["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


def test_run_in_another_year_differs_in_log_and_stats_only(
    finished: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e9)
    monkeypatch.setattr(time, "strftime", lambda *arguments: "20610101")
    run_batch(model, tmp_path / "run", 130, seed=SEED, on_disk=OnDisk(100), work=Work("cpu"))
    assert differing(tmp_path / "run", finished) == []
    assert differing(tmp_path / "run", finished, without=()) == ["log.jsonl", "stats.json"]


def test_log_tells_of_each_shard_once_and_stats_of_the_work(finished: Path) -> None:
    events = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "shard", "shard", "complete"]
    assert {(event["number"], event["images"]) for event in events[1:3]} == {(0, 100), (1, 30)}
    stats = json.loads((finished / "stats.json").read_text())
    assert (stats["images"], stats["provider"]) == (130, "CPUExecutionProvider")
    assert stats["seconds"] > 0


def test_log_tells_why_a_run_was_stopped(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run_in_process(*batch(model, out, 30, "--shard-size", "10", "--max-seconds", "0"))
    assert result.returncode == 3
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("stopped", 3)
    assert last["reason"] in result.stderr


# Again, more, less


def test_python_caller_is_told_how_many_images_were_made_each_time(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    made = [
        run_batch(model, out, count, seed=SEED, on_disk=OnDisk(10), work=Work("cpu", batch_size=4))
        for count in (25, 25, 30)
    ]
    assert [(result.count, result.made) for result in made] == [(25, 25), (25, 0), (30, 5)]
    assert {(result.out, result.seed, result.provider) for result in made} == {(out, SEED, "CPUExecutionProvider")}
    assert made[1].seconds == 0 < made[0].seconds


def test_append_adds_to_a_complete_run_what_a_larger_count_would(
    copied: Path, extended: tuple[Path, dict[str, tuple[int, int]]], model: Path
) -> None:
    succeeds(run_in_process("gan-batch", "--model", model, "--out", copied, "--append", "120", "--device", "cpu"))
    assert differing(copied, extended[0]) == []


def test_append_finishes_a_run_that_was_cut_off_and_adds_nothing(copied: Path, finished: Path, model: Path) -> None:
    (copied / "_manifests" / "00001.csv").unlink()
    state = (copied / "run.json").read_text().replace('"complete"', '"running"')
    (copied / "run.json").write_text(state)
    succeeds(run_in_process("gan-batch", "--model", model, "--out", copied, "--append", "120", "--device", "cpu"))
    assert differing(copied, finished) == []


def test_append_begins_a_run_where_none_is(model: Path, tmp_path: Path) -> None:
    succeeds(
        run_in_process("gan-batch", "--model", model, "--out", tmp_path / "run", "--append", "7", "--device", "cpu")
    )
    assert len(rows_of(tmp_path / "run")) == 7


@pytest.mark.parametrize("seconds", ["0", "0.001"])
def test_after_max_seconds_it_ends_with_3_and_the_same_command_goes_on_to_the_end(
    seconds: str, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = batch(model, out, 60, "--shard-size", "20", "--max-seconds", seconds)
    for made in (20, 40):  # a shard in any case, or it would never end
        fails_in_one_line(run_in_process(*command), 3, f"{made} of 60 images", "again")
        assert manifest.committed(LocalStore(out), 20) == {number: number * 20 + 20 for number in range(made // 20)}
    succeeds(run_in_process(*command))
    succeeds(run_in_process(*batch(model, tmp_path / "undisturbed", 60, "--shard-size", "20")))
    assert differing(out, tmp_path / "undisturbed") == []


def test_complete_run_says_so_and_touches_nothing(copied: Path, model: Path) -> None:
    before = stamps(copied)
    result = run_in_process(*batch(model, copied, 130, "--shard-size", "100"))
    succeeds(result)
    assert f"{copied} is complete: 130 images" in result.stderr
    assert stamps(copied) == before


def test_smaller_count_is_already_done(copied: Path, model: Path) -> None:
    before = stamps(copied)
    result = run_in_process(*batch(model, copied, 30, "--shard-size", "100"))
    succeeds(result)
    assert "complete: 130 images" in result.stderr
    assert stamps(copied) == before


@pytest.fixture(scope="module")
def extended(
    finished: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, tuple[int, int]]]:
    """A run of 130 images that was extended to 250, and its stamps before that."""
    out = shutil.copytree(finished, tmp_path_factory.mktemp("extended") / "run")
    before = stamps(out)
    succeeds(run_in_process(*batch(model, out, 250, "--shard-size", "100")))
    return out, before


def test_larger_count_leaves_committed_images_untouched(extended: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    out, before = extended
    old = {name for name in before if name.endswith(".png") and "/" in name} | {"_manifests/00000.csv"}
    assert len(old) == 131  # the last 30 lie in a partial shard
    assert {name: stamps(out)[name] for name in old} == {name: before[name] for name in old}


def test_extended_run_equals_one_made_at_once(
    extended: tuple[Path, dict[str, tuple[int, int]]], model: Path, tmp_path: Path
) -> None:
    succeeds(run_in_process(*batch(model, tmp_path / "run", 250, "--shard-size", "100")))
    assert differing(extended[0], tmp_path / "run") == []


def test_run_killed_before_its_manifest_is_finished_and_says_so(copied: Path, finished: Path, model: Path) -> None:
    (copied / "manifest.csv").unlink()
    (copied / "contact_sheet.png").unlink()
    state = (copied / "run.json").read_text().replace('"complete"', '"running"')
    (copied / "run.json").write_text(state)
    result = run_in_process(*batch(model, copied, 130, "--shard-size", "100"))
    succeeds(result)
    assert "is complete: 130 images" in result.stderr
    assert differing(copied, finished) == []


@pytest.mark.parametrize("size", [0, 40, 5000, -1], ids=["empty", "in the header", "in a row", "last newline"])
def test_shard_with_a_damaged_manifest_is_made_again(size: int, copied: Path, finished: Path, model: Path) -> None:
    path = copied / "_manifests" / "00000.csv"
    path.write_bytes(path.read_bytes()[:size])
    succeeds(run_in_process(*batch(model, copied, 130, "--shard-size", "100")))
    assert differing(copied, finished) == []


def test_partial_shard_with_a_wrong_row_is_made_again(copied: Path, model: Path, tmp_path: Path) -> None:
    table = copied / "_manifests" / "00001.csv"
    table.write_text(table.read_text().replace("images/00001/00000105.png", "elsewhere/5.png"))
    succeeds(run_in_process(*batch(model, copied, 150, "--shard-size", "100")))
    succeeds(run_in_process(*batch(model, tmp_path / "at once", 150, "--shard-size", "100")))
    assert differing(copied, tmp_path / "at once") == []


@pytest.mark.parametrize("name", ["manifest.csv", "contact_sheet.png"])
def test_what_is_missing_at_the_end_of_a_complete_run_is_made_again(
    name: str, finished: Path, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    content = (out / name).read_bytes()
    (out / name).unlink()
    state = json.loads((out / "run.json").read_text())
    succeeds(
        run_in_process(*batch(model, out, state["count"], "--shard-size", str(state["fingerprint"]["shard_size"])))
    )
    assert (out / name).read_bytes() == content


def test_lost_last_manifest_is_made_good_even_by_a_smaller_count(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 20, "--shard-size", "10")))
    whole = (out / "manifest.csv").read_bytes()
    (out / "_manifests" / "00001.csv").unlink()
    succeeds(run_in_process(*batch(model, out, 5, "--shard-size", "10")))
    assert (out / "manifest.csv").read_bytes() == whole


def test_missing_image_is_named_with_what_to_do_and_that_helps(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 20, "--shard-size", "10")))
    (out / "images" / "00000" / "00000000.png").unlink()
    command = batch(model, out, 30, "--shard-size", "10")
    result = run_in_process(*command)
    fails_in_one_line(result, 76, "images/00000/00000000.png")
    (what_to_do,) = re.findall("`(.+?)`", result.stderr)
    run(*what_to_do.split(), "--model", model)  # which ends with 76 while the run is not complete
    succeeds(run_in_process(*command))
    succeeds(run_in_process("gan-batch", "verify", out))
    succeeds(run_in_process(*batch(model, tmp_path / "undisturbed", 30, "--shard-size", "10")))
    assert differing(out, tmp_path / "undisturbed") == []


# Memory


def peak_memory(command: list[str]) -> int:
    """Peak resident memory of a command, in KiB."""
    process = start(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


@pytest.mark.long
def test_memory_does_not_grow_with_the_count(model: Path, tmp_path: Path) -> None:
    few = peak_memory(batch(model, tmp_path / "few", 2000, "--workers", "2"))
    many = peak_memory(batch(model, tmp_path / "many", 20000, "--workers", "2"))
    assert many <= 1.1 * few
