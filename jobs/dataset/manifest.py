"""Manifests: a CSV a shard, whose presence is the shard's commit, and one for the whole run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import BinaryIO

from jobs.dataset.layout import MANIFEST, MANIFESTS, TABLE, manifest_name
from jobs.dataset.part import Part
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode


@dataclass  # not frozen: that would take twice as long, for each of millions
class Row:
    """One image; the fields are the columns, those that are None left out.

    Attributes:
        file_name: relative to the run's folder and `/`-separated.
        label: the name of its class; None in a run without classes.
        label_id: the number of its class, from 0; None in a run without classes.
        mask_file_name, mask_sha256: of the file of its mask; None in a run without masks.
    """

    index: int
    file_name: str
    seed: int
    sha256: str
    width: int
    height: int
    mode: str
    bytes: int
    label: str | None = None
    label_id: int | None = None
    mask_file_name: str | None = None
    mask_sha256: str | None = None


_COLUMNS = [field.name for field in fields(Row)]
_OF_ALL = _COLUMNS.index("label")
"""Columns that every manifest has."""
_OF_MASKS = _COLUMNS.index("mask_file_name")
SIZE_COLUMN = _COLUMNS.index("bytes")
SHA256 = re.compile("[0-9a-f]{64}")


def column_names(labels: bool = False, masks: bool = False) -> bytes:
    """The first line of a manifest, by whether the run has classes and masks."""
    columns = _COLUMNS[:_OF_ALL] + _COLUMNS[_OF_ALL:_OF_MASKS] * labels + _COLUMNS[_OF_MASKS:] * masks
    return (",".join(columns) + "\n").encode()


_FIRST_LINES = {column_names(labels, masks): (labels, masks) for labels in (False, True) for masks in (False, True)}


Difference = tuple[int | None, str]
"""The index of an image whose row differs, or None where it is about more than one row; and words for people."""


def lines(rows: Sequence[Row]) -> bytes:
    """Rows as lines of CSV; no field can hold a comma or a quote."""
    values = ([str(value) for value in vars(row).values() if value is not None] for row in rows)
    return "".join(",".join(fields) + "\n" for fields in values).encode()


def to_csv(rows: Sequence[Row]) -> bytes:
    """A shard's manifest."""
    has_labels, has_masks = (any(getattr(row, name) is not None for row in rows) for name in ("label", "mask_sha256"))
    return column_names(has_labels, has_masks) + lines(rows)


def committed(
    store: Store, shard_size: int, part: Part | None = None, check: Callable[[], object] = lambda: None
) -> dict[int, int]:
    """The shards of a run, or of a part of it, that are committed, each with the index after its last image.

    A manifest whose last line names no image of its shard does not count. `check` is called for each; what it raises
    ends the work.

    One listing, and the last line of each manifest: the cost grows with the shards, not with the images.
    """
    done: dict[int, int] = {}

    def is_wanted(name: str) -> bool:
        return TABLE.fullmatch(name) is not None and (part is None or part.has(int(name[:-4])))

    for name, end in store.ends(MANIFESTS, is_wanted):
        check()
        shard, index = int(name[:-4]), _last_line(end).split(b",", 1)[0]
        if index.isdigit() and int(index) // shard_size == shard:
            done[shard] = int(index) + 1
    return done


def from_csv(content: bytes) -> list[Row]:
    """The inverse of `to_csv`.

    Raises:
        ValueError: this is no whole manifest.
    """
    header, *lines = content.decode().split("\n")
    has = _FIRST_LINES.get(f"{header}\n".encode())
    if has is None or lines.pop() != "":
        raise ValueError("no manifest, or one that was cut off")
    has_labels, has_masks = has
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            index, file_name, seed, sha256, width, height, mode, size, *more = line.split(",")
            of_all = int(index), file_name, int(seed), sha256, int(width), int(height), mode, int(size)
            label = (more.pop(0), int(more.pop(0))) if has_labels else (None, None)
            mask = (more.pop(0), more.pop(0)) if has_masks else (None, None)
            if more or "" in mask:
                raise ValueError
            rows.append(Row(*of_all, *label, *mask))
        except (ValueError, IndexError):
            raise ValueError(f"row {number} is none of gan-batch's") from None
    if to_csv(rows) != content:
        raise ValueError("its values are not written as gan-batch writes them")
    return rows


def read_shard(store: Store, shard: int) -> list[Row]:
    """The rows of a committed shard.

    Raises:
        CommandError: 65 where its manifest is missing or damaged.
    """
    try:
        return from_csv(store.read(manifest_name(shard)) or b"")
    except ValueError:
        raise damaged(store, manifest_name(shard)) from None


def assemble(store: Store, shards: int) -> Iterator[bytes]:
    """The run's manifest in parts: a header, then the rows of the first `shards` manifests in order.

    Raises:
        CommandError: 65 where a manifest is missing or damaged.
    """
    yield header_line(store)
    yield from shard_rows(store, shards)


def header_line(store: Store) -> bytes:
    """The first line of a run's manifest, which is that of its shards'.

    Raises:
        CommandError: 65 where that of the first shard is missing or damaged.
    """
    name = manifest_name(0)
    line = (store.read(name) or b"").partition(b"\n")[0] + b"\n"
    if line not in _FIRST_LINES:
        raise damaged(store, name)
    return line


def shard_rows(store: Store, shards: int) -> Iterator[bytes]:
    """The rows of the first `shards` manifests as lines, a shard at a time.

    Raises:
        CommandError: 65 where a manifest is missing or damaged.
    """
    index, header = 0, header_line(store)
    for shard, content in enumerate(store.map(store.read, map(manifest_name, range(shards)))):
        name, rows = manifest_name(shard), (content or b"").removeprefix(header)
        if not rows or len(rows) == len(content or b""):
            raise damaged(store, name)
        for line in rows.splitlines():
            if not line.startswith(b"%d," % index) or line.count(b",") != header.count(b","):
                raise damaged(store, name)
            index += 1
        yield rows


def differences(store: Store, shards: int) -> Iterator[Difference]:
    """Where the run's manifest is not what `assemble` gives; see `jobs.dataset.table.differences`.

    Raises:
        CommandError: 65 where the manifest of a shard is missing or damaged.
    """
    try:
        with store.open(MANIFEST) as file:
            header = header_line(store)
            if file.read(len(header)) != header:
                yield None, "its first line is not the names of the columns"
                return
            start, rest = len(header), shard_rows(store, shards)
            for rows in rest:
                if file.read(len(rows)) != rows:
                    file.seek(start)
                    yield from _by_line(file, itertools.chain([rows], rest))
                    return
                start += len(rows)
            if file.read(1):
                yield None, "it has more rows than the run has images"
    except OSError as error:
        yield None, f"it cannot be read: {error.strerror}"


def _by_line(file: BinaryIO, shards: Iterable[bytes]) -> Iterator[Difference]:
    """The rows that differ, from here on, as long as it is one row for another."""
    strange: int | None = None  # a row that does not even have its index
    for line in itertools.chain.from_iterable(rows.splitlines(keepends=True) for rows in shards):
        index = int(line.partition(b",")[0])
        found = file.readline()
        if strange is not None:
            if found != line:
                yield None, f"from the row of image {strange} on, it is not the rows of the shards' manifests"
                return
            yield other_row(strange)
            strange = None
        elif not found:
            yield None, f"it ends before the row of image {index}"
            return
        elif found != line and found.startswith(b"%d," % index):
            yield other_row(index)
        elif found != line:
            strange = index
    if strange is not None:
        yield other_row(strange)
    elif file.read(1):
        yield None, "it has more rows than the run has images"


def other_row(index: int) -> Difference:
    """That the run's manifest has another row for an image than that of its shard."""
    return index, f"the row of image {index} is not the one in the manifest of its shard"


def damaged(store: Store, name: str) -> CommandError:
    """The error that the manifest `name` of a run cannot be used."""
    return CommandError(
        ExitCode.BAD_DATA, f"{store}/{name} is damaged: `gan-batch verify {store} --repair` makes it again"
    )


def _last_line(end: bytes) -> bytes:
    return end[:-1].rsplit(b"\n", 1)[-1] if end.endswith(b"\n") else b""  # cut off: it counts for nothing
