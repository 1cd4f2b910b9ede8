"""Errors in one line, exit codes, signals and progress, with a small program of this file."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from models.console import CommandError, ExitCode, Stop, duration, write_probe, writing_error
from tests.conftest import clean_environment, fails_in_one_line, run

PROGRAM = """
import errno, os, signal, sys, time
import click
from models import console
from models.console import CommandError, ExitCode, Progress, Stop, log

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
from models.console import Progress
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
