"""Any image again: one by its index, or all that are broken."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.checks.verify import BAD_MANIFEST, NO_MANIFEST, Fault, check_shard, committed_shards, number_of, verify
from jobs.dataset import layout, manifest, table
from jobs.dataset.formats import BAD_TAR, STRAY
from jobs.dataset.kind import Kind
from jobs.dataset.manifest import Row
from jobs.dataset.measure import HEADER_LINE, Measure, lines, shard_lines
from jobs.dataset.plan import Plan
from jobs.dataset.remaining import Remaining
from jobs.dataset.removal import remove_temporaries
from jobs.dataset.shard import Shard
from jobs.dataset.sheet import run_sheet
from jobs.dataset.state import COMPLETE, RunState, fingerprint
from jobs.dataset.tally import MASK
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from jobs.workers.drawing import is_finite
from jobs.workers.engine import images_a_batch
from jobs.workers.model import model_of_run
from jobs.workers.piece import MadeImage, make_images
from models.attributes import MEASURE
from models.errors import CommandError, ExitCode
from models.files import write_atomically
from models.log import log
from models.progress import Progress
from models.providers import BY_DEVICE

if TYPE_CHECKING:  # ONNX Runtime is loaded where an image has to be made again
    from jobs.workers.session import GeneratorSession

Session = Callable[[], "GeneratorSession"]
"""Gives the session of a run, which is opened at the first call."""


@dataclass(frozen=True)
class Regenerated:
    """An image that was made again.

    Attributes:
        index: of it.
        image: the PNG file.
        mask: that of its mask; None where there are none.
        same: whether they are those that the manifest tells of; None where no row tells of them.
    """

    index: int
    image: bytes
    mask: bytes | None
    same: bool | None

    def write(self, path: Path | None = None) -> Path:
        """Write the image to `path`, by default its own name here, and its mask beside it; returns the path.

        Raises:
            OSError: one of them cannot be written.
        """
        path = path or Path(f"{self.index:08d}.png")
        write_atomically(path, lambda temporary: temporary.write_bytes(self.image))
        if (mask := self.mask) is not None:
            write_atomically(path.with_name(f"{path.stem}{MASK}.png"), lambda temporary: temporary.write_bytes(mask))
        return path


def regen(out: Path | str, index: int, model: Path | str | None = None, device: str = "auto") -> Regenerated:
    """Make image `index` of a run again, whether the run has it or not.

    Args:
        out: the run's folder; nothing in it changes.
        index: of the image.
        model: the ONNX file that the run was made with, or `bundled`; None for the exported or the bundled one, if it
            was one of these.
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what the run began with.

    Raises:
        CommandError: 66 where there is no run, 78 where the model is another; see `GeneratorSession`.
    """
    store = open_store(out)
    state = RunState.of(store)
    session = session_of(store, state, model, device)
    plan = Plan.of(state.fingerprint)
    ((row, _, image, mask, _),) = _made(session, plan, [index])
    try:
        rows = manifest.read_shard(store, index // plan.shard_size)
    except CommandError:
        rows = []
    known = next((other for other in rows if other.index == index), None)
    same = None if known is None else all(kind.sha256(known) == kind.sha256(row) for kind in plan.kinds)
    return Regenerated(index, image, mask, same)


def verify_and_repair(
    out: Path | str, model: Path | str | None = None, check: Callable[[], None] = lambda: None
) -> list[Fault]:
    """Compare a run with its manifests, make again what is broken, and compare it once more.

    Args:
        out: the run's folder.
        model: as for `repair`; not needed where nothing is broken.
        check: called often; what it raises ends the work.

    Returns:
        The faults that there are still; see `jobs.checks.verify`.

    Raises:
        CommandError: as `repair`.
    """
    faults = list(verify(out, check=check))
    if faults:
        again = repair(out, model, check)
        log.info("%s: %s, images made again to compare: %d", out, number_of(faults), again)
        faults = list(verify(out, check=check))
    return faults


def repair(out: Path | str, model: Path | str | None = None, check: Callable[[], None] = lambda: None) -> int:
    """Make the broken images and masks of a run again, each replaced whole, byte for byte what it was.

    One that comes out otherwise here than its row and its file say stays as it is.

    Args:
        out: the run's folder.
        model: the ONNX file that the run was made with, or `bundled`; None for the exported or the bundled one, if it
            was one of these. Opened where there is an image to make.
        check: called often; what it raises ends the work.

    Returns:
        How many images were looked at again.

    Raises:
        CommandError: 66 where there is no run, 75 where another process holds it, 78 where it was made with another
            model, device or version.
    """
    store = open_store(out)
    try:
        RunState.of(store)  # before a lock is made in a folder that is none of ours
        store.lock()
        state = RunState.of(store)
        plan = Plan.of(state.fingerprint)

        @cache
        def session() -> GeneratorSession:
            opened = session_of(store, state, model, "auto")
            own = fingerprint(
                opened.facts, plan.seed, plan.shard_size, plan.format.name, state.layout, plan.mix, plan.wish
            )
            state.refuse_other(store, own)
            return opened

        complete = state.state == COMPLETE
        if complete:
            remaining = Remaining(plan, manifest.committed(store, plan.shard_size, check=check), state.count)
            if remaining.missing:
                facts = session().facts
                store.check_room(remaining.missing, remaining.shards, facts.image_bytes, facts.mask_bytes)
        shards = list(plan.all(state.count)) if complete else committed_shards(store, state, check)
        remove_temporaries(store, plan)
        for folder in (*(format.root for format in plan.formats), layout.MANIFESTS, layout.MEASURES):
            store.make_folder(folder)
        again = 0
        with Progress("repairing", sum(shard.images for shard in shards), "images") as progress:
            for shard in shards:
                again += _repair_shard(store, plan, session, shard, check)
                progress.update(shard.images)
        if complete:
            count = plan.shards(state.count)
            if not table.is_right(store, count):
                table.write(store, count, table.form_of(store))
            if not store.exists(layout.SHEET):
                store.replace(layout.SHEET, run_sheet(store, plan, state.count))
        return again
    finally:
        store.close()


def _repair_shard(store: Store, plan: Plan, session: Session, shard: Shard, check: Callable[[], None]) -> int:
    """Make what is broken in a shard again; returns how many images were looked at again."""
    faults = check_shard(store, plan, shard, check)
    is_lost = any(fault.fault in (NO_MANIFEST, BAD_MANIFEST) for fault in faults)
    old = {} if is_lost or not faults else {row.index: row for row in manifest.read_shard(store, shard.number)}
    rows, looked_at, measures = old, set[int](), b""
    for kind in plan.kinds:
        found = [fault for fault in faults if kind.has(fault.file_name)]
        strays = [Path(fault.file_name).name for fault in found if fault.fault == STRAY]
        store.remove(kind.format.place(shard.number), filter(layout.OURS.fullmatch, strays))
        indices = (
            range(shard.start, shard.stop) if is_lost else {fault.index for fault in found if fault.index is not None}
        )
        if not indices:
            continue
        broken = kind.format.broken(shard, indices)
        again = _Again(store, kind, shard, rows, {fault.index for fault in found if fault.fault != BAD_TAR})
        looked_at.update(broken)
        kind.format.begin(store, shard)
        try:
            kind.format.restore(store, shard, again.files(_made(session(), plan, broken), check))
        except _Stays:
            continue
        rows, measures = again.rows, again.measures() or measures
    if rows != old:
        _commit(store, plan, session, shard, [rows[index] for index in sorted(rows)], measures)
    return len(looked_at)


def _commit(store: Store, plan: Plan, session: Session, shard: Shard, rows: list[Row], measures: bytes) -> None:
    """Write the tables of a shard anew; measures that are not all at hand are taken from the images."""

    def finite(index: int) -> NDArray[np.bool_]:
        return is_finite(session(), plan, index)

    measures = measures or shard_lines(store, shard.number, rows, plan.format, finite)
    store.commit(
        {
            layout.measures_name(shard.number): HEADER_LINE + measures,
            layout.manifest_name(shard.number): manifest.to_csv(rows),
        }
    )


class _Stays(Exception):
    """A shard that is written whole cannot be, since one of its images does not come out here."""


class _Again:
    """Images, or masks, that were made again, beside what a shard's rows and files say of them.

    Args:
        store: of the run.
        kind: of what is looked at.
        shard: whole.
        rows: its rows by index, where they can be read.
        faulty: images with a fault of their own; others are made again for the sake of their shard.

    Attributes:
        rows: the same, with those that turned out to be wrong replaced.
    """

    def __init__(
        self, store: Store, kind: Kind, shard: Shard, rows: Mapping[int, Row], faulty: Collection[int | None]
    ) -> None:
        self._kind, self._shard, self._faulty = kind, shard, faulty
        self._there = kind.format.open(store, shard.number)
        self._measures: list[Measure] = []
        self.rows = dict(rows)

    def measures(self) -> bytes:
        """Of all images of the shard, as lines; nothing where not all were made again."""
        return lines(self._measures) if len(self._measures) == self._shard.images else b""

    def files(self, made: Iterable[MadeImage], check: Callable[[], None]) -> Iterator[tuple[str, bytes]]:
        """The files to put into the shard.

        Raises:
            _Stays: one does not come out here, and the shard is written whole.
        """
        for row, found, image, mask, _ in made:
            check()
            self._measures.append(found)
            name, content = self._kind.name(row), mask if self._kind.is_mask and mask is not None else image
            known = self.rows.setdefault(row.index, row)
            kept = self._kept(known, row)
            if kept is not None:
                content = kept
            elif self._is_other(known, row):
                log.warning("%s does not come out here as its row says: it stays as it is", name)
                if self._kind.format.is_whole:
                    raise _Stays
                continue
            else:
                self.rows[row.index] = replace(known, **self._kind.columns(row))
            yield name, content

    def _kept(self, known: Row, row: Row) -> bytes | None:
        """The file that is there, where it is right and another machine made it."""
        if self._kind.sha256(known) == self._kind.sha256(row) or row.index in self._faulty:
            return None
        return self._content(row)

    def _is_other(self, known: Row, row: Row) -> bool:
        """Whether neither the row nor the file that is there is what is made here."""
        wanted = self._kind.sha256(row)
        if self._kind.sha256(known) == wanted:
            return False
        return hashlib.sha256(self._content(row) or b"").hexdigest() != wanted

    def _content(self, row: Row) -> bytes | None:
        return next(self._there.contents([self._kind.name(row)]))


def session_of(store: Store, state: RunState, model: Path | str | None, device: str) -> GeneratorSession:
    """A session with the run's model, on its device where that is there.

    Raises:
        CommandError: 78 where the model, or the measure of a wish, is another; see `GeneratorSession`.
    """
    from jobs.workers.session import GeneratorSession

    theirs, path = state.fingerprint, model_of_run(store, state, model)
    devices = {provider: name for name, provider in BY_DEVICE.items()}
    session = GeneratorSession(path, devices.get(theirs["provider"], device) if device == "auto" else device)
    if theirs.get("measure", MEASURE) != MEASURE:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the images of {store} were chosen by version {theirs['measure']} of the measure, this is {MEASURE}: "
            "others would come out",
        )
    if session.model_sha256 != theirs["model_sha256"]:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the run was made with a model of sha256 {theirs['model_sha256']}, {path} has {session.model_sha256}: "
            "name the right one with `model`",
        )
    return session


def _made(session: GeneratorSession, plan: Plan, indices: list[int]) -> Iterator[MadeImage]:
    """Images by index; neighbours are made in one batch, as big as in a run."""
    for _, group in itertools.groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        run = [index for _, index in group]
        piece = Shard(run[0] // plan.shard_size, run[0], run[-1] + 1)
        batch_size = images_a_batch(session.provider, plan.width, plan.height)
        yield from make_images(piece, session, plan.seed, batch_size, plan.format, plan.mix, plan.wish)
