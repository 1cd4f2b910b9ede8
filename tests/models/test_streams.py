"""Standard streams that are closed, full or not read: the exit code stays that of the work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment, run

PROGRAM = """
import os, sys
import click
from models import console
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress

@click.command()
@click.argument("code", type=int)
@click.option("--to", help="An option with a ≥ and a → in its help.")
@console.debug_option
def command(code, to):
    with Progress("working", 3, "things", seconds_between_lines=0) as progress:
        for number in range(3):
            progress.update(1)
            log.info("one more")
    click.echo("a line\\n" * 50_000)
    click.echo("caf\\udce9 and ≥", err=True)
    if to:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"mine")
    if code:
        raise CommandError(ExitCode(code), "the work ended so: ≥ caf\\udce9")

console.run(command, "gan-demo")
"""
BROKEN = (">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full", ">/dev/full 2>/dev/full", "| true", "2>&1 | head -c 1")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("program") / "gan_demo.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return f"{sys.executable} {path}"


def code_of(command: str, **environment: str) -> int:
    """The exit code of a command of the shell's, whatever reads what it prints."""
    return run("bash", "-c", f"set -o pipefail; {command}", **environment).returncode


ENDS = [("0", 0), ("76", 76)]
OTHER_ENDS = [("66", 66), ("--help", 0), ("--no", 2)]


@pytest.mark.parametrize(
    ("streams", "arguments", "code"),
    [(streams, *end) for streams in BROKEN for end in ENDS]
    + [(streams, *end) for streams in (">&- 2>&- <&-", ">/dev/full 2>/dev/full") for end in OTHER_ENDS],
)
def test_exit_code_is_that_of_the_work_whatever_the_streams_are(
    streams: str, arguments: str, code: int, demo: str
) -> None:
    assert code_of(f"{demo} {arguments} {streams}") == code


@pytest.mark.parametrize("command", ["gan-train", "gan-export", "gan-batch", "gan-eval"])
@pytest.mark.parametrize("streams", [">&- 2>&-", ">/dev/full 2>/dev/full", "| true"])
def test_help_ends_with_0_whoever_reads_it(command: str, streams: str) -> None:
    assert code_of(f"{command} --help {streams}") == 0


def test_output_that_found_no_room_is_told_of_on_stderr(demo: str) -> None:
    result = run("bash", "-c", f"{demo} 0 >/dev/full")
    assert result.returncode == 0
    assert result.stderr.splitlines()[-1].endswith("WARNING not all of the output was written: No space left on device")


def test_reader_that_wanted_no_more_is_no_matter_for_a_warning(demo: str) -> None:
    assert "WARNING" not in run("bash", "-c", f"{demo} 0 | head -c 1").stderr


def test_file_does_not_get_what_was_meant_for_a_closed_stream(demo: str, tmp_path: Path) -> None:
    assert code_of(f"{demo} 76 --to {tmp_path / 'file'} >&- 2>&-") == 76
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_stream_that_does_not_wait_gets_all_of_it(demo: str) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with subprocess.Popen(
        [*demo.split(), "0"], env=clean_environment(), stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        with open(ours, "rb") as file:
            content = file.read()
        assert process.wait(60) == 0
    assert content == b"a line\n" * 50_000 + b"\n"


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
    ids=["C locale", "Latin-1", "strict"],
)
@pytest.mark.parametrize(("arguments", "code"), [("66", 66), ("--help", 0), ("--no-such-\udce9", 2)])
def test_text_that_a_stream_cannot_encode_is_printed_all_the_same(
    environment: dict[str, str], arguments: str, code: int, demo: str
) -> None:
    result = run(*demo.split(), arguments, **environment)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert "bug" not in result.stderr
