"""Files that a crash, a full disk, a second process or a stray link must not break.

All that is opened, written, flushed, renamed and closed here goes through `os`, one call each, so that a test can let
any one of them fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import secrets
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from models.errors import CommandError, ExitCode, writing_error

LOCK = ".lock"
PART_LOCK = re.compile(rf"{re.escape(LOCK)}-\d+-of-(\d+)")
_libc = ctypes.CDLL(None, use_errno=True)
_PLAIN = os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(path: str | Path, parts: Iterable[bytes | memoryview], *, append: bool = False) -> None:
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


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether a library that takes every name for UTF-8 finds `path`: not where the bytes are others."""
    name = os.fspath(path)
    return os.fsencode(name) == name.encode(errors="replace")


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


def write_atomically(path: Path, write: Callable[[Path], object], *, shared: bool = False) -> None:
    """Let `write` make a file beside `path`, flush it to disk, then rename it: `path` is never half a file.

    Args:
        path: the file.
        write: is called with the name to write to.
        shared: whether others may write the same file at once: then none takes another's half file for its own.

    Raises:
        CommandError: 73 where `path` is there and no plain file.
        OSError: with `path` as its file name.
    """
    if path.exists() and not path.is_file():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot write {path}: it is there and no plain file")
    temporary = _own_name(path) if shared else temporary_name(path)
    try:
        write(temporary)
        _on_descriptor(temporary, os.O_RDWR, os.fsync)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _about(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def create_atomically(path: Path, content: bytes) -> bool:
    """Make the file `path` with this content, flushed to disk, unless it is there; it is never half a file.

    Of several processes, also on several machines that share the file system, one makes it.

    Returns:
        Whether this call made it.

    Raises:
        OSError: with `path` as its file name.
    """
    temporary = _own_name(path)
    try:
        write_file(temporary, [content])
        _on_descriptor(temporary, os.O_RDWR, os.fsync)
        os.link(temporary, path)  # which, unlike a rename, replaces nothing
        sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise _about(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return True


def temporary_name(path: Path) -> Path:
    """Where a file is written before it is renamed to `path`."""
    return path.with_name(f".{path.name}.tmp")


def _own_name(path: Path) -> Path:
    """The same, which no other writer has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def lock_folder(folder: Path, program: str) -> int:
    """Take `folder` for this process; the kernel lets go of it when the process ends, however it ends.

    An open-file-description lock: no program that this process starts holds it, and `is_locked` asks without taking it.

    Returns:
        A file descriptor: closing it gives the folder back.

    Raises:
        CommandError: 75 where another process holds it, or a part of it.
    """
    try:
        return _lock(folder / LOCK, fcntl.F_WRLCK)
    except BlockingIOError:
        raise CommandError(ExitCode.LOCKED, f"another {program} is writing to {folder}") from None


def lock_part(folder: Path, program: str, part: str) -> tuple[int, int]:
    """Take a part of a folder for this process; others may take the other parts meanwhile.

    Args:
        folder: which.
        program: its name, for the error.
        part: which of how many, such as `3-of-16`.

    Returns:
        Two file descriptors, as from `lock_folder`: of the folder, which nobody can take whole now, and of the part.

    Raises:
        CommandError: 75 where another process holds the whole folder, this part, or a part of another division.
    """
    with contextlib.ExitStack() as on_error:
        try:
            whole = _lock(folder / LOCK, fcntl.F_RDLCK)
            on_error.callback(os.close, whole)
            own = _lock(folder / f"{LOCK}-{part}", fcntl.F_WRLCK)
            on_error.callback(os.close, own)
        except BlockingIOError as error:
            what = str(folder) if error.filename == f"{folder / LOCK}" else f"part {part} of {folder}"
            raise CommandError(ExitCode.LOCKED, f"another {program} is writing to {what}") from None
        # Looked for with our own lock taken: of two divisions that begin at once, one at least sees the other.
        for name in os.listdir(folder):
            other = PART_LOCK.fullmatch(name)
            if other and other[1] != part.rpartition("-")[2] and _is_locked(folder / name):
                raise CommandError(ExitCode.LOCKED, f"another {program} writes a part of {other[1]} of {folder}")
        on_error.pop_all()
    return whole, own


def _lock(path: Path, kind: int) -> int:
    """Lock a file, which is made where it is not there; returns its descriptor.

    Raises:
        BlockingIOError: another process holds it.
        OSError: with `path` as its file name.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _PLAIN, 0o666)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(kind))
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
            os.close(fd)  # who held it before removed it with the folder's content: lock the one that is there now
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError | PermissionError):
                raise BlockingIOError(error.errno, error.strerror, os.fspath(path)) from None
            raise _about(path, error) from None


def is_locked(folder: Path) -> bool:
    """Whether a process holds `folder` or a part of it; asking takes nothing, so it is in nobody's way."""
    return _is_locked(folder / LOCK)


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | _PLAIN)
    except OSError:
        return False  # nobody ever took it
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(fd)
    kind: int = struct.unpack_from("h", answer)[0]
    return kind != fcntl.F_UNLCK


def _whole_file(kind: int) -> bytes:
    return struct.pack("hhqqixxxx", kind, os.SEEK_SET, 0, 0, 0)  # struct flock on 64-bit Linux


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


def write_probe(folder: str | os.PathLike[str]) -> None:
    """Make `folder` and write to it, so that a place that cannot be written is known before the work.

    Raises:
        CommandError: 73 or 74, with the system's reason.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except OSError as error:
        raise writing_error(error) from None
