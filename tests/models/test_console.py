"""Errors in one line, exit codes, signals and progress, with a small program of this file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import CommandError, ExitCode, writing_error
from models.files import write_probe
from models.progress import duration
from models.stopping import Stop
from tests.conftest import clean_environment, fails_in_one_line, run

PROGRAM = """
import errno, os, signal, sys, time
import click
from models import console
from models.errors import CommandError, ExitCode
from models.progress import Progress
from models.stopping import Stop
from models.log import log

def fill_the_disk():
    with open("/dev/full", "w") as file:
        file.write("x")

def progress(count, pause):
    with Progress("making", 20, "images", seconds_between_lines=0.0) as bar:
        for number in range(count):
            time.sleep(pause)
            bar.update(1)
        log.info("between")

def wait():
    with Stop() as stop:
        print("ready", flush=True)
        while not stop:
            time.sleep(0.01)
        raise stop.error("run it again")

def stop_twice():
    with Stop():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

def fail(error):
    raise error

ACTIONS = {
    "nothing": lambda count: None,
    "command-error": lambda count: fail(CommandError(ExitCode.BAD_DATA, "photo.png is empty;\\nremove it")),
    "full": lambda count: fill_the_disk(),
    "denied": lambda count: fail(PermissionError(errno.EACCES, "Permission denied", "/there/file")),
    "bug": lambda count: [][0],
    "interrupt": lambda count: (os.kill(os.getpid(), signal.SIGINT), time.sleep(5)),
    "wait": lambda count: wait(),
    "stop-twice": lambda count: stop_twice(),
    "progress": lambda count: progress(count, 0.02),
    "count": lambda count: log.info("count is %d", count),
}

@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.option("--count", type=click.IntRange(min=1), default=3)
@console.log_format_option
@console.debug_option
def command(action, count):
    ACTIONS[action](count)

console.run(command, "gan-demo")
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that uses `console.run` as our commands do."""
    path = tmp_path_factory.mktemp("program") / "gan_demo.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def demo(program: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run it."""
    return lambda *arguments, **environment: run(sys.executable, program, *arguments, **environment)


Demo = Callable[..., subprocess.CompletedProcess[str]]


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
    command = ["gan-batch", "--log-format", "json", "--out", tmp_path / "run", "--device", "cpu"]
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


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_work_with_its_own_code_and_what_to_do_next(
    program: Path, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, str(program), "wait"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, f"gan-demo: error: stopped by {number.name}; run it again\n")


def test_a_second_signal_acts_at_once(demo: Demo) -> None:
    assert demo("stop-twice", timeout=4).returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_remembers_which_signal_came(number: signal.Signals) -> None:
    with Stop() as stop:
        os.kill(os.getpid(), number)
    assert stop.signal_number == number


def test_stop_is_false_until_a_signal_comes() -> None:
    with Stop() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_puts_the_handlers_back_at_its_end(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stop():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def test_stop_puts_both_handlers_back_after_the_first_signal() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop():
        os.kill(os.getpid(), signal.SIGTERM)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_stop_outside_the_main_thread_leaves_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def work() -> None:
        with Stop():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


def test_without_a_terminal_progress_is_timestamped_lines(demo: Demo) -> None:
    lines = demo("progress").stderr.splitlines()
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO making: (\d+) of 20, [\d.]+ images/s, \d+ s left"
    counts = [match[1] for line in lines if (match := re.fullmatch(pattern, line))]
    assert counts == ["1", "2", "3"]


def test_without_a_terminal_nothing_goes_to_stdout(demo: Demo) -> None:
    assert demo("progress").stdout == ""


def on_a_terminal(*command: str | Path) -> str:
    """What a program writes to stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(part) for part in command], env=clean_environment(TERM="xterm"), stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        written = bytearray()
        with contextlib.suppress(OSError):  # so Linux says that the other end is closed
            while part := os.read(ours, 4096):
                written += part
        os.close(ours)
        assert process.wait(60) == 0
    return written.decode()


def test_on_a_terminal_progress_is_a_bar_with_position_rate_and_time_left(program: Path) -> None:
    written = on_a_terminal(sys.executable, program, "progress", "--count", "10")
    assert re.search(r"making  \[#+-+\] +10/20 +[\d.]+ images/s, \d+ s left", written)


def test_on_a_terminal_a_log_line_does_not_end_up_behind_the_bar(program: Path) -> None:
    written = on_a_terminal(sys.executable, program, "progress")
    assert re.search(r"\r\x1b\[K\d{4}-\d\d-\d\d [\d:]+ INFO between", written)


RESUMED = """
import time
from models.progress import Progress
with Progress("making", 2000, "images", done=1000) as bar:
    time.sleep(1)
    bar.update(50)
"""


def test_time_left_of_a_resumed_job_does_not_count_what_an_earlier_run_did() -> None:
    # 50 images took 1 s, 950 are left: 19 s, and not the 1 s that 1050 images a second would take.
    found = re.findall(r"(\d+) s left", on_a_terminal(sys.executable, "-c", RESUMED))
    assert found
    assert int(found[-1]) >= 15


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (48, "48 s"),
        (119, "119 s"),
        (720, "12 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (float("inf"), "unknown time"),
    ],
)
def test_a_duration_is_said_in_the_unit_of_its_size(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_broken_disk_is_74(number: int) -> None:
    assert writing_error(OSError(number, os.strerror(number))).exit_code is ExitCode.IO_ERROR


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_a_place_that_is_not_to_be_written_is_73(number: int) -> None:
    assert writing_error(OSError(number, os.strerror(number))).exit_code is ExitCode.CANNOT_WRITE


def test_write_probe_leaves_the_folder_and_nothing_in_it(tmp_path: Path) -> None:
    write_probe(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_write_probe_refuses_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError) as refused:
        write_probe(tmp_path / "file" / "folder")
    assert refused.value.exit_code is ExitCode.CANNOT_WRITE
