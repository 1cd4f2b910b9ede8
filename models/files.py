"""Files that a crash, a second process or a stray link must not break."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from models.console import CommandError, ExitCode


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk: what was renamed into it stays."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, flush it to disk, then rename it: `path` is never half a file.

    Raises:
        CommandError: 73 where `path` is there and no plain file.
        OSError: with `path` as its file name.
    """
    if path.exists() and not path.is_file():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot write {path}: it is there and no plain file")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def lock_folder(folder: Path, program: str) -> int:
    """Take `folder` for this process; the kernel lets go of it when the process ends, however it ends.

    Returns:
        A file descriptor: closing it gives the folder back.

    Raises:
        CommandError: 75 where another process holds it.
    """
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise CommandError(ExitCode.LOCKED, f"another {program} is writing to {folder}") from None
    return fd
