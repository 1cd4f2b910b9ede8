"""Errors in one line, exit codes and lines for machines, with a small command of this file."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import click
import pytest

from models import console
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress
from tests.conftest import clean_environment, fails_in_one_line, run


def _fail(error: BaseException) -> NoReturn:
    raise error


def _progress() -> None:
    with Progress("making", 20, "images", seconds_between_lines=0.0) as bar:
        for _ in range(3):
            bar.update(1)
        log.info("between")


ACTIONS: dict[str, Callable[[int], object]] = {
    "nothing": lambda count: None,
    "command-error": lambda count: _fail(CommandError(ExitCode.BAD_DATA, "photo.png is empty;\nremove it")),
    "full": lambda count: Path("/dev/full").write_bytes(b"x"),
    "denied": lambda count: _fail(PermissionError(errno.EACCES, "Permission denied", "/there/file")),
    "bug": lambda count: _fail(IndexError("list index out of range")),
    "our-own-is-missing": lambda count: _fail(ModuleNotFoundError("No module named 'jobs.no'", name="jobs.no")),
    "interrupt": lambda count: _fail(KeyboardInterrupt()),
    "progress": lambda count: _progress(),
    "count": lambda count: log.info("count is %d", count),
}


@click.command()
@click.argument("action", type=click.Choice(list(ACTIONS)))
@click.option("--count", type=click.IntRange(min=1), default=3)
@console.log_format_option
@console.debug_option
def command(action: str, count: int) -> None:
    ACTIONS[action](count)


Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def demo() -> Iterator[Demo]:
    """Run it, in this process."""
    before = log.handlers[:]

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        log.handlers = []
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            mock.patch.dict(os.environ, clean_environment(**environment), clear=True),
            pytest.raises(SystemExit) as ended,
        ):
            console.run(command, "gan-demo", arguments)
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    yield call
    log.handlers = before


def test_a_command_error_ends_with_its_exit_code_and_its_message_in_one_line(demo: Demo) -> None:
    fails_in_one_line(demo("command-error"), 65, "gan-demo: error: photo.png is empty; remove it")


def test_a_full_disk_ends_with_74_and_says_to_run_again(demo: Demo) -> None:
    fails_in_one_line(demo("full"), 74, "No space left", "again")


def test_a_place_that_may_not_be_written_ends_with_73_and_is_named(demo: Demo) -> None:
    fails_in_one_line(demo("denied"), 73, "/there/file", "Permission denied")


def test_a_wrong_option_ends_with_2_and_points_to_help(demo: Demo) -> None:
    fails_in_one_line(demo("nothing", "--no-such-option"), 2, "--no-such-option", "gan-demo --help")


def test_a_value_out_of_range_ends_with_2_and_names_the_option(demo: Demo) -> None:
    fails_in_one_line(demo("nothing", "--count", "0"), 2, "--count")


def test_an_unexpected_exception_ends_with_1_and_is_called_a_bug(demo: Demo) -> None:
    fails_in_one_line(demo("bug"), 1, "bug: IndexError", "--debug")


def test_module_of_ours_that_is_missing_is_a_bug_and_not_to_be_installed(demo: Demo) -> None:
    fails_in_one_line(demo("our-own-is-missing"), 1, "bug", "jobs.no")


def test_ctrl_c_ends_with_130_and_without_a_traceback(demo: Demo) -> None:
    fails_in_one_line(demo("interrupt"), 130, "SIGINT")


def test_a_command_that_does_its_work_ends_with_0_and_says_nothing(demo: Demo) -> None:
    result = demo("nothing")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("action", ["bug", "command-error", "denied"])
def test_debug_shows_the_traceback(demo: Demo, action: str) -> None:
    assert "Traceback (most recent call last)" in demo(action, "--debug").stderr


def test_debug_keeps_the_exit_code_and_the_one_line_at_the_end(demo: Demo) -> None:
    result = demo("command-error", "--debug")
    assert (result.returncode, result.stderr.splitlines()[-1][:15]) == (65, "gan-demo: error")


def test_an_option_is_read_from_the_environment(demo: Demo) -> None:
    assert "count is 17" in demo("count", GAN_DEMO_COUNT="17").stderr


def test_an_option_on_the_command_line_wins_over_the_environment(demo: Demo) -> None:
    assert "count is 4" in demo("count", "--count", "4", GAN_DEMO_COUNT="17").stderr


def test_a_wrong_value_in_the_environment_ends_with_2_and_names_the_option(demo: Demo) -> None:
    fails_in_one_line(demo("count", GAN_DEMO_COUNT="many"), 2, "--count", "many")


# Lines for machines


def rows_of(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a command wrote to stderr, where each line must be a JSON object with a time, a level and a message."""
    assert result.stdout == ""
    rows = [json.loads(line) for line in result.stderr.splitlines()]
    for row in rows:
        assert {"time", "level", "message"} <= row.keys()
        assert time.strptime(row["time"], "%Y-%m-%dT%H:%M:%S%z")
    return rows


def test_as_json_a_line_of_the_log_is_an_object(demo: Demo) -> None:
    (row,) = rows_of(demo("count", "--log-format", "json"))
    assert (row["level"], row["message"]) == ("INFO", "count is 3")
    assert "exit_code" not in row


def test_as_json_each_line_of_progress_is_an_object(demo: Demo) -> None:
    rows = rows_of(demo("progress", "--log-format", "json"))
    assert [row["message"].split(",")[0] for row in rows] == [
        "making: 1 of 20", "making: 2 of 20", "making: 3 of 20", "between",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["command-error"], 65, "photo.png is empty; remove it"),
        (["full"], 74, "No space left"),
        (["denied"], 73, "/there/file"),
        (["bug"], 1, "bug: IndexError"),
        (["interrupt"], 130, "SIGINT"),
        (["nothing", "--count", "0"], 2, "--count"),
        (["no-such-action"], 2, "no-such-action"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_as_json_an_error_is_one_object_with_its_exit_code(
    first: bool, arguments: list[str], code: int, word: str, demo: Demo
) -> None:
    option = ["--log-format", "json"]
    result = demo(*option, *arguments) if first else demo(*arguments, *option)
    (row,) = rows_of(result)
    assert result.returncode == row["exit_code"] == code
    assert row["level"] == "ERROR"
    assert word in row["message"]


def test_as_json_an_option_that_is_not_there_is_one_object_too(demo: Demo) -> None:
    result = demo("--log-format", "json", "nothing", "--no-such-option")
    (row,) = rows_of(result)
    assert result.returncode == row["exit_code"] == 2
    assert "--no-such-option" in row["message"]


def test_as_json_a_traceback_stays_in_its_line(demo: Demo) -> None:
    traceback, error = rows_of(demo("bug", "--debug", "--log-format", "json"))
    assert "Traceback (most recent call last)" in traceback["traceback"]
    assert "IndexError" in traceback["traceback"]
    assert error["exit_code"] == 1


def test_log_format_is_read_from_the_environment(demo: Demo) -> None:
    result = demo("command-error", GAN_DEMO_LOG_FORMAT="json")
    assert [row["exit_code"] for row in rows_of(result)] == [65]
    fails_in_one_line(demo("command-error", "--log-format", "text", GAN_DEMO_LOG_FORMAT="json"), 65, "photo.png")


def test_gan_batch_writes_nothing_but_objects_to_stderr(tmp_path: Path) -> None:
    command = ["gan-batch", "--log-format", "json", "--model", "bundled", "--out", tmp_path / "run", "--device", "cpu"]
    made = run(*command, "--count", "3", "--seed", "5")
    assert made.returncode == 0
    assert any("3 of 3 images to make, seed 5" in row["message"] for row in rows_of(made))
    refused = run(*command, "--count", "3", "--seed", "6")
    *_, error = rows_of(refused)
    assert refused.returncode == error["exit_code"] == 78
    assert "seed was 5 and is 6" in error["message"]


def test_gan_batch_tells_of_the_error_of_an_inner_command_as_an_object(tmp_path: Path) -> None:
    result = run("gan-batch", "--log-format", "json", "verify", tmp_path)
    (row,) = rows_of(result)
    assert result.returncode == row["exit_code"] == 66
    assert str(tmp_path) in row["message"]
