"""A folder, or a part of it, that one process holds: with real processes and links."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.errors import CommandError, ExitCode
from models.files import is_locked, lock_folder, lock_part
from tests.conftest import ROOT

HOLD = """
import subprocess, sys
from pathlib import Path
from models.files import lock_folder
lock_folder(Path(sys.argv[1]), "gan-batch")
if sys.argv[2:]:
    child = subprocess.Popen(sys.argv[2:], close_fds=False, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
else:
    print("held", flush=True)
sys.stdin.read()
"""
TAKE = """
import sys
from pathlib import Path
from models.files import lock_folder
lock_folder(Path(sys.argv[1]), "gan-batch")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def hold() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start a process that holds a folder; gives it and the line that it prints then."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *child: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), *child],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


Hold = Callable[..., tuple[subprocess.Popen[str], str]]


def take(folder: Path) -> subprocess.CompletedProcess[str]:
    """Have another process take a folder and end."""
    return subprocess.run([sys.executable, "-c", TAKE, str(folder)], cwd=ROOT, capture_output=True, text=True)


# The lock


def test_second_process_is_refused_and_the_folder_named(folder: Path, hold: Hold) -> None:
    hold(folder)
    with pytest.raises(CommandError) as error:
        lock_folder(folder, "gan-batch")
    assert error.value.exit_code is ExitCode.LOCKED
    assert str(error.value) == f"another gan-batch is writing to {folder}"


def test_lock_is_refused_to_the_same_process_too(folder: Path) -> None:
    fd = lock_folder(folder, "gan-batch")
    with pytest.raises(CommandError) as error:
        lock_folder(folder, "gan-batch")
    assert error.value.exit_code is ExitCode.LOCKED
    os.close(fd)


def test_closing_the_descriptor_gives_the_folder_back(folder: Path) -> None:
    os.close(lock_folder(folder, "gan-batch"))
    assert take(folder).returncode == 0


def test_closing_another_descriptor_of_the_lock_file_keeps_the_lock(folder: Path) -> None:
    fd = lock_folder(folder, "gan-batch")
    (folder / ".lock").read_bytes()  # which would give back a lock of the older kind
    assert "another gan-batch" in take(folder).stderr
    os.close(fd)


def test_lock_of_a_killed_process_is_free(folder: Path, hold: Hold) -> None:
    process, _ = hold(folder)
    process.kill()
    process.wait()
    os.close(lock_folder(folder, "gan-batch"))


def test_child_program_does_not_keep_the_lock_of_a_killed_process(folder: Path, hold: Hold) -> None:
    process, child = hold(folder, "sleep", "60")
    try:
        assert is_locked(folder)
        process.kill()
        process.wait()
        assert Path(f"/proc/{child}/comm").read_text() == "sleep\n"  # it is alive
        assert not is_locked(folder)
        os.close(lock_folder(folder, "gan-batch"))
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_two_folders_are_locked_apart(tmp_path: Path, hold: Hold) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    hold(tmp_path / "one")
    os.close(lock_folder(tmp_path / "other", "gan-batch"))


def test_lock_is_not_made_through_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"\.lock") as error:
        lock_folder(folder, "gan-batch")
    assert error.value.errno == errno.ELOOP
    assert not (tmp_path / "victim").exists()


# Parts of it


HOLD_PART = """
import sys
from pathlib import Path
from models.files import lock_part
lock_part(Path(sys.argv[1]), "gan-batch", sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def let_go(fds: tuple[int, int]) -> None:
    for fd in fds:
        os.close(fd)


def refused_part(folder: Path, part: str) -> str:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(CommandError) as error:
        lock_part(folder, "gan-batch", part)
    assert error.value.exit_code is ExitCode.LOCKED
    assert os.listdir("/proc/self/fd") == before
    return str(error.value)


def test_parts_of_one_division_are_held_side_by_side(folder: Path) -> None:
    held = [lock_part(folder, "gan-batch", f"{number}-of-3") for number in (1, 2, 3)]
    for fds in held:
        let_go(fds)
    os.close(lock_folder(folder, "gan-batch"))


def test_same_part_twice_is_refused_and_named(folder: Path) -> None:
    held = lock_part(folder, "gan-batch", "2-of-3")
    assert refused_part(folder, "2-of-3") == f"another gan-batch is writing to part 2-of-3 of {folder}"
    let_go(held)
    let_go(lock_part(folder, "gan-batch", "2-of-3"))


def test_parts_of_two_divisions_are_not_held_at_once(folder: Path) -> None:
    let_go(lock_part(folder, "gan-batch", "2-of-8"))  # it is over, and its file is still there
    held = lock_part(folder, "gan-batch", "1-of-3")
    assert refused_part(folder, "2-of-8") == f"another gan-batch writes a part of 3 of {folder}"
    let_go(held)
    let_go(lock_part(folder, "gan-batch", "2-of-8"))


def test_whole_and_part_exclude_each_other(folder: Path) -> None:
    whole = lock_folder(folder, "gan-batch")
    assert refused_part(folder, "1-of-3") == f"another gan-batch is writing to {folder}"
    os.close(whole)
    held = lock_part(folder, "gan-batch", "1-of-3")
    assert is_locked(folder)
    with pytest.raises(CommandError) as error:
        lock_folder(folder, "gan-batch")
    assert error.value.exit_code is ExitCode.LOCKED
    let_go(held)
    assert not is_locked(folder)


def test_part_of_a_killed_process_is_free(folder: Path) -> None:
    command = [sys.executable, "-c", HOLD_PART, str(folder), "1-of-3"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    refused_part(folder, "1-of-3")
    process.kill()
    process.communicate()
    assert not is_locked(folder)
    let_go(lock_part(folder, "gan-batch", "1-of-3"))


# Asking


def test_folder_is_locked_while_a_process_holds_it_and_not_before_or_after(folder: Path, hold: Hold) -> None:
    assert not is_locked(folder)
    assert not (folder / ".lock").exists(), "asking made the lock file"
    process, _ = hold(folder)
    assert is_locked(folder)
    process.kill()
    process.wait()
    assert not is_locked(folder)


def test_process_that_holds_a_folder_is_told_that_it_is_locked(folder: Path) -> None:
    fd = lock_folder(folder, "gan-batch")
    assert is_locked(folder)
    assert is_locked(folder), "asking gave it back"
    assert "another gan-batch" in take(folder).stderr
    os.close(fd)
    assert not is_locked(folder)


def test_asking_does_not_take_the_lock(folder: Path) -> None:
    os.close(lock_folder(folder, "gan-batch"))
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            is_locked(folder)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2000):
            os.close(lock_folder(folder, "gan-batch"))  # which raises where somebody has it
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("place", ["none", "file"])
def test_place_that_is_no_folder_is_not_locked(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not is_locked(tmp_path / place)
