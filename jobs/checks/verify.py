"""Is everything there, and is it what the manifest says?"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from jobs.dataset import layout, manifest, table
from jobs.dataset.formats import BAD_TAR, STRAY
from jobs.dataset.kind import Kind
from jobs.dataset.manifest import Row
from jobs.dataset.plan import Plan
from jobs.dataset.shard import Shard
from jobs.dataset.state import COMPLETE, RUNNING, RunState
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.progress import Progress

NOT_COMPLETE, NO_MANIFEST, BAD_MANIFEST = "not complete", "no manifest", "bad manifest"
BAD_ROW, UNREADABLE = "bad row", "unreadable"


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
    """Compare a run with its manifests, image by image, with the mask of each where there are any.

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
    plan = Plan.of(state.fingerprint)
    yield from _strays(store, state, plan, check)
    gaps: list[Fault] = []
    if state.state == COMPLETE:
        shards, gaps = _there(store, plan, state.count)
    else:
        shards = committed_shards(store, state, check)
        yield _not_complete(store, state, shards)
    with Progress("comparing", sum(shard.images for shard in shards), "images") as progress:
        checked = _side_by_side(lambda shard: check_shard(store, plan, shard, check), shards)
        for shard, faults in zip(shards, checked, strict=True):
            yield from faults
            progress.update(shard.images)
    yield from gaps
    if state.state == COMPLETE:
        yield from _top_files(store, plan.shards(state.count))


def committed_shards(store: Store, state: RunState, check: Callable[[], None] = lambda: None) -> list[Shard]:
    """The shards of a run that have a manifest."""
    size = state.fingerprint["shard_size"]
    done = manifest.committed(store, size, check=check)
    return [Shard(number, number * size, stop) for number, stop in sorted(done.items())]


def _there(store: Store, plan: Plan, count: int) -> tuple[list[Shard], list[Fault]]:
    """Of a complete run: the shards that have a manifest, and as one fault each, those in a row that have none."""
    total = plan.shards(count)
    numbers = [int(name[:-4]) for name in store.names(layout.MANIFESTS) if _is_table(name, total)]
    gaps, start = list[Fault](), 0
    for number in [*sorted(numbers), total]:
        if number > start:
            first, last = plan.shard(start, count), plan.shard(number - 1, count)
            many = f", and so {number - start - 1} more after it" if number - start > 1 else ""
            detail = f"it is not there{many}: images {first.start} to {last.stop - 1} count for nothing"
            gaps.append(Fault(NO_MANIFEST, layout.manifest_name(start), detail))
        start = number + 1
    return [plan.shard(number, count) for number in sorted(numbers)], gaps


def _not_complete(store: Store, state: RunState, shards: Iterable[Shard]) -> Fault:
    made = f"{sum(shard.images for shard in shards)} of {state.count} images are committed"
    if state.state != RUNNING:
        detail = f"the run is {state.state}, {made}"
    elif store.is_locked():
        detail = f"a process is making it, {made}"
    else:
        detail = f"it was cut off, {made}: run the same command again"
    return Fault(NOT_COMPLETE, layout.STATE, detail)


def _side_by_side(call: Callable[[Shard], list[Fault]], shards: Iterable[Shard]) -> Iterator[list[Fault]]:
    """`call` of each shard, in order and on all cores, only some of them ahead."""
    cores = len(os.sched_getaffinity(0))
    ahead: deque[Future[list[Fault]]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for shard in shards:
            ahead.append(pool.submit(call, shard))
            if len(ahead) > 2 * cores:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def check_shard(store: Store, plan: Plan, shard: Shard, check: Callable[[], None] = lambda: None) -> list[Fault]:
    """What is wrong with one shard; `check` is called for each image, and what it raises ends the work."""
    check()
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
    if (rows[0].mask_sha256 is not None) != plan.has_masks:
        return [Fault(BAD_MANIFEST, name, f"its rows {'lack the' if plan.has_masks else 'tell of'} masks")]
    right = [plan.like(row) for row in rows]
    faults = list[Fault]()
    for kind in plan.kinds:
        names = list(map(kind.name, right))
        files = kind.format.open(store, shard.number)
        contents = files.contents(names)
        for row, other in zip(rows, right, strict=True):
            check()
            faults += _check_file(kind, contents, row, other)
        for found in files.excess(names):
            index = shard.start if found.kind == BAD_TAR else None
            faults.append(Fault(found.kind, found.file_name, found.detail, index))
    return faults


def number_of(faults: Sequence[Fault]) -> str:
    """How many there are, for people."""
    return f"{len(faults)} fault{'s' * (len(faults) != 1)}"


def is_users(fault: Fault) -> bool:
    """Whether it is about a file that has no name of ours: it contradicts no row, and is no reason not to publish."""
    return fault.fault == STRAY and not layout.OURS.fullmatch(fault.file_name.rpartition("/")[2])


def is_repairable(fault: Fault) -> bool:
    """Whether `jobs.checks.repair` can do something about it."""
    return fault.fault != NOT_COMPLETE and not is_users(fault)


def _check_file(kind: Kind, contents: Iterator[bytes | None], row: Row, right: Row) -> list[Fault]:
    name, index, expected = kind.name(right), row.index, kind.columns(right)
    wrong = [field for field, value in kind.columns(row).items() if value != expected[field]]
    faults = [Fault(BAD_ROW, name, f"{field} is {getattr(row, field)}", index) for field in wrong]
    try:
        content = next(contents)
    except OSError as error:
        return [*faults, Fault("missing", name, str(error.strerror), index)]
    if content is None:
        return [*faults, Fault("missing", name, "it is not there", index)]
    if not kind.is_mask and len(content) != row.bytes:
        return [*faults, Fault("size", name, f"{len(content)} bytes, its row says {row.bytes}", index)]
    if hashlib.sha256(content).hexdigest() != kind.sha256(row):
        return [*faults, Fault("hash", name, "its content is not what its row says", index)]
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.load()
            mode = "L" if kind.is_mask else right.mode
            if (image.width, image.height, image.mode) != (right.width, right.height, mode):
                faults.append(Fault(UNREADABLE, name, f"it is {image.width}x{image.height} {image.mode}", index))
            elif kind.is_mask and any(image.histogram()[1:255]):
                faults.append(Fault(UNREADABLE, name, "a mask has no values but 0 and 255", index))
    except Exception as error:  # Pillow raises what its decoders raise
        faults.append(Fault(UNREADABLE, name, str(error), index))
    return faults


def _strays(store: Store, state: RunState, plan: Plan, check: Callable[[], None]) -> Iterator[Fault]:
    shards, format = plan.shards(state.count), plan.format
    roots = [format.root for format in plan.formats]

    def is_place(name: str) -> bool:  # by the same name for images and masks
        number = format.number(name)
        return number is not None and number < shards and format.place(number).rpartition("/")[2] == name

    def is_at_top(name: str) -> bool:
        known = name in (*layout.FILES, layout.PARQUET, layout.MANIFESTS, layout.MEASURES, *roots)
        return known or layout.PART_FILE.fullmatch(name) is not None

    folders: dict[str, Callable[[str], object]] = {
        layout.MANIFESTS: lambda name: _is_table(name, shards),
        layout.MEASURES: lambda name: _is_table(name, shards),
        layout.PARQUET: layout.PARQUET_PART.fullmatch,
        **dict.fromkeys(roots, is_place),
        ".": is_at_top if format.root != "." else lambda name: is_at_top(name) or is_place(name),
    }
    for folder, is_known in folders.items():
        for name in store.names(folder):
            check()
            at_work = state.state != COMPLETE and layout.TEMPORARY.fullmatch(name)
            if not at_work and not is_known(name):
                yield Fault(STRAY, name if folder == "." else f"{folder}/{name}", "gan-batch did not leave it")


def _is_table(name: str, shards: int) -> bool:
    """Whether it is the table of one of so many shards."""
    return layout.TABLE.fullmatch(name) is not None and int(name[:-4]) < shards and name == f"{int(name[:-4]):05d}.csv"


def _top_files(store: Store, shards: int) -> Iterator[Fault]:
    if not store.exists(layout.SHEET):
        yield Fault("missing", layout.SHEET, "the contact sheet")
    name = table.name_of(table.form_of(store))
    for index, detail in table.differences(store, shards):
        yield Fault(BAD_MANIFEST if index is None else BAD_ROW, name, detail, index)
