"""Is everything there, and is it what the manifest says?"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jobs.dataset import layout, manifest, table, tars
from jobs.dataset.manifest import Row
from jobs.dataset.shard import Shard, plan
from jobs.dataset.state import COMPLETE, RunState, is_tarred
from jobs.stores.store import Store, open_store

NO_MANIFEST, BAD_MANIFEST, STRAY = "no manifest", "bad manifest", "stray"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        fault: what kind: `not complete`, `no manifest`, `bad manifest`, `bad row`, `missing`, `size`, `hash`,
            `unreadable`, `bad tar`, `stray`.
        file_name: where, relative to the run's folder.
        detail: more, for people.
        index: of the image, where it is about one.
    """

    fault: str
    file_name: str
    detail: str
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.fault}, {self.file_name}: {self.detail}"


def verify(out: Path | str, state: RunState | None = None, check: Callable[[], None] = lambda: None) -> Iterator[Fault]:
    """Compare a run with its manifests, image by image.

    Of a run that is not complete, what is committed is looked at.

    Args:
        out: the run's folder.
        state: of the run; by default what its run.json says.
        check: called for each image; what it raises ends the work.

    Raises:
        CommandError: 66 where there is no run, 65 where its run.json is damaged.
    """
    store = open_store(out)
    state = state or RunState.of(store)
    shards = committed_shards(store, state)
    yield from _strays(store, state)
    if state.state != COMPLETE:
        made = sum(shard.stop - shard.start for shard in shards)
        yield Fault("not complete", layout.STATE, f"the run is {state.state}, {made} of {state.count} images committed")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for faults in pool.map(lambda shard: check_shard(store, shard, state.fingerprint, check), shards):
            yield from faults
    if state.state == COMPLETE:
        yield from _top_files(store, len(shards))


def committed_shards(store: Store, state: RunState) -> list[Shard]:
    """The shards that a run must have: all of a complete one, those that are committed of another."""
    size = state.fingerprint["shard_size"]
    if state.state == COMPLETE:
        return list(plan(state.count, size))
    done = manifest.committed(store, size)
    return [Shard(number, number * size, stop) for number, stop in sorted(done.items())]


def check_shard(
    store: Store, shard: Shard, fingerprint: Mapping[str, Any], check: Callable[[], None] = lambda: None
) -> list[Fault]:
    """What is wrong with one shard; `check` is called for each image, and what it raises ends the work."""
    name = layout.manifest_name(shard.number)
    try:
        content = store.read(name)
        if content is None:
            return [Fault(NO_MANIFEST, name, f"images {shard.start} to {shard.stop - 1} count for nothing without it")]
        rows = manifest.from_csv(content)
    except (OSError, ValueError) as error:
        return [Fault(BAD_MANIFEST, name, str(error))]
    if [row.index for row in rows] != list(range(shard.start, shard.stop)):
        return [Fault(BAD_MANIFEST, name, f"its rows are not {shard.start} to {shard.stop - 1}")]
    faults = []
    right = [image_row(row.index, fingerprint, row.sha256, row.bytes) for row in rows]
    if is_tarred(fingerprint):
        return _check_tar(store, shard, rows, right, check)
    contents = store.map(store.read, [row.file_name for row in right])
    for row, other in zip(rows, right, strict=True):
        check()
        faults += _check_image(contents, row, other)
    known = {layout.image_name(row.index, shard.number).partition("/")[2] for row in rows}
    strays = sorted(set(store.names(shard.folder)) - known)
    return faults + [Fault(STRAY, f"{shard.folder}/{stray}", "no row names it") for stray in strays]


def _check_tar(store: Store, shard: Shard, rows: list[Row], right: list[Row], check: Callable[[], None]) -> list[Fault]:
    name, faults = layout.tar_name(shard.number), []
    try:
        content, files = tars.read_shard(store, shard.number)
    except OSError as error:
        return [Fault("missing", name, str(error.strerror), shard.start)]
    for row, other in zip(rows, right, strict=True):
        check()
        faults += _check_image(iter([files.get(other.file_name)]), row, other)
    if not faults and content != tars.pack((row.file_name.partition("/")[2], files[row.file_name]) for row in rows):
        faults.append(Fault("bad tar", name, "it is not the images of its manifest, one after the other", shard.start))
    return faults


def is_users(fault: Fault) -> bool:
    """Whether it is about a file that has no name of ours: it contradicts no row, and is no reason not to publish."""
    return fault.fault == STRAY and not layout.OURS.fullmatch(fault.file_name.rpartition("/")[2])


def image_row(index: int, fingerprint: Mapping[str, Any], sha256: str, size: int) -> Row:
    """The row that image `index` of a run must have, but for what only the file tells."""
    width, height = fingerprint["width"], fingerprint["height"]
    name = layout.image_name(index, index // fingerprint["shard_size"], tarred=is_tarred(fingerprint))
    mode = "L" if fingerprint["channels"] == 1 else "RGB"
    return Row(index, name, fingerprint["seed"], sha256, width, height, mode, size)


def _check_image(contents: Iterator[bytes | None], row: Row, right: Row) -> list[Fault]:
    name, index = right.file_name, row.index
    wrong = [field for field, value in vars(row).items() if value != vars(right)[field]]
    faults = [Fault("bad row", name, f"{field} is {getattr(row, field)}", index) for field in wrong]
    try:
        content = next(contents)
    except OSError as error:
        return [*faults, Fault("missing", name, str(error.strerror), index)]
    if content is None:
        return [*faults, Fault("missing", name, "it is not there", index)]
    if len(content) != row.bytes:
        return [*faults, Fault("size", name, f"{len(content)} bytes, its row says {row.bytes}", index)]
    if hashlib.sha256(content).hexdigest() != row.sha256:
        return [*faults, Fault("hash", name, "its content is not what its row says", index)]
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if (image.width, image.height, image.mode) != (right.width, right.height, right.mode):
                faults.append(Fault("unreadable", name, f"it is {image.width}x{image.height} {image.mode}", index))
    except Exception as error:  # Pillow raises what its decoders raise
        faults.append(Fault("unreadable", name, str(error), index))
    return faults


def _strays(store: Store, state: RunState) -> Iterator[Fault]:
    shards = list(plan(state.count, state.fingerprint["shard_size"]))
    tables = {f"{shard.folder}.csv" for shard in shards}
    places = {
        ".": {*layout.FILES, layout.PARQUET, layout.MANIFESTS, layout.MEASURES, *_places(state, shards)},
        layout.MANIFESTS: tables,
        layout.MEASURES: tables,
        layout.PARQUET: {name for name in store.names(layout.PARQUET) if layout.PARQUET_PART.fullmatch(name)},
    }
    for folder, known in places.items():
        for name in sorted(set(store.names(folder)) - known):
            if folder == "." and layout.PART_FILE.fullmatch(name):
                continue
            at_work = state.state != COMPLETE and layout.TEMPORARY.fullmatch(name)
            if not at_work:
                yield Fault(STRAY, name if folder == "." else f"{folder}/{name}", "gan-batch did not leave it")


def _places(state: RunState, shards: list[Shard]) -> list[str]:
    """The folders or tar files of shards."""
    tarred = is_tarred(state.fingerprint)
    return [layout.tar_name(shard.number) if tarred else shard.folder for shard in shards]


def _top_files(store: Store, shards: int) -> Iterator[Fault]:
    if not store.exists(layout.SHEET):
        yield Fault("missing", layout.SHEET, "the contact sheet")
    if not table.is_right(store, shards):
        yield Fault(
            BAD_MANIFEST,
            table.name_of(table.form_of(store)),
            "it is not the manifests of the shards, one after the other",
        )
