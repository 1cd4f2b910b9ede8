"""What every place must do that shards can land in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
STATE = "run.json"
"""The file that says whose the place is: an object store writes it only where nobody else did meanwhile."""
TABLE_END_BYTES = 1024
"""More than the last line of a table of ours has."""


class Store(Protocol):
    """Where a run is. Names are relative to it and `/`-separated; `str` of it is for people, and for `open_store`.

    What fails raises OSError, with the file's name.
    """

    def close(self) -> None:
        """Give back the lock, unless it is held with `hold`."""

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

    def check_room(self, images: int, shards: int, image_bytes: int, mask_bytes: int | None = None) -> None:
        """Compare what a run needs with what is free, where that is known.

        Args:
            images: to be written.
            shards: that they belong to.
            image_bytes: of one, as measured.
            mask_bytes: of its mask, where there are any.

        Raises:
            CommandError: 74 where it cannot fit.
        """

    def make_folder(self, folder: str, is_foreign: Callable[[str], bool] | None = None) -> None:
        """Make a folder, and those above it; where it is there, remove files from it whose names are foreign."""

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove files from a folder, and the folder where nothing is left in it."""

    def remove_temporaries(self, folders: Iterable[str], is_temporary: Callable[[str], object]) -> None:
        """Remove what a kill left in these folders, and the locks of parts: for the holder of the whole place."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file under its name, now or by the next `settle`; it counts only once a `commit` names it."""

    def version(self, name: str) -> Mapping[str, str] | None:
        """What tells this content of a file from any other, for `write_over`; None where there is no such file."""

    def write_over(self, name: str, content: bytes, version: Mapping[str, str] | None) -> None:
        """Write a file whole where there is none yet, or the one of `version`.

        For files whose content depends on their writer: a process that lost its right to the place while it was
        stopped, or cut off from the store, must not put its own over that of the next one.

        Raises:
            CommandError: 75 where there is another, and it is not this content already.
        """

    def settle(self) -> None:
        """Wait until all that `write` was given is written."""

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file."""

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Let `name` have this content, all of it or none, and for good."""

    def replace_shared(self, name: str, content: bytes) -> None:
        """Like `replace`, where others who hold no lock may do the same at once: one of them is the last."""

    def create(self, name: str, content: bytes) -> bool:
        """Like `replace`, but only where there is no such file; of several callers at once, one makes it.

        Returns:
            Whether this call made it.
        """

    def flush(self, *folders: str) -> None:
        """Make everything written so far last, and the names in these folders."""

    def commit(self, files: Mapping[str, bytes]) -> None:
        """Make everything written so far last, then let `files` appear whole, one after the other."""
