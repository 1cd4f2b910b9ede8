"""Where shards land: a folder, with what a crash must not break done here and nowhere else."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from pathlib import Path

from models.console import CommandError, ExitCode
from models.files import lock_folder, write_atomically

_IMAGE = re.compile(r"\d{8,}\.png")
_libc = ctypes.CDLL(None, use_errno=True)


class LocalStore:
    """A run's folder. Names are relative to it and `/`-separated.

    Args:
        root: the folder; it must exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self._lock_fd = -1

    def close(self) -> None:
        """Give back the lock and the folder."""
        os.close(self._fd)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def lock(self) -> None:
        """Take the folder for this process. The kernel lets go of it when the process ends, however it ends.

        Raises:
            CommandError: 75 where another process holds it.
        """
        self._lock_fd = lock_folder(self.root, "gan-batch")

    def names(self, folder: str = ".") -> list[str]:
        """What lies directly in `folder`; nothing where it does not exist."""
        try:
            return sorted(os.listdir(self.root / folder))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def make_folder(self, folder: str, start: int, stop: int) -> None:
        """Make a shard's folder; where it is there, remove images from it that are not `start` to `stop - 1`.

        Only files named as our images are are removed: what else lies there is the user's.
        """
        path = self.root / folder
        if path.is_symlink():
            raise CommandError(ExitCode.CANNOT_WRITE, f"{path} is a link: remove it and run again")
        path.mkdir(exist_ok=True)
        for name in os.listdir(path):
            if _IMAGE.fullmatch(name) and not start <= int(name[:-4]) < stop:
                (path / name).unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write a file under its name; it counts only once a `commit` names it."""
        path = self.root / name
        try:
            with open(path, "wb", buffering=0, opener=_not_through_links) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
        except OSError as error:
            error.filename = error.filename or os.fspath(path)  # a failed write names no file of its own
            raise

    def commit(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Flush everything written so far, then let `name` appear whole.

        One `syncfs` flushes the files of a whole shard; a sync of their folder would flush only their names.
        """
        if _libc.syncfs(self._fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fspath(self.root))
        parts = [content] if isinstance(content, bytes) else content

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                file.writelines(parts)

        write_atomically(self.root / name, write)


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
