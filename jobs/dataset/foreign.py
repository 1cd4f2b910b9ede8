"""Whether a run is still what gan-batch left: a file of somebody's own in it, or images that somebody took out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

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
from jobs.dataset.plan import Plan
from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore

_FOLDERS = {MANIFESTS: TABLE, MEASURES: TABLE, PARQUET: PARQUET_PART}


def trace_of_others(folder: Path, state: RunState) -> str | None:
    """What somebody put into a complete run, or took out of it; None for nothing. Only names are looked at."""
    return next(_traces(LocalStore(folder), Plan.of(state.fingerprint), state.count), None)


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


def _matches(name: str, *patterns: re.Pattern[str] | None) -> bool:
    return any(pattern is not None and pattern.fullmatch(name) for pattern in patterns)


def _in(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"
