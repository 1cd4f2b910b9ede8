"""Signals that ask a program to end: all of them, each with its own exit code, at a place to go on from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.stopping import SIGNALS, Stop, signal_name
from tests.conftest import clean_environment, run

PROGRAM = """
import os, signal, sys, time
import click
from models import console
from models.stopping import Stop

@click.command()
@click.argument("times", type=int)
def command(times):
    with Stop() as stop:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        print("ready", flush=True)
        while not stop:
            time.sleep(0.01)
        raise stop.error("run it again")

console.run(command, "gan-demo")
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "gan_demo.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "SIGINT"),
        (signal.SIGTERM, 143, "SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
        (signal.SIGQUIT, 131, "SIGQUIT"),
        (40, 168, "signal 40"),
    ],
)
def test_a_signal_ends_the_work_with_its_own_code_and_what_to_do_next(
    program: Path, number: int, code: int, name: str
) -> None:
    with subprocess.Popen(
        [sys.executable, str(program), "0"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, f"gan-demo: error: stopped by {name}; run it again\n")


def test_a_second_signal_acts_at_once(program: Path) -> None:
    assert run(sys.executable, program, "2", timeout=30).returncode == 130


def test_every_signal_that_ends_a_program_is_heard_and_no_other() -> None:
    left_alone = {
        "SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGPIPE",
        "SIGXFSZ", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGTSTP", "SIGTTIN", "SIGTTOU",
    }  # fmt: skip
    assert {signal_name(number) for number in set(signal.valid_signals()) - SIGNALS} == left_alone


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, 40])
def test_stop_remembers_which_signal_came(number: int) -> None:
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


FIRST = """
import os, sys, time
import click
from models import console
from models.stopping import Stop

@click.command()
def command():
    with Stop():
        pass
    print("ready", flush=True)
    time.sleep(60)

os.getpid = lambda: 1
console.run(command, "gan-demo")
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_containers_first_process_ends_by_a_signal_before_its_work_begins(number: int, code: int) -> None:
    """Linux delivers it none that it has no handler for; another process would end by the signal itself."""
    command = [sys.executable, "-c", FIRST]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=clean_environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, f"gan-demo: error: stopped by {signal.Signals(number).name}\n")
