"""Files written whole, or not at all: with real processes, links and limits."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.errors import CommandError, ExitCode
from models.files import (
    create_atomically,
    is_locked,
    lock_folder,
    sync_filesystem,
    sync_folder,
    write_atomically,
    write_file,
    write_probe,
)
from tests.conftest import ROOT

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


@pytest.mark.parametrize("old", [None, b"old"])
def test_file_appears_whole_and_alone(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    seen: list[bytes | None] = []

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        seen.append(path.read_bytes() if path.exists() else None)

    write_atomically(path, write)
    assert seen == [old]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


@pytest.mark.parametrize(
    ("error", "there"),
    [
        (RuntimeError("a bug"), {"file": b"old"}),
        (OSError(errno.ENOSPC, "No space left on device"), {"file": b"old"}),
        (OSError(errno.ENOSPC, "No space left on device"), {}),
    ],
    ids=["a bug", "no space", "no space for a new file"],
)
def test_write_that_fails_leaves_what_was_there_and_nothing_else(
    error: Exception, there: dict[str, bytes], tmp_path: Path
) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half of the ne")
        raise error

    for name, content in there.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(type(error), match=r"a bug|No space"):
        write_atomically(tmp_path / "file", write)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there


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


# A place to write to, and a disk that fails


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
