"""How far a long job is: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys

import pytest

from models.progress import duration
from tests.conftest import ROOT, clean_environment

PROGRAM = """
import sys, time
from models.log import log, set_up_logging
from models.progress import Progress

set_up_logging()
with Progress("making", 20, "images", seconds_between_lines=0.0) as bar:
    for _ in range(int(sys.argv[1])):
        time.sleep(0.02)
        bar.update(1)
    log.info("between")
"""


def test_without_a_terminal_progress_is_timestamped_lines_on_stderr() -> None:
    command = [sys.executable, "-c", PROGRAM, "3"]
    result = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True)
    lines = result.stderr.splitlines()
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO making: (\d+) of 20, [\d.]+ images/s, \d+ s left"
    counts = [match[1] for line in lines if (match := re.fullmatch(pattern, line))]
    assert counts == ["1", "2", "3"]
    assert result.stdout == ""


def on_a_terminal(program: str, *arguments: str) -> str:
    """What a program writes to stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=clean_environment(TERM="xterm"),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = bytearray()
        with contextlib.suppress(OSError):  # so Linux says that the other end is closed
            while part := os.read(ours, 4096):
                written += part
        os.close(ours)
        assert process.wait(60) == 0
    return written.decode()


def test_on_a_terminal_progress_is_a_bar_with_position_rate_and_time_left() -> None:
    written = on_a_terminal(PROGRAM, "10")
    assert re.search(r"making  \[#+-+\] +10/20 +[\d.]+ images/s, \d+ s left", written)


def test_on_a_terminal_a_log_line_does_not_end_up_behind_the_bar() -> None:
    written = on_a_terminal(PROGRAM, "3")
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
    found = re.findall(r"(\d+) s left", on_a_terminal(RESUMED))
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
