"""Where shards land: what every place must do, and a folder; what a crash must not break is done here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from jobs.dataset.layout import IMAGE, MANIFESTS, MEASURES, PARQUET, TEMPORARY
from jobs.extras import extra
from jobs.stores.place import place
from jobs.stores.preflight import check_room
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

Item = TypeVar("Item")
Result = TypeVar("Result")
TABLE_END_BYTES = 512
"""More than the last line of a table of ours has."""


class Store(Protocol):
    """Where a run is. Names are relative to it and `/`-separated; `str` of it is for people, and for `open_store`.

    What fails raises OSError, with the file's name.
    """

    def close(self) -> None:
        """Give back the lock, but for who holds it with `hold`."""

    def hold(self) -> Callable[[], None]:
        """Hold the lock apart from `close`; returns a function that lets go."""

    def prepare(self) -> None:
        """Make the place itself, before anything is written to it."""

    def lock(self, part: str | None = None) -> None:
        """Take the place for this process, or a part of it, such as `3-of-16`, beside other parts of the 16.

        Raises:
            CommandError: 75 where another process holds it, or that part.
        """

    def is_locked(self) -> bool:
        """Whether a process holds it or a part of it; asking takes nothing."""

    def names(self, folder: str = ".") -> list[str]:
        """What lies directly in `folder`, sorted; nothing where it does not exist."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file."""

    def open(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file to be read in parts.

        Raises:
            FileNotFoundError: there is none.
        """

    def map(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """`call`, which reads from here, of each item; a place that is far away is asked for some of them at once."""

    def ends(self, folder: str, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        """The last `TABLE_END_BYTES` bytes of each file in `folder` whose name is `wanted`, from one listing."""

    def check_room(self, images: int, shards: int, image_bytes: int) -> None:
        """Compare what a run needs with what is free, where that is known.

        Args:
            images: to be written.
            shards: that they belong to.
            image_bytes: of one, as measured.

        Raises:
            CommandError: 74 where it cannot fit.
        """

    def make_folder(self, folder: str, start: int = 0, stop: int = 0) -> None:
        """Make a folder; where it is there, remove images from it that are not `start` to `stop - 1`.

        Only files named as our images are are removed: what else lies there is the user's.
        """

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove files from a folder, and the folder where nothing is left in it."""

    def remove_temporaries(self) -> None:
        """Remove what a kill left at the top and among the manifests and measures, and the locks of parts.

        For who holds the whole place.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write a file under its name, now or by the next `settle`; it counts only once a `commit` names it."""

    def version(self, name: str) -> Mapping[str, str] | None:
        """What tells this content of a file from any other, for `write_over`; None where there is no such file."""

    def write_over(self, name: str, content: bytes, version: Mapping[str, str] | None) -> None:
        """Write a file whole where there is none yet, or the one of `version`.

        For files whose content depends on who writes: a process that lost its right to the place while it was stopped,
        or cut off from the store, must not put its own over that of the next one.

        Raises:
            CommandError: 75 where there is another, and it is not this content already.
        """

    def settle(self) -> None:
        """Wait until all that `write` was given is written."""

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file."""

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Let `name` have this content, all of it or none, and for good."""

    def create(self, name: str, content: bytes) -> bool:
        """Like `replace`, but only where there is no such file; of several callers at once, one makes it.

        Returns:
            Whether this call made it.
        """

    def flush(self, *folders: str) -> None:
        """Make everything written so far last, and the names in these folders."""

    def commit(self, files: Mapping[str, bytes]) -> None:
        """Make everything written so far last, then let `files` appear whole, one after the other."""


def open_store(out: Path | str) -> Store:
    """The store that `out` names, a folder or the URL of an object store.

    Raises:
        CommandError: 2 where it is no URL to write to, or the package for it is not installed.
    """
    where = place(out)
    if isinstance(where, Path):
        return LocalStore(where)
    with extra("objects", "obstore", f"{where}: object stores need"):
        from jobs.stores.object_store import ObjectStore
    return ObjectStore(where)


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

    def check_room(self, images: int, shards: int, image_bytes: int) -> None:
        check_room(self.root, images, shards, image_bytes)

    def make_folder(self, folder: str, start: int = 0, stop: int = 0) -> None:
        path = self.root / folder
        if path.is_symlink():
            raise CommandError(ExitCode.CANNOT_WRITE, f"{path} is a link: remove it and run again")
        path.mkdir(exist_ok=True)
        images = filter(IMAGE.fullmatch, os.listdir(path))
        self._unlink(path, [name for name in images if not start <= int(name[:-4]) < stop])

    def remove(self, folder: str, names: Iterable[str]) -> None:
        path = self.root / folder
        if path.is_symlink():  # nothing behind a link is ours
            return
        self._unlink(path, names)
        with contextlib.suppress(OSError):  # what else lies there is the user's
            path.rmdir()

    def remove_temporaries(self) -> None:
        for folder in (".", MANIFESTS, MEASURES, PARQUET):
            self._unlink(self.root / folder, filter(TEMPORARY.fullmatch, self.names(folder)))
        self._unlink(self.root, filter(PART_LOCK.fullmatch, self.names()))  # who has the whole has every part

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
