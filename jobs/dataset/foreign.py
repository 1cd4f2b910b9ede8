"""Whether a run is still what gan-batch left: no file of somebody's own in it, none taken out, none changed by hand."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.dataset import table, tars
from jobs.dataset.formats import Format
from jobs.dataset.layout import (
    FILES,
    MANIFESTS,
    MEASURES,
    OURS,
    PARQUET,
    PARQUET_PART,
    PART_FILE,
    TABLE,
    TEMPORARY,
)
from jobs.dataset.manifest import Row
from jobs.dataset.plan import Plan
from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode

_FOLDERS = {MANIFESTS: TABLE, MEASURES: TABLE, PARQUET: PARQUET_PART}


def trace_of_others(folder: Path, state: RunState, check: Callable[[], None] = lambda: None) -> str | None:
    """What somebody put into a complete run, took out of it or changed in it; None for nothing.

    Looked at are names, the sizes of images, the bytes of masks, whose sizes no manifest tells, and the manifests. No
    image is read: one that was changed and has kept its size is not noticed.

    Args:
        folder: of the run.
        state: of it.
        check: called for each shard; what it raises ends the work.
    """
    store, plan = LocalStore(folder), Plan.of(state.fingerprint)
    try:
        return next(itertools.chain(_traces(store, plan, state.count), _changes(store, plan, state.count, check)), None)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _traces(store: LocalStore, plan: Plan, count: int) -> Iterator[str]:
    shards = {
        format.root: {name: number for name in store.names(format.root) if (number := format.number(name)) is not None}
        for format in plan.formats
    }
    known = {root: set(names) for root, names in shards.items()}
    known["."] = {*FILES, *_FOLDERS, *known.get(".", known)}
    for folder in (".", *_FOLDERS, *({*shards} - {"."})):
        ours = _FOLDERS.get(folder, PART_FILE if folder == "." else None)
        for name in store.names(folder):
            if name not in known.get(folder, ()) and not _matches(name, ours, TEMPORARY):
                yield f"{_in(folder, name)} in it is not of gan-batch"
            if (store.root / folder / name).is_symlink():
                yield f"{_in(folder, name)} in it is a link"
    for format in plan.formats:
        yield from _in_shards(store, plan, format, shards[format.root], count)


def _in_shards(store: LocalStore, plan: Plan, format: Format, shards: dict[str, int], count: int) -> Iterator[str]:
    if len(shards) < plan.shards(count):
        yield f"{plan.shards(count) - len(shards)} of its shards are not there"
    if format.is_whole:
        return
    for name, number in shards.items():
        images = store.names(format.place(number))
        for image in images:
            if not OURS.fullmatch(image):
                yield f"{_in(format.root, name)}/{image} in it is not of gan-batch"
        if len(images) < plan.shard(number, count).images:
            yield f"images in its {_in(format.root, name)} are not there"


def _changes(store: LocalStore, plan: Plan, count: int, check: Callable[[], None]) -> Iterator[str]:
    """Files of the names that they must have, with another content than gan-batch gave them."""
    try:
        form, shards = table.form_of(store), plan.shards(count)
        if not table.is_there(store, form):
            yield "its manifest is not the one that gan-batch wrote"
        for _, detail in table.differences(store, shards):
            yield f"{table.name_of(form)} in it was changed: {detail}"
        for number in range(shards):
            check()
            yield from _changed(store, plan, number, plan.read_rows(store, number))
    except CommandError as error:  # a damaged manifest, or Parquet without its package: in doubt it stays
        if error.exit_code not in (ExitCode.BAD_DATA, ExitCode.USAGE):
            raise
        yield f"it cannot be compared: {error}"


def _changed(store: LocalStore, plan: Plan, number: int, rows: list[Row]) -> Iterator[str]:
    sizes = _sizes(store, plan.format, number)
    for row in rows:
        if sizes.pop(row.file_name, None) != row.bytes:
            yield f"{row.file_name} in it is not of the size that gan-batch wrote"
    for kind in plan.kinds:
        if kind.is_mask:
            contents = kind.format.open(store, number).contents(map(kind.name, rows))
            for row, content in zip(rows, contents, strict=True):
                if hashlib.sha256(content or b"").hexdigest() != kind.sha256(row):
                    yield f"{kind.name(row)} in it is not what gan-batch wrote"
    if plan.format.is_whole and sizes:
        yield f"{next(iter(sizes))} in it is not of gan-batch"


def _sizes(store: LocalStore, format: Format, number: int) -> dict[str, int]:
    """Bytes of each image of a shard, by its name in the run."""
    place = format.place(number)
    if format.is_whole:
        with store.open(place) as file:
            return {f"{place}/{name}": size for name, size in tars.sizes(file)}
    with os.scandir(store.root / place) as entries:
        return {f"{place}/{entry.name}": entry.stat(follow_symlinks=False).st_size for entry in entries}


def _matches(name: str, *patterns: re.Pattern[str] | None) -> bool:
    return any(pattern is not None and pattern.fullmatch(name) for pattern in patterns)


def _in(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"
