"""The end of a run that was made in parts: what `gan-batch finish` finds, says and does."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from jobs import finish
from models.errors import ExitCode
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, differing, stamps, succeeds
from tests.jobs.dataset.conftest import COUNT, of_parts, part, refused, state
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")


def test_finish_names_the_missing_shards_and_the_parts_that_make_them(copied: Path) -> None:
    for shard in (1, 5, 7):
        (copied / "_manifests" / f"{shard:05d}.csv").unlink()
    before = stamps(copied)
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "3 of 10 shards", "1, 5, 7", "--part 2/3, 3/3")
    assert stamps(copied) == before


def test_finish_names_the_first_few_of_many(copied: Path) -> None:
    shutil.rmtree(copied / "_manifests")
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "10 of 10 shards", "0, 1, 2, 3, 4 and 5 more")


def test_finish_counts_a_shard_that_is_half_there_as_missing(copied: Path) -> None:
    path = copied / "_manifests" / "00003.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:6]))
    fails_in_one_line(run_in_process("gan-batch", "finish", copied), 66, "1 of 10 shards", "3;", "--part 1/3")


def test_what_finish_says_of_a_run_without_parts_helps(small: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "_manifests" / "00004.csv").unlink()
    result = run_in_process("gan-batch", "finish", out)
    fails_in_one_line(result, 66, "1 of 10 shards")
    (what_to_do,) = re.findall("`(.+?)`", result.stderr)
    succeeds(run_in_process(*what_to_do.split(), "--model", small))
    assert differing(out, whole) == []


def test_lost_shard_of_a_run_that_has_ended_is_made_by_the_whole_run(small: Path, copied: Path, whole: Path) -> None:
    succeeds(run_in_process("gan-batch", "finish", copied))
    (copied / "_manifests" / "00004.csv").unlink()
    before = stamps(copied)
    fails_in_one_line(run_in_process(*part(small, copied, 2)), 76, "part 2/3", "without --part")
    result = run_in_process("gan-batch", "finish", copied)
    fails_in_one_line(result, 66, "1 of 10 shards")
    (copied / ".lock-2-of-3").unlink()
    assert stamps(copied) == before
    (what_to_do,) = re.findall("`(.+?)`", result.stderr)
    succeeds(run_in_process(*what_to_do.split(), "--model", small))
    assert differing(copied, whole, without=["log.jsonl", "stats.json", *of_parts(copied)]) == []


def test_finish_of_a_complete_run_touches_nothing(whole: Path) -> None:
    before = stamps(whole)
    result = run_in_process("gan-batch", "finish", whole)
    succeeds(result)
    assert f"complete: {COUNT} images" in result.stderr
    assert stamps(whole) == before


def test_finish_where_no_run_is_makes_nothing(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "finish", tmp_path), 66, "no run of gan-batch")
    assert list(tmp_path.iterdir()) == []


def test_finish_loads_no_session(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.checks.repair.session_of", lambda *arguments: pytest.fail("it loaded the model"))
    result = finish(copied)
    assert (result.count, result.made, result.seed) == (COUNT, 0, SEED)
    assert state(copied) == "complete"


def test_lost_measures_need_the_model_only_where_an_image_is_suspect(tmp_path: Path) -> None:
    steep = write_model(tmp_path / "steep.onnx", gain=6.0)  # many values are black or white
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(steep, out, 20, "--shard-size", "10", "--part", "1/1")))
    measures = (out / "_quality" / "00001.csv").read_bytes()
    (out / "_quality" / "00001.csv").unlink()
    error = refused(lambda: finish(out))
    assert (error.exit_code, "`model`" in str(error)) == (ExitCode.OTHER_RUN, True)
    other = write_model(tmp_path / "other.onnx")
    assert refused(lambda: finish(out, other)).exit_code is ExitCode.OTHER_RUN
    succeeds(run_in_process("gan-batch", "finish", out, "--model", steep, "--quality-gate", "warn"))
    assert state(out) == "complete"
    assert len(measures.splitlines()) == 11


def test_gate_judges_at_the_end_and_warn_accepts_it_then(tmp_path: Path) -> None:
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    out = tmp_path / "run"
    for number in (1, 2):
        succeeds(run_in_process(*batch(gray, out, 30, "--shard-size", "10", "--part", f"{number}/2")))
    metrics = tmp_path / "finish.prom"
    finishing = ["gan-batch", "finish", out, "--latest", tmp_path / "latest", "--metrics-file", metrics]
    fails_in_one_line(run_in_process(*finishing), 76, "constant")
    assert state(out) == "rejected by the quality gate"
    assert "gan_batch_last_exit_code 76.0" in metrics.read_text()
    assert not (tmp_path / "latest").exists()
    succeeds(run_in_process(*finishing, GAN_BATCH_QUALITY_GATE="warn"))
    assert os.readlink(tmp_path / "latest") == "run"
    assert "gan_batch_last_exit_code 0.0" in metrics.read_text()


def test_finished_run_and_all_that_its_parts_left_can_be_removed(copied: Path, whole: Path, tmp_path: Path) -> None:
    succeeds(run_in_process("gan-batch", "finish", copied))
    copied.rename(tmp_path / "2026-11-21")
    newer = shutil.copytree(whole, tmp_path / "2026-11-22")
    succeeds(run_in_process("gan-batch", "finish", newer, "--keep", "1"))
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-22"]


@pytest.mark.parametrize("limit", ["nan", "-1"])
def test_finish_refuses_a_limit_that_is_none(limit: str, whole: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "finish", whole, f"--min-contrast={limit}"), 2, "--min-contrast")
