"""Any image again: one by its index, or all that are broken."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jobs.checks.verify import BAD_MANIFEST, NO_MANIFEST, STRAY, check_shard, committed_shards, image_row
from jobs.dataset import layout, manifest, table, tars
from jobs.dataset.manifest import Row
from jobs.dataset.measure import HEADER_LINE, Measure, lines, shard_lines
from jobs.dataset.shard import Shard, make_images
from jobs.dataset.sheet import run_sheet
from jobs.dataset.state import COMPLETE, RunState, fingerprint, is_tarred
from jobs.local import BATCH_SIZE
from jobs.stores.store import Store, open_store
from jobs.workers.session import GeneratorSession
from models.errors import CommandError, ExitCode
from models.log import log
from models.providers import BY_DEVICE


def regen(out: Path | str, index: int, model: Path, device: str = "auto") -> tuple[bytes, bool | None]:
    """Make image `index` of a run again, whether the run has it or not.

    Args:
        out: the run's folder; nothing in it changes.
        index: of the image.
        model: the ONNX file that the run was made with.
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what the run began with.

    Returns:
        The PNG file, and whether it is the one that the manifest tells of; None where no row tells of it.

    Raises:
        CommandError: 66 where there is no run, 78 where the model is another; see `GeneratorSession`.
    """
    store = open_store(out)
    state = RunState.of(store)
    session = session_of(state, model, device)
    ((row, _, content),) = _made(session, state, [index])
    try:
        rows = manifest.read_shard(store, index // state.fingerprint["shard_size"])
    except CommandError:
        rows = []
    known = next((other for other in rows if other.index == index), None)
    return content, None if known is None else known.sha256 == row.sha256


def repair(out: Path | str, model: Path, check: Callable[[], None] = lambda: None) -> int:
    """Make the broken images of a run again, each replaced whole, byte for byte what it was.

    An image that comes out otherwise here than its row and its file say stays as it is.

    Args:
        out: the run's folder.
        model: the ONNX file that the run was made with.
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
        session = session_of(state, model, "auto")
        fp = state.fingerprint
        state.refuse_other(store, fingerprint(session.facts, fp["seed"], fp["shard_size"], tarred=is_tarred(fp)))
        store.remove_temporaries()
        for folder in (layout.MANIFESTS, layout.MEASURES):
            store.make_folder(folder)
        repaired = _repair_tar if is_tarred(fp) else _repair_shard
        again = sum(repaired(store, state, session, shard, check) for shard in committed_shards(store, state))
        if state.state == COMPLETE:
            shards = -(-state.count // fp["shard_size"])
            if not table.is_right(store, shards):
                table.write(store, shards, table.form_of(store))
            if not store.exists(layout.SHEET):
                store.replace(layout.SHEET, run_sheet(store, state.count, fp["shard_size"], tarred=is_tarred(fp)))
        return again
    finally:
        store.close()


def _repair_shard(
    store: Store, state: RunState, session: GeneratorSession, shard: Shard, check: Callable[[], None]
) -> int:
    faults = check_shard(store, shard, state.fingerprint, check)
    strays = [Path(fault.file_name).name for fault in faults if fault.fault == STRAY]
    store.remove(shard.folder, [name for name in strays if layout.OURS.fullmatch(name)])
    lost = any(fault.fault in (NO_MANIFEST, BAD_MANIFEST) for fault in faults)
    if lost:
        old: dict[int, Row] = {}
        broken = list(range(shard.start, shard.stop))
    else:
        old = {row.index: row for row in manifest.read_shard(store, shard.number)}
        broken = sorted({fault.index for fault in faults if fault.index is not None})
    store.make_folder(shard.folder, shard.start, shard.stop)
    new = dict(old)
    for row, _, content in _made(session, state, broken):
        check()
        on_disk = store.read(row.file_name)
        there = on_disk is not None and hashlib.sha256(on_disk).hexdigest() == row.sha256
        if not there and not lost and old[row.index].sha256 != row.sha256:
            log.warning("%s does not come out here as its row says: it stays as it is", row.file_name)
            continue
        if not there:
            store.replace(row.file_name, content)
        new[row.index] = row
    if new != old:
        rows = [new[index] for index in sorted(new)]
        measures = HEADER_LINE + shard_lines(store, rows, partial(session.finite_at, state.fingerprint["seed"]))
        store.commit(
            {layout.measures_name(shard.number): measures, layout.manifest_name(shard.number): manifest.to_csv(rows)}
        )
    return len(broken)


def _repair_tar(
    store: Store, state: RunState, session: GeneratorSession, shard: Shard, check: Callable[[], None]
) -> int:
    """Like `_repair_shard`: a tar file with any fault is made anew, whole."""
    faults = check_shard(store, shard, state.fingerprint, check)
    if not faults:
        return 0
    lost = any(fault.fault in (NO_MANIFEST, BAD_MANIFEST) for fault in faults)
    old = {} if lost else {row.index: row for row in manifest.read_shard(store, shard.number)}
    _, there = tars.read_shard(store, shard.number)
    rows, measures, files = [], [], []
    for made, found, content in _made(session, state, list(range(shard.start, shard.stop))):
        check()
        row, known = made, old.get(made.index, made)
        if known.sha256 != made.sha256:
            content = there.get(made.file_name, b"")
            if hashlib.sha256(content).hexdigest() != known.sha256:
                log.warning("%s does not come out here as its row says: its tar file stays as it is", made.file_name)
                return shard.stop - shard.start
            row = image_row(made.index, state.fingerprint, known.sha256, len(content))
        rows.append(row)
        measures.append(found)
        files.append((row.file_name.partition("/")[2], content))
    store.replace(layout.tar_name(shard.number), tars.pack(files))
    store.commit(
        {
            layout.measures_name(shard.number): HEADER_LINE + lines(measures),
            layout.manifest_name(shard.number): manifest.to_csv(rows),
        }
    )
    return shard.stop - shard.start


def session_of(state: RunState, model: Path, device: str) -> GeneratorSession:
    """A session with the run's model, on its device where that is there.

    Raises:
        CommandError: 78 where the model is another; see `GeneratorSession`.
    """
    theirs = state.fingerprint
    devices = {provider: name for name, provider in BY_DEVICE.items()}
    session = GeneratorSession(model, devices.get(theirs["provider"], device) if device == "auto" else device)
    if session.model_sha256 != theirs["model_sha256"]:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the run was made with a model of sha256 {theirs['model_sha256']}, {model} has {session.model_sha256}: "
            "name the right one with --model",
        )
    return session


def _made(session: GeneratorSession, state: RunState, indices: list[int]) -> Iterator[tuple[Row, Measure, bytes]]:
    """Images by index; neighbours are made in one batch, as big as in a run."""
    fp = state.fingerprint
    for _, group in itertools.groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        run = [index for _, index in group]
        part = Shard(run[0] // fp["shard_size"], run[0], run[-1] + 1)
        yield from make_images(part, session, fp["seed"], BATCH_SIZE[session.provider], tarred=is_tarred(fp))
