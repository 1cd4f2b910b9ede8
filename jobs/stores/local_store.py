"""A run's folder: what a crash must not break is done here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from jobs.stores.preflight import check_room
from jobs.stores.store import TABLE_END_BYTES, Item, Result
from models.errors import CommandError, ExitCode
from models.files import (
    PART_LOCK,
    create_atomically,
    is_locked,
    lock_folder,
    lock_part,
    sync_filesystem,
    sync_folder,
    temporary_name,
    write_atomically,
    write_file,
)


class LocalStore:
    """A run's folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock_fd = self._part_fd = -1

    def __str__(self) -> str:
        return str(self.root)

    def close(self) -> None:
        _close(self._lock_fd, self._part_fd)
        self._lock_fd = self._part_fd = -1

    def hold(self) -> Callable[[], None]:
        return partial(_close, *(os.dup(fd) for fd in (self._lock_fd, self._part_fd) if fd >= 0))

    def prepare(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    def lock(self, part: str | None = None) -> None:
        # The kernel lets go of it when the process ends, however it ends.
        if self._lock_fd < 0 and part is None:
            self._lock_fd = lock_folder(self.root, "gan-batch")
        elif self._lock_fd < 0 and part is not None:
            self._lock_fd, self._part_fd = lock_part(self.root, "gan-batch", part)

    def is_locked(self) -> bool:
        return is_locked(self.root)

    def names(self, folder: str = ".") -> list[str]:
        try:
            return sorted(os.listdir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def open(self, name: str) -> BinaryIO:
        return open(self.root / name, "rb")

    def map(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(call, items)

    def ends(self, folder: str, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        for name in filter(wanted, self.names(folder)):
            with contextlib.suppress(FileNotFoundError), open(f"{self.root}/{folder}/{name}", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TABLE_END_BYTES))
                yield name, file.read()

    def check_room(self, images: int, shards: int, image_bytes: int, mask_bytes: int | None = None) -> None:
        check_room(self.root, images, shards, image_bytes, mask_bytes)

    def make_folder(self, folder: str, is_foreign: Callable[[str], bool] | None = None) -> None:
        path = self.root  # which is there: else somebody removed the run
        for path in self._way_to(folder):
            if path.is_symlink():
                raise CommandError(ExitCode.CANNOT_WRITE, f"{path} is a link: remove it and run again")
            path.mkdir(exist_ok=True)
        if is_foreign:
            self._unlink(path, filter(is_foreign, os.listdir(path)))

    def _way_to(self, folder: str) -> Iterator[Path]:
        """A folder, after those above it up to the run's."""
        path = self.root
        for name in PurePosixPath(folder).parts:
            path /= name
            yield path

    def remove(self, folder: str, names: Iterable[str]) -> None:
        if any(path.is_symlink() for path in self._way_to(folder)):  # nothing behind a link is ours
            return
        path = self.root / folder
        self._unlink(path, names)
        with contextlib.suppress(OSError):  # what else lies there is the user's
            path.rmdir()

    def remove_temporaries(self, folders: Iterable[str], is_temporary: Callable[[str], object]) -> None:
        for folder in folders:
            self._unlink(self.root / folder, filter(is_temporary, self.names(folder)))
        self._unlink(self.root, filter(PART_LOCK.fullmatch, self.names()))  # the holder of the whole has every part

    def _unlink(self, folder: Path, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a folder of that name is the user's
                (folder / name).unlink()

    def write(self, name: str, content: bytes) -> None:
        write_file(f"{self.root}/{name}", [content])  # a Path for each image would cost time

    def version(self, name: str) -> Mapping[str, str] | None:
        return None  # nobody else has the lock while this process or its workers live

    def write_over(self, name: str, content: bytes, version: Mapping[str, str] | None) -> None:
        # One that is there may hold fewer images that are committed: they must not be lost halfway.
        (self.replace if self.exists(name) else self.write)(name, content)

    def settle(self) -> None:
        pass  # it is written

    def append(self, name: str, content: bytes) -> None:
        write_file(self.root / name, [content], append=True)

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        parts = [content] if isinstance(content, bytes) else content
        write_atomically(self.root / name, lambda temporary: write_file(temporary, parts))

    def replace_shared(self, name: str, content: bytes) -> None:
        write_atomically(self.root / name, lambda temporary: write_file(temporary, [content]), shared=True)

    def create(self, name: str, content: bytes) -> bool:
        return create_atomically(self.root / name, content)

    def flush(self, *folders: str) -> None:
        sync_filesystem(self.root, self._lock_fd)
        for folder in folders:
            sync_folder(self.root / folder)

    def commit(self, files: Mapping[str, bytes]) -> None:
        # One flush and one sync of each folder for all of them, so that several shards cost no more than one.
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


def _close(*fds: int) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):  # it was never written to, and the error that counts may be under way
            os.close(fd)
