"""Manifests: a CSV a shard, whose presence is the shard's commit, and one for the whole run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from jobs.layout import MANIFEST, TABLE, manifest_name
from models.console import CommandError, ExitCode


@dataclass(frozen=True)
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


def committed(folder: Path, shard_size: int) -> dict[int, int]:
    """Shard numbers in a run's `_manifests` folder, each with the index after its last image.

    A manifest whose last line names no image of its shard does not count.

    One listing, and the last line of each manifest: the cost grows with the shards, not with the images.
    """
    done: dict[int, int] = {}
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return done
    for entry in entries:
        if TABLE.fullmatch(entry.name):
            shard, index = int(entry.name[:-4]), _last_line(entry.path).split(b",", 1)[0]
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
    for line in lines:
        index, file_name, seed, sha256, width, height, mode, size = line.split(",")
        rows.append(Row(int(index), file_name, int(seed), sha256, int(width), int(height), mode, int(size)))
    if to_csv(rows) != content:
        raise ValueError("its values are not written as gan-batch writes them")
    return rows


def read_shard(folder: Path, shard: int) -> list[Row]:
    """The rows of a committed shard.

    Raises:
        CommandError: 65 where its manifest is missing or damaged.
    """
    path = folder / manifest_name(shard)
    try:
        return from_csv(path.read_bytes())
    except (FileNotFoundError, ValueError):
        raise damaged(folder, path) from None


def assemble(folder: Path, shards: int) -> Iterator[bytes]:
    """The run's manifest in parts: a header, then the rows of the first `shards` manifests in order.

    Raises:
        CommandError: 65 where a manifest is missing or damaged.
    """
    yield HEADER_LINE
    index = 0
    for shard in range(shards):
        path = folder / manifest_name(shard)
        try:
            rows = path.read_bytes().partition(b"\n")[2]
        except FileNotFoundError:
            raise damaged(folder, path) from None
        for line in rows.splitlines():
            if not line.startswith(b"%d," % index) or line.count(b",") != HEADER.count(","):
                raise damaged(folder, path)
            index += 1
        yield rows


def is_assembled(folder: Path, shards: int) -> bool:
    """Whether the run's manifest is there, and is what `assemble` gives."""
    try:
        with open(folder / MANIFEST, "rb") as file:
            return all(file.read(len(part)) == part for part in assemble(folder, shards)) and not file.read(1)
    except (OSError, CommandError):
        return False


def damaged(folder: Path, path: Path) -> CommandError:
    """The error that the manifest `path` of the run in `folder` cannot be used."""
    return CommandError(ExitCode.BAD_DATA, f"{path} is damaged: `gan-batch verify {folder} --repair` makes it again")


def _last_line(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 512))
        end = file.read()
    return end[:-1].rsplit(b"\n", 1)[-1] if end.endswith(b"\n") else b""  # cut off: it counts for nothing
