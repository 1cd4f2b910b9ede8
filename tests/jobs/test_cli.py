"""`gan-batch` as a user or cron runs it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import models
from tests.conftest import SCRIPTS, fails_in_one_line, run, run_in_process
from tests.jobs.conftest import rows_of, succeeds


def fingerprint(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "run.json").read_text())["fingerprint"]
    return content


@pytest.fixture
def quick(model: Path, tmp_path: Path) -> list[str]:
    """A run of two images, but for its options."""
    return ["gan-batch", "--count", "2", "--model", str(model), "--out", str(tmp_path / "run"), "--device", "cpu"]


# Defaults


def test_seed_is_todays_date(quick: list[str], tmp_path: Path) -> None:
    before = time.strftime("%Y%m%d")
    succeeds(run_in_process(*quick))
    assert str(fingerprint(tmp_path / "run")["seed"]) in {before, time.strftime("%Y%m%d")}


def test_seed_is_that_of_the_run_in_the_folder(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick, "--seed", "5"))
    result = run(*quick, "--count", "4")
    succeeds(result)
    assert [row.seed for row in rows_of(tmp_path / "run")] == [5] * 4


def test_largest_seed_is_kept_exactly(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick, "--seed", str(2**64 - 1)))
    succeeds(run_in_process(*quick, "--count", "3"))
    assert {row.seed for row in rows_of(tmp_path / "run")} == {2**64 - 1}


def test_date_in_out_becomes_todays_date(quick: list[str], tmp_path: Path) -> None:
    before = time.strftime("%Y-%m-%d")
    succeeds(run_in_process(*quick, "--out", str(tmp_path / "night-{date}" / "of-{date}")))
    (run_json,) = tmp_path.glob("night-*/of-*/run.json")
    assert run_json.relative_to(tmp_path).as_posix() in {
        f"night-{date}/of-{date}/run.json" for date in (before, time.strftime("%Y-%m-%d"))
    }


def test_time_in_out_becomes_the_time_of_the_start_and_the_seed(quick: list[str], tmp_path: Path) -> None:
    before = time.strftime("%Y%m%d%H%M%S")
    succeeds(run_in_process(*quick, "--out", str(tmp_path / "{date}" / "at-{time}")))
    after = time.strftime("%Y%m%d%H%M%S")
    (run_json,) = tmp_path.glob("*/at-*/run.json")
    day, moment = run_json.parts[-3], run_json.parts[-2].removeprefix("at-")
    assert before <= day.replace("-", "") + moment <= after
    assert fingerprint(run_json.parent)["seed"] == int(day.replace("-", "") + moment)


def test_seed_that_is_named_wins_over_the_time(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick, "--out", str(tmp_path / "at-{time}"), "--seed", "5"))
    (run_json,) = tmp_path.glob("at-*/run.json")
    assert fingerprint(run_json.parent)["seed"] == 5


def test_shard_size_is_that_of_the_run_in_the_folder(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick, "--shard-size", "2"))
    succeeds(run_in_process(*quick, "--count", "5"))
    assert [row.file_name[7:12] for row in rows_of(tmp_path / "run")] == ["00000"] * 2 + ["00001"] * 2 + ["00002"]


def test_out_is_a_folder_of_today_under_synthetic(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick[:5], cwd=tmp_path))
    (run_json,) = tmp_path.glob("synthetic/*/run.json")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", run_json.parent.name)


def test_exported_model_in_the_working_folder_is_used_first(model: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(model, tmp_path / "models" / "generator.onnx")
    result = run_in_process("gan-batch", "--count", "2", "--out", "run", cwd=tmp_path)
    succeeds(result)
    assert "models/generator.onnx" in result.stderr
    assert fingerprint(tmp_path / "run")["z_dim"] == 8


def test_bundled_model_is_never_taken_unless_it_is_asked_for(tmp_path: Path) -> None:
    result = run_in_process("gan-batch", "--count", "2", "--out", "run", cwd=tmp_path)
    words = [str(tmp_path / "models" / "generator.onnx"), "gan-train", "gan-export onnx", "--model bundled"]
    fails_in_one_line(result, 66, *words)
    assert list(tmp_path.iterdir()) == []
    succeeds(run_in_process("gan-batch", "--model", "bundled", "--count", "2", "--out", "run", cwd=tmp_path))
    sha256 = hashlib.sha256(models.path().read_bytes()).hexdigest()
    assert fingerprint(tmp_path / "run")["model_sha256"] == sha256


def test_run_of_the_bundled_model_is_repaired_and_made_again_with_it_and_no_other_is(
    quick: list[str], tmp_path: Path
) -> None:
    succeeds(run_in_process("gan-batch", "--model", "bundled", "--count", "2", "--out", "bundled", cwd=tmp_path))
    (image,) = (tmp_path / "bundled").rglob("00000001.png")
    content = image.read_bytes()
    image.unlink()
    succeeds(run_in_process("gan-batch", "verify", "bundled", "--repair", cwd=tmp_path))
    assert image.read_bytes() == content
    succeeds(run_in_process(*quick))
    fails_in_one_line(
        run_in_process("gan-batch", "regen", "run", "--index", "0", cwd=tmp_path), 78, "name it with --model"
    )


# From cron


def test_options_are_read_from_the_environment(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "from-environment"
    result = run(
        "gan-batch",
        GAN_BATCH_COUNT="7",
        GAN_BATCH_SEED="9",
        GAN_BATCH_SHARD_SIZE="4",
        GAN_BATCH_MODEL=str(model),
        GAN_BATCH_OUT=str(out),
        GAN_BATCH_DEVICE="cpu",
    )
    succeeds(result)
    assert [(row.seed, row.file_name[7:12]) for row in rows_of(out)] == [(9, "00000")] * 4 + [(9, "00001")] * 3


def test_option_on_the_command_line_wins_over_the_environment(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick, GAN_BATCH_COUNT="7"))
    assert len(rows_of(tmp_path / "run")) == 2


def test_it_works_under_an_empty_environment(quick: list[str], tmp_path: Path) -> None:
    succeeds(run("env", "-i", SCRIPTS / quick[0], *quick[1:]))
    assert len(rows_of(tmp_path / "run")) == 2


def test_lines_on_stderr_are_timestamped_without_a_terminal(quick: list[str]) -> None:
    result = run(*quick)
    succeeds(result)
    lines = result.stderr.splitlines()
    assert lines
    assert [line for line in lines if not re.match(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} ", line)] == []


# Refused


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--count", "0"),
        ("--count", "many"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--shard-size", "0"),
        ("--batch-size", "0"),
        ("--workers", "0"),
        ("--device", "tpu"),
        ("--append", "0"),
        ("--max-seconds", "-1"),
        ("--keep", "0"),
        ("--quality-gate", "maybe"),
        ("--max-faulty", "1.5"),
        ("--log-format", "xml"),
    ],
)
def test_value_out_of_range_is_a_usage_error(option: str, value: str, quick: list[str], tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(*quick, f"{option}={value}"), 2, option)
    assert not (tmp_path / "run").exists()


def test_count_is_required(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", cwd=tmp_path), 2, "--count")
    assert list(tmp_path.iterdir()) == []


def test_count_and_append_exclude_each_other(quick: list[str], tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(*quick, "--append", "2"), 2, "--count", "--append")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "verify", "regen"])
def test_option_of_a_run_has_no_meaning_before_another_command(command: str, tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "--batch-size", "5", command, tmp_path), 2, "--batch-size", command)


def test_option_of_a_run_in_the_environment_does_not_disturb_another_command(quick: list[str], tmp_path: Path) -> None:
    succeeds(run_in_process(*quick))
    result = run_in_process("gan-batch", "status", tmp_path / "run", GAN_BATCH_BATCH_SIZE="5", GAN_BATCH_COUNT="9")
    assert (result.returncode, result.stderr) == (0, "")
    assert "count: 2\n" in result.stdout


def test_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "verfy", tmp_path), 2, "verfy")


def test_bad_value_in_the_environment_is_a_usage_error(quick: list[str]) -> None:
    fails_in_one_line(run_in_process(*quick, GAN_BATCH_SEED="tomorrow"), 2, "tomorrow")


def test_missing_model_is_named(quick: list[str], tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(*quick, "--model", str(tmp_path / "none.onnx")), 66, str(tmp_path / "none.onnx"))
    assert not (tmp_path / "run").exists()


def test_file_that_is_no_model_is_named(quick: list[str], tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    fails_in_one_line(run_in_process(*quick, "--model", str(tmp_path / "no.onnx")), 65, "no.onnx")


@pytest.mark.parametrize("below", ["", "run", "a/b"])
def test_out_at_or_below_a_file_cannot_be_written(below: str, quick: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    fails_in_one_line(run_in_process(*quick, "--out", str(tmp_path / "file" / below)), 73, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_debug_shows_the_traceback(quick: list[str], tmp_path: Path) -> None:
    result = run(*quick, "--model", str(tmp_path / "none.onnx"), "--debug")
    assert result.returncode == 66
    assert "Traceback" in result.stderr
