"""Files that a crash, a full disk, a second process or a stray link must not break.

All that is opened, written, flushed, renamed and closed here goes through `os`, one call each, so that a test can let
any one of them fail.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from models.console import CommandError, ExitCode

LOCK = ".lock"
_libc = ctypes.CDLL(None, use_errno=True)
_PLAIN = os.O_NOFOLLOW | os.O_CLOEXEC
_WHOLE_FILE = struct.pack("hhqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock on 64-bit Linux


def write_file(path: str | Path, parts: Iterable[bytes], *, append: bool = False) -> None:
    """Write `parts` to `path`, or with `append` to its end, never through a link.

    Raises:
        OSError: with `path` as its file name.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC) | _PLAIN, 0o666)
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
    except OSError as error:
        raise _about(path, error) from None


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk: what was renamed into it stays."""
    _on_descriptor(folder, os.O_RDONLY | os.O_DIRECTORY, os.fsync)


def sync_filesystem(folder: Path, fd: int = -1) -> None:
    """Flush everything written so far to the file system that holds `folder`.

    One call flushes the files of many shards; a sync of their folder would flush only their names.

    Args:
        folder: on the file system.
        fd: of a file on it, where one is open since before the writing: it is told of an I/O error in between, also
            where another program's flush met it first (syncfs(2)).
    """
    if fd < 0:
        _on_descriptor(folder, os.O_RDONLY | os.O_DIRECTORY, _syncfs)
        return
    try:
        _syncfs(fd)
    except OSError as error:
        raise _about(folder, error) from None


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, flush it to disk, then rename it: `path` is never half a file.

    Raises:
        CommandError: 73 where `path` is there and no plain file.
        OSError: with `path` as its file name.
    """
    if path.exists() and not path.is_file():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot write {path}: it is there and no plain file")
    temporary = temporary_name(path)
    try:
        write(temporary)
        _on_descriptor(temporary, os.O_RDWR, os.fsync)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _about(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Where a file is written before it is renamed to `path`."""
    return path.with_name(f".{path.name}.tmp")


def lock_folder(folder: Path, program: str) -> int:
    """Take `folder` for this process; the kernel lets go of it when the process ends, however it ends.

    An open-file-description lock: no program that this process starts holds it, and `is_locked` asks without taking it.

    Returns:
        A file descriptor: closing it gives the folder back.

    Raises:
        CommandError: 75 where another process holds it.
    """
    path = folder / LOCK
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _PLAIN, 0o666)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE_FILE)
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
            os.close(fd)  # who held it before removed it with the folder's content: lock the one that is there now
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError | PermissionError):
                raise CommandError(ExitCode.LOCKED, f"another {program} is writing to {folder}") from None
            raise _about(path, error) from None


def is_locked(folder: Path) -> bool:
    """Whether a process holds `folder`; asking takes nothing, so it cannot get in the way of one that starts."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | _PLAIN)
    except OSError:
        return False  # nobody ever took it
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(fd)
    kind: int = struct.unpack_from("h", answer)[0]
    return kind != fcntl.F_UNLCK


def _syncfs(fd: int) -> None:
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _on_descriptor(path: Path, flags: int, action: Callable[[int], object]) -> None:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
        try:
            action(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _about(path, error) from None


def _about(path: str | Path, error: OSError) -> OSError:
    """`error` with `path` as its file name: a failed write names none, a failed rename two."""
    return error if error.errno is None else OSError(error.errno, error.strerror, os.fspath(path))
