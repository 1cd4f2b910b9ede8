"""Files written whole, and a folder that one process holds: with real processes, links and limits."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.errors import CommandError, ExitCode
from models.files import (
    create_atomically,
    is_locked,
    lock_folder,
    lock_part,
    sync_filesystem,
    sync_folder,
    write_atomically,
    write_file,
    write_probe,
)
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


# Writing


def test_written_file_holds_the_parts_one_after_the_other(tmp_path: Path) -> None:
    parts = [b"one", b"", os.urandom(3_000_001), b"end"]
    write_file(tmp_path / "file", iter(parts))
    assert (tmp_path / "file").read_bytes() == b"".join(parts)


def test_writing_again_leaves_nothing_of_a_longer_file(tmp_path: Path) -> None:
    write_file(tmp_path / "file", [b"old and long"])
    write_file(tmp_path / "file", [b"new"])
    assert (tmp_path / "file").read_bytes() == b"new"


def test_appending_keeps_what_is_there(tmp_path: Path) -> None:
    for part in (b"one ", b"two"):
        write_file(str(tmp_path / "file"), [part], append=True)
    assert (tmp_path / "file").read_bytes() == b"one two"


@pytest.mark.parametrize("options", [{}, {"append": True}], ids=str)
def test_file_is_never_written_through_a_link(options: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="file") as error:
        write_file(tmp_path / "file", [b"content"], **options)
    assert (error.value.errno, error.value.filename) == (errno.ELOOP, str(tmp_path / "file"))
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_written_file_obeys_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "file", [b"content"])
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_pipe_that_takes_a_little_at_a_time_gets_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    content = os.urandom(1_000_003)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_file(tmp_path / "pipe", [content])
    reader.join()
    assert read == [content]


def test_no_descriptor_stays_open_whether_writing_works_or_fails(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        write_file(tmp_path / "file", [b"content"])
        write_atomically(tmp_path / "other", lambda temporary: temporary.write_bytes(b"content"))
        with pytest.raises(OSError, match="none"):
            write_file(tmp_path / "none" / "file", [b"content"])
        with pytest.raises(OSError, match="No space"):
            write_file("/dev/full", [b"content"])
        os.close(lock_folder(tmp_path, "gan-batch"))
        is_locked(tmp_path)
    assert os.listdir("/proc/self/fd") == before


def test_full_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as error:
        write_file("/dev/full", [b"content"])
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "/dev/full")


@pytest.mark.parametrize("sync", [sync_folder, sync_filesystem])
def test_folder_to_flush_that_is_not_there_is_named(sync: Callable[[Path], None], tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        sync(tmp_path / "none")
    assert error.value.filename == str(tmp_path / "none")


# Writing whole files


def test_file_appears_whole_and_alone(tmp_path: Path) -> None:
    seen: list[bool] = []

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        seen.append((tmp_path / "file").exists())

    write_atomically(tmp_path / "file", write)
    assert seen == [False]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half of the ne")
        raise RuntimeError

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "file", write)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_link_is_replaced_by_the_file_and_what_it_led_to_stays(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "file").symlink_to("victim")
    write_atomically(tmp_path / "file", lambda temporary: temporary.write_bytes(b"new"))
    assert not (tmp_path / "file").is_symlink()
    assert [(tmp_path / name).read_bytes() for name in ("file", "victim")] == [b"new", b"mine"]


def test_folder_in_the_files_place_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(CommandError, match="no plain file") as error:
        write_atomically(tmp_path / "file", lambda temporary: pytest.fail("it was asked to write"))
    assert error.value.exit_code is ExitCode.CANNOT_WRITE


@pytest.mark.parametrize("size", [10, 5000])
def test_write_that_exceeds_the_limit_names_the_file_and_not_its_temporary(size: int, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OSError, match="too large") as error:
            write_atomically(tmp_path / "file", lambda temporary: write_file(temporary, [b"x" * 6000]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


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


# One of many makes a file


CREATE = """
import sys
from pathlib import Path
from models.files import create_atomically
sys.stdin.read(1)
print(create_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 100_000))
"""


def test_of_many_processes_one_makes_the_file_and_makes_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(path), str(number)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(6)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    said = [process.communicate()[0].strip() for process in processes]
    assert sorted(said) == ["False"] * 5 + ["True"]
    assert path.read_text() == str(said.index("True")) * 100_000
    assert os.listdir(tmp_path) == ["file"]


def test_file_that_is_there_is_not_made_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    assert not create_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_file_that_cannot_be_made_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        create_atomically(tmp_path / "none" / "file", b"new")
    assert error.value.filename == str(tmp_path / "none" / "file")
    assert os.listdir(tmp_path) == []


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


def test_write_probe_leaves_the_folder_and_nothing_in_it(tmp_path: Path) -> None:
    write_probe(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_write_probe_refuses_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError) as refused:
        write_probe(tmp_path / "file" / "folder")
    assert refused.value.exit_code is ExitCode.CANNOT_WRITE


def test_an_error_that_a_flush_of_the_file_system_meets_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr("models.files._libc", SimpleNamespace(syncfs=broken))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as raised:
        sync_filesystem(tmp_path)
    assert raised.value.errno == errno.EIO
