"""Options of `gan-batch`: how many to add, when to stop, dates, the environment, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import click
import pytest

from jobs import run_batch
from jobs.cli import cli
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import batch, differing, rows_of, stamps, succeeds
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

SHARD = 10


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def forty(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 images; tests must not change it."""
    out = tmp_path_factory.mktemp("forty") / "run"
    succeeds(run_in_process(*batch(small, out, 40, "--shard-size", str(SHARD))))
    return out


def append(model: Path, out: Path, images: int, *options: str) -> list[str]:
    command = batch(model, out, 0, "--shard-size", str(SHARD), "--append", str(images), *options)
    at = command.index("--count")
    return command[:at] + command[at + 2 :]


def state(out: Path) -> tuple[str, int]:
    content = json.loads((out / "run.json").read_text())
    return content["state"], content["count"]


# --append


def test_append_begins_a_run_where_there_is_none(small: Path, forty: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*append(small, tmp_path / "run", 40)))
    assert differing(tmp_path / "run", forty) == []


def test_append_adds_to_a_complete_run_and_touches_none_of_its_images(small: Path, forty: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*append(small, out, 15)))
    before = {name: stamp for name, stamp in stamps(out).items() if name[0] == "0"}
    succeeds(run_in_process(*append(small, out, 25)))
    assert {name: stamps(out)[name] for name in before} == before
    assert differing(out, forty) == []


def test_append_finishes_a_run_that_was_cut_off_and_adds_nothing_to_it(
    small: Path, forty: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*append(small, out, 10)))
    cut_off = run(*append(small, out, 30, "--max-seconds", "0"))
    fails_in_one_line(cut_off, 3, str(out))
    assert state(out) == ("running", 40)
    succeeds(run_in_process(*append(small, out, 30)))
    assert state(out) == ("complete", 40)
    assert differing(out, forty) == []


def test_append_keeps_seed_and_shard_size_of_the_run(small: Path, forty: Path, tmp_path: Path) -> None:
    out = shutil.copytree(forty, tmp_path / "run")
    succeeds(run_in_process("gan-batch", "--append", "1", "--model", small, "--out", out))
    assert rows_of(out)[40].file_name == "images/00004/00000040.png"
    assert {row.seed for row in rows_of(out)} == {5}


def test_append_with_another_model_is_refused(forty: Path, tmp_path: Path) -> None:
    out = shutil.copytree(forty, tmp_path / "run")
    other = write_model(tmp_path / "other.onnx", seed=1)
    before = stamps(out)
    fails_in_one_line(run_in_process(*append(other, out, 5)), 78, "model_sha256")
    assert stamps(out) == before


@pytest.mark.parametrize(("count", "more"), [(None, None), (5, 5), (0, None), (None, 0)])
def test_library_wants_either_a_count_or_images_to_add(
    count: int | None, more: int | None, small: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="count"):
        run_batch(small, tmp_path / "run", count, append=more)
    assert os.listdir(tmp_path) == []


# --max-seconds


def test_run_stops_in_time_and_the_same_command_goes_on(small: Path, forty: Path, tmp_path: Path) -> None:
    out, command = tmp_path / "run", batch(small, tmp_path / "run", 40, "--shard-size", str(SHARD))
    for committed in (1, 2, 3):
        fails_in_one_line(run(*command, "--max-seconds", "0.01"), 3, f"{committed * SHARD} of 40", "again")
        assert len(list((out / "_manifests").iterdir())) == committed, "each call does one shard at least, and no more"
        assert state(out) == ("running", 40)
    succeeds(run(*command, "--max-seconds", "0.01"))
    assert differing(out, forty) == []


def test_time_enough_is_no_limit(small: Path, forty: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(small, tmp_path / "run", 40, "--shard-size", str(SHARD), "--max-seconds", "1000")))
    assert differing(tmp_path / "run", forty) == []


def test_run_stops_soon_after_its_time(small: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    result = run(*batch(small, tmp_path / "run", 100_000, "--shard-size", "20", "--max-seconds", "1.5"))
    fails_in_one_line(result, 3, "of 100000")
    assert 1.5 <= time.monotonic() - start < 20
    assert len(list((tmp_path / "run" / "_manifests").iterdir())) > 1


# {date} and {time}


def test_time_in_out_is_that_of_the_start_and_goes_into_the_seed(small: Path, tmp_path: Path) -> None:
    before = time.strftime("%Y%m%d%H%M%S")
    succeeds(run_in_process("gan-batch", "--count", "2", "--model", small, "--out", "{date}T{time}", cwd=tmp_path))
    (name,) = os.listdir(tmp_path)
    seed = rows_of(tmp_path / name)[0].seed
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{6}", name)
    assert str(seed) == name.replace("-", "").replace("T", "")
    assert before <= str(seed) <= time.strftime("%Y%m%d%H%M%S")


def test_seed_that_is_given_wins_over_the_time(small: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(small, Path("{time}"), 2), cwd=tmp_path))
    (name,) = os.listdir(tmp_path)
    assert {row.seed for row in rows_of(tmp_path / name)} == {5}


# The environment


def test_new_options_are_read_from_the_environment(small: Path, forty: Path, tmp_path: Path) -> None:
    old = shutil.copytree(forty, tmp_path / "2026-11-21")
    (old / "run.json").write_text((old / "run.json").read_text().replace("model.onnx", "mine"))
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    result = run(
        "gan-batch",
        GAN_BATCH_APPEND="3",
        GAN_BATCH_MODEL=str(gray),
        GAN_BATCH_OUT=str(tmp_path / "2026-11-22"),
        GAN_BATCH_LINE="mine",
        GAN_BATCH_LATEST=str(tmp_path / "latest"),
        GAN_BATCH_KEEP="1",
        GAN_BATCH_METRICS_FILE=str(tmp_path / "a.prom"),
        GAN_BATCH_QUALITY_GATE="warn",
        GAN_BATCH_MAX_CLIPPED="0.25",
        GAN_BATCH_MAX_SECONDS="1000",
        GAN_BATCH_LOG_FORMAT="json",
    )
    succeeds(result)
    assert sorted(os.listdir(tmp_path)) == ["2026-11-22", "a.prom", "gray.onnx", "latest"]
    gate = json.loads((tmp_path / "2026-11-22" / "quality.json").read_text())["gate"]
    assert (gate["mode"], gate["max_clipped"]) == ("warn", 0.25)
    assert {json.loads(line)["level"] for line in result.stderr.splitlines()} == {"INFO", "WARNING"}


def test_environment_of_a_run_does_not_hinder_the_commands_that_look_after_it(forty: Path) -> None:
    environment = {"GAN_BATCH_COUNT": "40", "GAN_BATCH_OUT": "elsewhere", "GAN_BATCH_KEEP": "3"}
    succeeds(run_in_process("gan-batch", "verify", forty, **environment))
    assert run_in_process("gan-batch", "status", forty, **environment).returncode == 0


def test_commands_read_the_model_from_the_environment(small: Path, forty: Path, tmp_path: Path) -> None:
    out = shutil.copytree(forty, tmp_path / "run")
    (out / "images" / "00000" / "00000000.png").unlink()
    succeeds(run_in_process("gan-batch", "verify", out, GAN_BATCH_MODEL=str(small), GAN_BATCH_VERIFY_REPAIR="1"))
    assert differing(out, forty, without=()) == []
    succeeds(
        run_in_process("gan-batch", "regen", out, cwd=tmp_path, GAN_BATCH_MODEL=str(small), GAN_BATCH_REGEN_INDEX="1")
    )
    assert (tmp_path / "00000001.png").read_bytes() == (out / "images" / "00000" / "00000001.png").read_bytes()


def test_a_hundred_milliards_of_images_are_counted_at_once_and_refused_for_the_room(
    small: Path, tmp_path: Path
) -> None:
    for more in ([], ["--format", "tar"], ["--part", "3/16"]):
        out = tmp_path / "-".join(["run", *more]).replace("/", "-")
        fails_in_one_line(run_in_process(*batch(small, out, 10**11, *more)), 74, "images need about", "GB", "free")


# Refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--count", "5", "verify", "OUT"], ["--count", "verify"]),
        (["--out", "OUT", "verify", "OUT"], ["--out", "verify"]),
        (["--seed", "5", "status", "OUT"], ["--seed", "status"]),
        (["--quality-gate", "off", "regen", "OUT", "--index", "1"], ["--quality-gate", "regen"]),
        (["--max-seconds", "5", "verify", "OUT"], ["--max-seconds", "verify"]),
        (["--count", "5", "--append", "5"], ["--count", "--append"]),
        ([], ["--count", "--append"]),
        (["--out", "OUT"], ["--count", "--append"]),
        (["--append", "0"], ["--append"]),
        (["--append", "-3"], ["--append"]),
        (["--fill", ""], ["--fill", "empty"]),
        (["--count", "5", "--out", ""], ["--out", "empty"]),
        (["verify", ""], ["OUT", "empty"]),
        (["--count", "5", "--keep", "0"], ["--keep"]),
        (["--count", "5", "--max-seconds", "-1"], ["--max-seconds"]),
        (["--count", "5", "--max-seconds", "nan"], ["--max-seconds"]),
        (["--count", "5", "--quality-gate", "maybe"], ["--quality-gate"]),
        (["--count", "5", "--max-faulty", "2"], ["--max-faulty"]),
        (["--count", "5", "--max-clipped", "-0.1"], ["--max-clipped"]),
        (["--count", "5", "--min-contrast", "nan"], ["--min-contrast"]),
        (["--count", "5", "--workers", "257"], ["--workers"]),
        (["--count", "5", "--shard-size", "100001"], ["--shard-size"]),
        (["--count", "5", "--log-format", "xml"], ["--log-format"]),
        (["verify"], ["OUT"]),
        (["verify", "OUT", "more"], ["more"]),
        (["verify", "OUT", "--count", "5"], ["--count"]),
        (["verfy", "OUT"], ["verfy"]),
        (["status"], ["OUT"]),
        (["regen", "OUT"], ["--index"]),
        (["regen", "OUT", "--index", "-1"], ["--index"]),
        (["regen", "OUT", "--index", "1.5"], ["--index"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_usage_error_is_one_line_and_nothing_is_made(
    arguments: list[str], words: list[str], forty: Path, tmp_path: Path
) -> None:
    before = stamps(forty)
    result = run_in_process("gan-batch", *(str(forty) if word == "OUT" else word for word in arguments), cwd=tmp_path)
    fails_in_one_line(result, 2, *words)
    assert os.listdir(tmp_path) == []
    assert stamps(forty) == before


def test_no_file_or_folder_may_be_named_by_nothing() -> None:
    """An unset variable of a script would else be the current folder."""
    of_all = [(command, each) for command in (cli, *cli.commands.values()) for each in command.params]
    named = [(command, each) for command, each in of_all if isinstance(each.type, click.Path)]
    assert {each.name for _, each in named} >= {"out", "run", "model", "fill", "latest", "metrics_file", "to", "real"}
    for command, each in named:
        with pytest.raises(click.BadParameter, match="empty name"):
            each.type_cast_value(click.Context(command), "")


@pytest.mark.parametrize("arguments", [["--count", "5"], ["--append", "5"], []], ids=str)
def test_count_and_append_from_the_environment_count_too(arguments: list[str], tmp_path: Path) -> None:
    environment = {"GAN_BATCH_COUNT": "5", "GAN_BATCH_APPEND": "5"}
    fails_in_one_line(run_in_process("gan-batch", *arguments, cwd=tmp_path, **environment), 2, "--count", "--append")


@pytest.mark.parametrize("command", [[], ["verify"], ["status"], ["regen"]], ids=str)
def test_help_goes_to_stdout(command: list[str]) -> None:
    result = run_in_process("gan-batch", *command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: gan-batch")


def test_error_is_an_object_where_lines_are(tmp_path: Path) -> None:
    result = run_in_process("gan-batch", "--log-format", "json", "verify", tmp_path / "none")
    assert result.returncode == 66
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["exit_code"] == 66
