"""Where shards land: a folder, with what a crash must not break done here and nowhere else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from jobs.layout import IMAGE, MANIFESTS, MEASURES, TEMPORARY
from models.console import CommandError, ExitCode
from models.files import lock_folder, sync_filesystem, sync_folder, temporary_name, write_atomically, write_file


class LocalStore:
    """A run's folder. Names are relative to it and `/`-separated.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock_fd = -1

    def close(self) -> None:
        """Give back the lock, but for who holds it with `hold`."""
        _close(self._lock_fd)
        self._lock_fd = -1

    def hold(self) -> Callable[[], None]:
        """Hold the lock apart from `close`; returns a function that lets go."""
        return partial(_close, os.dup(self._lock_fd) if self._lock_fd >= 0 else -1)

    def lock(self) -> None:
        """Take the folder for this process. The kernel lets go of it when the process ends, however it ends.

        Raises:
            CommandError: 75 where another process holds it.
        """
        if self._lock_fd < 0:
            self._lock_fd = lock_folder(self.root, "gan-batch")

    def names(self, folder: str = ".") -> list[str]:
        """What lies directly in `folder`; nothing where it does not exist."""
        try:
            return sorted(os.listdir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def make_folder(self, folder: str, start: int = 0, stop: int = 0) -> None:
        """Make a folder; where it is there, remove images from it that are not `start` to `stop - 1`.

        Only files named as our images are are removed: what else lies there is the user's.
        """
        path = self.root / folder
        if path.is_symlink():
            raise CommandError(ExitCode.CANNOT_WRITE, f"{path} is a link: remove it and run again")
        path.mkdir(exist_ok=True)
        images = filter(IMAGE.fullmatch, os.listdir(path))
        self._unlink(path, [name for name in images if not start <= int(name[:-4]) < stop])

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove files from a folder, and the folder where nothing is left in it; nothing behind a link."""
        path = self.root / folder
        if path.is_symlink():
            return
        self._unlink(path, names)
        with contextlib.suppress(OSError):  # what else lies there is the user's
            path.rmdir()

    def remove_temporaries(self) -> None:
        """Remove what a kill left at the top and among the manifests and measures."""
        for folder in (".", MANIFESTS, MEASURES):
            self._unlink(self.root / folder, filter(TEMPORARY.fullmatch, self.names(folder)))

    def _unlink(self, folder: Path, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a folder of that name is the user's
                (folder / name).unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write a file under its name; it counts only once a `commit` names it."""
        write_file(f"{self.root}/{name}", [content])  # a Path for each image would cost time

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file."""
        write_file(self.root / name, [content], append=True)

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Let `name` have this content, all of it or none, and on disk."""
        parts = [content] if isinstance(content, bytes) else content
        write_atomically(self.root / name, lambda temporary: write_file(temporary, parts))

    def flush(self, *folders: str) -> None:
        """Put everything written so far on disk, and the names in these folders."""
        sync_filesystem(self.root, self._lock_fd)
        for folder in folders:
            sync_folder(self.root / folder)

    def commit(self, files: Mapping[str, bytes]) -> None:
        """Flush everything written so far, then let `files` appear whole, one after the other.

        One flush and one sync of each folder for all of them, so that several shards cost no more than one.
        """
        paths = {self.root / name: content for name, content in files.items()}
        try:
            for path, content in paths.items():
                write_file(temporary_name(path), [content])
            sync_filesystem(self.root, self._lock_fd)
            for path in paths:
                os.replace(temporary_name(path), path)
            for folder in dict.fromkeys(path.parent for path in paths):
                sync_folder(folder)
        finally:
            for path in paths:
                temporary_name(path).unlink(missing_ok=True)


def _close(fd: int) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):  # it was never written to, and the error that counts may be under way
            os.close(fd)
