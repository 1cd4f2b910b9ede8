"""The shard: the unit of work, of commit and of distribution."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from jobs import manifest, png
from jobs.manifest import Row
from jobs.session import GeneratorSession
from jobs.store import LocalStore
from models.latents import latents


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop - 1`, in one folder."""

    number: int
    start: int
    stop: int

    @property
    def folder(self) -> str:
        """The folder's name, relative to the run's folder."""
        return f"{self.number:05d}"


def image_name(index: int, shard: int) -> str:
    """Where image `index` of shard number `shard` lies, relative to the run's folder."""
    return f"{shard:05d}/{index:08d}.png"


def plan(count: int, shard_size: int) -> Iterator[Shard]:
    """The shards of images 0 to `count - 1`; the last one may be partial."""
    for number, start in enumerate(range(0, count, shard_size)):
        yield Shard(number, start, min(start + shard_size, count))


def make_shards(
    shards: Iterable[Shard],
    session: GeneratorSession,
    store: LocalStore,
    seed: int,
    batch_size: int,
    workers: Executor,
    in_flight: int,
    on_batch: Callable[[int], None] = lambda images: None,
) -> Iterator[Shard]:
    """Make shards and commit each; yields a shard when its manifest is in place.

    Where a shard has a manifest already, of fewer images than it shall have, those images stay as they are.

    Batches of several shards are in work at once, so that no worker waits at a shard's end; results are taken in
    order, and at most `in_flight` of them exist, so memory does not grow with the run.

    Args:
        shards: what to make.
        session: the generator.
        store: where to.
        seed: of the latents.
        batch_size: images a batch; a shard's last batch may be smaller.
        workers: runs the batches.
        in_flight: batches submitted and not yet taken.
        on_batch: called with the number of images of each finished batch; what it raises stops the work.
    """

    def batches() -> Iterator[tuple[Shard, int, int]]:
        for shard in shards:
            store.make_folder(shard.folder, shard.start, shard.stop)
            for start in range(shard.start + len(_rows_so_far(shard, store)), shard.stop, batch_size):
                yield shard, start, min(start + batch_size, shard.stop)

    pending: deque[tuple[Shard, Future[list[Row]]]] = deque()
    rows: list[Row] = []

    def take() -> Shard | None:
        shard, future = pending.popleft()
        batch = future.result()
        if not rows:
            rows.extend(_rows_so_far(shard, store))
        rows.extend(batch)
        finished = len(rows) == shard.stop - shard.start
        if finished:
            store.commit(manifest.shard_name(shard.number), manifest.to_csv(rows))
            rows.clear()
        on_batch(len(batch))
        return shard if finished else None

    try:
        for shard, start, stop in batches():
            if len(pending) >= in_flight and (finished := take()):
                yield finished
            pending.append((shard, workers.submit(_make_batch, shard, start, stop, session, store, seed, batch_size)))
        while pending:
            if finished := take():
                yield finished
    finally:
        for _, future in pending:
            future.cancel()


def _rows_so_far(shard: Shard, store: LocalStore) -> list[Row]:
    content = store.read(manifest.shard_name(shard.number))
    try:
        rows = manifest.from_csv(content or b"")
    except ValueError:
        return []  # damaged: as if it were not there
    whole = [row.index for row in rows] == list(range(shard.start, shard.start + len(rows)))
    return rows if whole and len(rows) <= shard.stop - shard.start else []


def _make_batch(
    shard: Shard, start: int, stop: int, session: GeneratorSession, store: LocalStore, seed: int, batch_size: int
) -> list[Row]:
    pixels = session.pixels(latents(seed, start, stop, session.info.z_dim), batch_size)
    _, height, width, channels = pixels.shape
    mode = "L" if channels == 1 else "RGB"
    rows = []
    for index, content in zip(range(start, stop), png.encode(pixels), strict=True):
        name = image_name(index, shard.number)
        store.write(name, content)
        rows.append(Row(index, name, seed, hashlib.sha256(content).hexdigest(), width, height, mode, len(content)))
    return rows
