"""Manifests: a CSV a shard, whose presence is the shard's commit, and one for the whole run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from jobs.dataset.layout import MANIFEST, MANIFESTS, TABLE, manifest_name
from jobs.dataset.part import Part
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode


@dataclass  # not frozen: that would take twice as long, for each of millions
class Row:
    """One image; the fields are the columns. `file_name` is relative to the run's folder and `/`-separated."""

    index: int
    file_name: str
    seed: int
    sha256: str
    width: int
    height: int
    mode: str
    bytes: int


HEADER = ",".join(field.name for field in fields(Row))
SHA256 = re.compile("[0-9a-f]{64}")
HEADER_LINE = f"{HEADER}\n".encode()


def lines(rows: Sequence[Row]) -> bytes:
    """Rows as lines of CSV; no field can hold a comma or a quote."""
    return "".join(",".join(map(str, vars(row).values())) + "\n" for row in rows).encode()


def to_csv(rows: Sequence[Row]) -> bytes:
    """A shard's manifest."""
    return HEADER_LINE + lines(rows)


def committed(store: Store, shard_size: int, part: Part | None = None) -> dict[int, int]:
    """The shards of a run, or of a part of it, that are committed, each with the index after its last image.

    A manifest whose last line names no image of its shard does not count.

    One listing, and the last line of each manifest: the cost grows with the shards, not with the images.
    """
    done: dict[int, int] = {}

    def is_wanted(name: str) -> bool:
        return TABLE.fullmatch(name) is not None and (part is None or part.has(int(name[:-4])))

    for name, end in store.ends(MANIFESTS, is_wanted):
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
    if header != HEADER or lines.pop() != "":
        raise ValueError("no manifest, or one that was cut off")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            index, file_name, seed, sha256, width, height, mode, size = line.split(",")
            rows.append(Row(int(index), file_name, int(seed), sha256, int(width), int(height), mode, int(size)))
        except ValueError:
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
    yield HEADER_LINE
    yield from shard_rows(store, shards)


def shard_rows(store: Store, shards: int) -> Iterator[bytes]:
    """The rows of the first `shards` manifests as lines, a shard at a time.

    Raises:
        CommandError: 65 where a manifest is missing or damaged.
    """
    index = 0
    names = [manifest_name(shard) for shard in range(shards)]
    for name, content in zip(names, store.map(store.read, names), strict=True):
        rows = (content or b"").partition(b"\n")[2]
        if not rows:
            raise damaged(store, name)
        for line in rows.splitlines():
            if not line.startswith(b"%d," % index) or line.count(b",") != HEADER.count(","):
                raise damaged(store, name)
            index += 1
        yield rows


def is_assembled(store: Store, shards: int) -> bool:
    """Whether the run's manifest is there, and is what `assemble` gives."""
    try:
        with store.open(MANIFEST) as file:
            return all(file.read(len(part)) == part for part in assemble(store, shards)) and not file.read(1)
    except (OSError, CommandError) as error:
        if isinstance(error, CommandError) and error.exit_code is not ExitCode.BAD_DATA:
            raise  # a store that does not answer says nothing about the file
        return False


def damaged(store: Store, name: str) -> CommandError:
    """The error that the manifest `name` of a run cannot be used."""
    return CommandError(
        ExitCode.BAD_DATA, f"{store}/{name} is damaged: `gan-batch verify {store} --repair` makes it again"
    )


def _last_line(end: bytes) -> bytes:
    return end[:-1].rsplit(b"\n", 1)[-1] if end.endswith(b"\n") else b""  # cut off: it counts for nothing
