"""Making what is missing of a run, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from jobs.dataset import layout, manifest
from jobs.dataset.begun import Begun
from jobs.dataset.committer import Committer
from jobs.dataset.formats import numbers
from jobs.dataset.remaining import Remaining
from jobs.dataset.shard import Shard, Versions
from jobs.dataset.state import RUNNING, SessionFacts
from jobs.held import HeldRun
from jobs.workers.crew import Pool
from jobs.workers.engine import CHOSEN
from models.errors import CommandError, ExitCode
from models.log import log
from models.machine import machine
from models.progress import Progress


@dataclass(frozen=True)
class Made:
    """Images that were made, and how many seconds that took."""

    images: int = 0
    seconds: float = 0.0


def make(
    run: HeldRun, remaining: Remaining, pool: Pool, batch_size: int, deadline: float, candidates: float = 1.0
) -> Made:
    """Make what is missing.

    Args:
        run: which.
        remaining: of it; something is missing.
        pool: workers.
        batch_size: images a batch.
        deadline: by `time.monotonic`, after which no new shard is begun; one is made in any case.
        candidates: that an image takes, about.

    Raises:
        CommandError: 3 where the deadline came first, 74 where the images would not fit, 76 for a part of a run that
            has ended, 78 for a run of an older layout; see `Pool`.
    """
    _refuse(run)
    store, facts = run.store, pool.ready()
    # Known before anything is made: what comes later than this is another run's, which took over from this one.
    versions = dict[str, Mapping[str, str] | None]()
    for format in run.plan.formats:
        versions |= format.versions(store, partial(_is_left, run, remaining))
    _check_room(run, remaining, facts)
    if run.part is None:  # the state is of the whole run
        run.write_state(RUNNING, remaining.count)
    for folder in (*(format.root for format in run.plan.formats), layout.MANIFESTS, layout.MEASURES):
        store.make_folder(folder)
    log.info(
        "%s: %d of %d images to make, seed %d, %s, %d workers, batches of %d",
        store, remaining.missing, remaining.share, run.plan.seed, facts.provider, pool.size, batch_size,
    )  # fmt: skip
    run.log(
        "start", missing=remaining.missing, count=remaining.share, provider=facts.provider, reason=facts.reason,
        workers=pool.size, batch_size=batch_size,
    )  # fmt: skip
    start, made, tried = time.monotonic(), 0, 0
    size = min(batch_size, CHOSEN) if run.plan.wish else batch_size
    size = run.plan.shard_size if pool.whole_shards else size
    pieces = _Pieces(run, remaining, size, deadline, versions, candidates)
    with run.telling():
        with (
            Progress("generating", remaining.share, "images", done=remaining.share - remaining.missing) as progress,
            Committer(
                store,
                lambda shard: run.log("shard", number=shard.number, images=shard.images),
                run.check,
                run.plan.column_names,
            ) as committer,
        ):
            for done in pool.run(pieces, batch_size, run.plan.mix):
                begun = pieces.begun[done.piece.number]
                begun.add(done.piece, done.manifest, done.measures)
                if begun.is_whole:
                    committer.commit(begun.shard, *begun.content())
                    del pieces.begun[done.piece.number]
                made += done.piece.images
                tried += done.candidates
                progress.update(done.piece.images)
        if pieces.is_late:
            raise CommandError(
                ExitCode.STOPPED,
                f"{store}: the time is over with {remaining.share - remaining.missing + made} of {remaining.share} "
                "images made; run the same command again to continue",
            )
    seconds = time.monotonic() - start
    chosen = {}
    if run.plan.wish is not None:
        chosen = {"candidates": tried, "candidates_per_second": round(tried / seconds, 1), "accepted": made / tried}
        log.info(
            "%s: %d of %d candidates were as wanted (%.2g%%), %.1f candidates/s",
            store, made, tried, 100 * made / tried, tried / seconds,
        )  # fmt: skip
    run.write_stats(
        images=made,
        seconds=round(seconds, 3),
        images_per_second=round(made / seconds, 1),
        workers=pool.size,
        batch_size=batch_size,
        provider=facts.provider,
        **chosen,
        machine=machine(),
    )
    return Made(made, seconds)


def _refuse(run: HeldRun) -> None:
    if run.state is not None and run.state.layout < layout.LAYOUT:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"{run.store} was made with layout {run.state.layout}, where images lie beside {layout.STATE}; this "
            f"version puts them below {layout.IMAGES}/ and adds nothing to such a run: name another `out`",
        )
    if run.part is not None and run.has_ended:  # its manifest would tell of other images, perhaps
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{run.store} has ended, but lacks images of part {run.part}: the same command without `part` makes them "
            "again",
        )


def _is_left(run: HeldRun, remaining: Remaining, number: int) -> bool:
    run.check()  # asked before each question to the store
    return remaining.has(number)


def _check_room(run: HeldRun, remaining: Remaining, facts: SessionFacts) -> None:
    """Refuse what would not fit; images that a kill left without a manifest are there already."""
    formats, written = run.plan.formats, 0
    begun = set.intersection(*(set(numbers(run.store, format)) for format in formats))
    for number in filter(remaining.has, begun):
        run.check()
        shard = run.plan.shard(number, remaining.count)
        there = min(format.written(run.store, shard) for format in formats)
        written += max(0, there - remaining.had(number))
    missing = max(remaining.missing - written, 0)
    run.store.check_room(missing, remaining.shards, facts.image_bytes, facts.mask_bytes)


class _Pieces:
    """What is missing, so many images of a shard at a time; to be asked for once.

    Args:
        run, remaining, deadline: see `make`.
        size: images a piece.
        versions: of files that are to be replaced.
        candidates: that an image takes, about.

    Attributes:
        begun: shards some of whose pieces are not done yet, by number.
        is_late: whether the deadline came before the last shard.
    """

    def __init__(
        self,
        run: HeldRun,
        remaining: Remaining,
        size: int,
        deadline: float,
        versions: Versions,
        candidates: float,
    ) -> None:
        self._run, self._remaining, self._size = run, remaining, size
        self._deadline, self._versions, self._candidates = deadline, versions, candidates
        self.begun: dict[int, Begun] = {}
        self.is_late = False

    def __iter__(self) -> Iterator[Shard]:
        formats = self._run.plan.formats
        for position, shard in enumerate(self._remaining.pending()):
            if position and time.monotonic() > self._deadline:  # one in any case, or a short time would never end
                self.is_late = True
                return
            for format in formats:
                format.begin(self._run.store, shard)
            rows = [] if formats[0].is_whole else self._committed(shard)
            places = [format.place(shard.number) for format in formats]
            replaces = {place: self._versions[place] for place in places if place in self._versions}
            self.begun[shard.number] = Begun(shard, rows, self._run.measures(shard.number, rows))
            for start in range(shard.start + len(rows), shard.stop, self._size):
                stop = min(start + self._size, shard.stop)
                yield Shard(shard.number, start, stop, replaces, self._candidates)

    def _committed(self, shard: Shard) -> list[manifest.Row]:
        """The rows of a shard that has fewer images than it shall have; none where its manifest is damaged."""
        try:
            rows = manifest.from_csv(self._run.store.read(layout.manifest_name(shard.number)) or b"")
        except ValueError:
            return []
        is_start = [row.index for row in rows] == list(range(shard.start, shard.start + len(rows)))
        return rows if is_start and self._run.plan.is_right(rows) and len(rows) < shard.images else []
