"""How the images of a shard lie in a run: a folder of PNG files, or one tar file of them.

Code that makes, reads, checks or removes images asks a `Format`, and need not know which one it is. Masks lie as images
do, in a folder of their own: to a `Format` they are the images of another root.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from jobs.dataset import tars
from jobs.dataset.layout import IMAGE, IMAGES, MASKS, OURS, manifest_name
from jobs.dataset.manifest import SIZE_COLUMN
from jobs.dataset.shard import Shard, Versions
from jobs.stores.store import Store

PNG, TAR = "png", "tar"
FORMATS = (PNG, TAR)
STRAY, BAD_TAR = "stray", "bad tar"
_FOLDER_NAME, _TAR_NAME = re.compile(r"\d{5,}"), re.compile(r"(\d{5,})\.tar")


@dataclass(frozen=True)
class Excess:
    """Something in a shard that no row tells of: `STRAY` or `BAD_TAR`, where, and more for people."""

    kind: str
    file_name: str
    detail: str


class ShardFiles(Protocol):
    """The images of a shard as they are found."""

    def contents(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """The images of these names; None for one that is not there.

        Raises:
            OSError: one cannot be read; the iterator goes on with the next.
        """

    def excess(self, names: Iterable[str]) -> list[Excess]:
        """What there is beside the images of these names, which are all that there should be."""


class Format(Protocol):
    """How the images of shards lie in a run. Names are relative to the run's folder.

    A format is told to other processes, so it is a value without state.

    Attributes:
        name: as a fingerprint and `--format` have it.
        is_whole: whether a shard is written in one go, and made anew where it shall hold more.
        root: the folder that the shards lie in; `.` in layout 1.
    """

    name: ClassVar[str]
    is_whole: ClassVar[bool]

    @property
    def root(self) -> str: ...

    def of_masks(self) -> Format:
        """How the masks of these images lie in the run."""

    def image(self, index: int, shard: int) -> str:
        """The name of image `index`, which belongs to shard number `shard`."""

    def place(self, shard: int) -> str:
        """The folder or file of a shard."""

    def holder(self, shard: int) -> str:
        """The folder that gets new names when a shard is written."""

    def number(self, name: str) -> int | None:
        """The number of the shard whose place in `root` has this name; None for any other name."""

    def begin(self, store: Store, shard: Shard) -> None:
        """Make ready for a shard, and remove images of ours that are not of it."""

    def versions(self, store: Store, is_wanted: Callable[[int], bool]) -> Versions:
        """What is there already of wanted shards, for `Shard.replaces`."""

    def written(self, store: Store, shard: Shard) -> int:
        """How many images of a shard are there, whether they are committed or not; its place exists."""

    def write(self, store: Store, piece: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        """Write images, which are name and content in order; they count once the shard's manifest is committed.

        Raises:
            CommandError: 75 where another process has written the shard meanwhile.
        """

    def broken(self, shard: Shard, indices: Iterable[int]) -> list[int]:
        """Which images have to be made again where these are broken, in order."""

    def restore(self, store: Store, shard: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        """Put images that were made again into their places, each whole at every moment; what is right stays."""

    def read(self, store: Store, name: str) -> bytes | None:
        """An image; None where it is not there."""

    def open(self, store: Store, shard: int) -> ShardFiles:
        """A shard, to look at all of it."""

    def remove(self, store: Store, shard: int) -> None:
        """Remove the images of a shard, and what a kill left among them."""


@dataclass(frozen=True)
class Folders:
    """A folder of PNG files for each shard."""

    root: str
    name: ClassVar[str] = PNG
    is_whole: ClassVar[bool] = False

    def of_masks(self) -> Format:
        return Folders(MASKS)

    def image(self, index: int, shard: int) -> str:
        return f"{self.place(shard)}/{index:08d}.png"

    def place(self, shard: int) -> str:
        return f"{shard:05d}" if self.root == "." else f"{self.root}/{shard:05d}"

    def holder(self, shard: int) -> str:
        return self.place(shard)

    def number(self, name: str) -> int | None:
        return int(name) if _FOLDER_NAME.fullmatch(name) else None

    def begin(self, store: Store, shard: Shard) -> None:
        def is_foreign(name: str) -> bool:
            return IMAGE.fullmatch(name) is not None and not shard.start <= int(name[:-4]) < shard.stop

        store.make_folder(self.place(shard.number), is_foreign)

    def versions(self, store: Store, is_wanted: Callable[[int], bool]) -> Versions:
        return {}  # whoever writes an image writes the same bytes

    def written(self, store: Store, shard: Shard) -> int:
        return len(store.names(self.place(shard.number)))

    def write(self, store: Store, piece: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        for name, content in files:
            store.write(name, content)

    def broken(self, shard: Shard, indices: Iterable[int]) -> list[int]:
        return sorted(set(indices))

    def restore(self, store: Store, shard: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        for name, content in files:
            if store.read(name) != content:
                store.replace(name, content)

    def read(self, store: Store, name: str) -> bytes | None:
        return store.read(name)

    def open(self, store: Store, shard: int) -> ShardFiles:
        return _Folder(store, self.place(shard))

    def remove(self, store: Store, shard: int) -> None:
        folder = self.place(shard)
        store.remove(folder, filter(OURS.fullmatch, store.names(folder)))


@dataclass(frozen=True)
class Tars:
    """A tar file for each shard, all of it in memory before it is written."""

    root: str
    name: ClassVar[str] = TAR
    is_whole: ClassVar[bool] = True

    def of_masks(self) -> Format:
        return Tars(MASKS)

    def image(self, index: int, shard: int) -> str:
        return f"{self.place(shard)}/{index:08d}.png"

    def place(self, shard: int) -> str:
        return f"{shard:05d}.tar" if self.root == "." else f"{self.root}/{shard:05d}.tar"

    def holder(self, shard: int) -> str:
        return self.root

    def number(self, name: str) -> int | None:
        match = _TAR_NAME.fullmatch(name)
        return int(match[1]) if match else None

    def begin(self, store: Store, shard: Shard) -> None:
        pass  # it is replaced whole

    def versions(self, store: Store, is_wanted: Callable[[int], bool]) -> Versions:
        places = [self.place(number) for number in numbers(store, self) if is_wanted(number)]
        return {place: store.version(place) for place in places}

    def written(self, store: Store, shard: Shard) -> int:
        return shard.images

    def write(self, store: Store, piece: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        place = self.place(piece.number)
        store.write_over(place, _pack(files), piece.replaces.get(place))

    def broken(self, shard: Shard, indices: Iterable[int]) -> list[int]:
        return list(range(shard.start, shard.stop))

    def restore(self, store: Store, shard: Shard, files: Iterable[tuple[str, bytes]]) -> None:
        content = _pack(files)
        if store.read(self.place(shard.number)) != content:
            store.replace(self.place(shard.number), content)

    def read(self, store: Store, name: str) -> bytes | None:
        """Of the tar file only this part is read: where it lies is the sum of the sizes in the manifest before it.

        Of masks, which are small, the manifest tells no sizes: there the headers in the tar file lead to it.
        """
        place, _, member = name.rpartition("/")
        if self.root == MASKS:
            try:
                with store.open(place) as file:
                    return tars.find_member(file, member)
            except FileNotFoundError:
                return None
        number = self.number(place.rpartition("/")[2])
        before = 0
        for line in (store.read(manifest_name(number or 0)) or b"").splitlines()[1:]:
            fields = line.decode(errors="replace").split(",")
            size = fields[SIZE_COLUMN] if len(fields) > SIZE_COLUMN else ""
            if not size.isdigit():
                return None
            if fields[1:2] == [name]:
                try:
                    with store.open(place) as file:
                        return tars.read_member(file, before, member, int(size))
                except FileNotFoundError:
                    return None
            before += tars.room(int(size))
        return None

    def open(self, store: Store, shard: int) -> ShardFiles:
        return _Tar(store, self.place(shard))

    def remove(self, store: Store, shard: int) -> None:
        store.remove(self.root, [self.place(shard).rpartition("/")[2]])


def format_of(fingerprint: Mapping[str, Any]) -> Format:
    """The format of a run."""
    root = IMAGES if fingerprint.get("layout", 1) > 1 else "."
    return Tars(root) if fingerprint.get("format") == TAR else Folders(root)


def numbers(store: Store, format: Format) -> list[int]:
    """Numbers of shards whose folder or file there is."""
    return [number for name in store.names(format.root) if (number := format.number(name)) is not None]


@dataclass(frozen=True)
class _Folder:
    store: Store
    folder: str

    def contents(self, names: Iterable[str]) -> Iterator[bytes | None]:
        return self.store.map(self.store.read, names)

    def excess(self, names: Iterable[str]) -> list[Excess]:
        known = {name.rpartition("/")[2] for name in names}
        strays = sorted(set(self.store.names(self.folder)) - known)
        return [Excess(STRAY, f"{self.folder}/{stray}", "no row names it") for stray in strays]


class _Tar:
    def __init__(self, store: Store, name: str) -> None:
        self._name = name
        self._content, self._files = b"", dict[str, bytes]()
        self._error: OSError | None = None
        try:
            self._content = store.read(name) or b""
            self._files = {f"{name}/{member}": file for member, file in tars.unpack(self._content).items()}
        except OSError as error:
            self._error = error

    def contents(self, names: Iterable[str]) -> Iterator[bytes | None]:
        return map(self._file, names)

    def _file(self, name: str) -> bytes | None:
        if self._error:
            raise self._error
        return self._files.get(name)

    def excess(self, names: Iterable[str]) -> list[Excess]:
        files = [(name, self._files.get(name)) for name in names]
        whole = [(name, content) for name, content in files if content is not None]
        if len(whole) < len(files) or self._content == _pack(whole):  # what is missing is a fault of its own
            return []
        return [Excess(BAD_TAR, self._name, "it is not the images of its manifest, one after the other")]


def _pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    return tars.pack((name.rpartition("/")[2], content) for name, content in files)
