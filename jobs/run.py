"""One call's view of a run: what is left of it, how it is made, and how it ends."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs import layout, manifest, quality
from jobs.committer import Committer
from jobs.measure import shard_lines
from jobs.pool import Done, Order, WorkerPool
from jobs.quality import Gate
from jobs.shard import Shard, plan
from jobs.sheet import contact_sheet, run_sheet
from jobs.state import COMPLETE, REJECTED, RUNNING, RunState, SessionFacts
from jobs.store import Store
from jobs.verify import image_row, is_users, verify
from models.console import CommandError, ExitCode, Progress, log

if TYPE_CHECKING:
    from jobs.session import GeneratorSession


class Run:
    """A run whose folder this process holds.

    Args:
        store: where it is.
        order: what its workers work with.
        facts: of their sessions.
        state: what run.json says; None where the run begins.
        fingerprint: of it.
        count: images that the folder shall hold.
        append: instead of it, images to add to a complete run.
        check: called often; what it raises ends the work.

    Attributes:
        count: images that the folder shall hold.
        missing: of them, when this call began.
        is_complete: whether nothing was left to do then.
        made: images that this call made.
        seconds: that it took to make them.
    """

    def __init__(
        self,
        store: Store,
        order: Order,
        facts: SessionFacts,
        state: RunState | None,
        fingerprint: dict[str, Any],
        count: int | None,
        append: int | None,
        check: Callable[[], None],
    ) -> None:
        self.store, self._order, self.facts, self.fingerprint, self._check = store, order, facts, fingerprint, check
        self._shard_size: int = fingerprint["shard_size"]
        self._done = manifest.committed(store, self._shard_size)
        had = state.count if state else 0
        if count is None:  # a run that was cut off is finished, not added to: else a restart would add twice
            count = had + (append or 0) if state is None or state.state == COMPLETE else had
        ended = state is not None and state.state in (COMPLETE, REJECTED)
        self.count = max([count, had if ended else 0, *self._done.values()])  # a smaller count takes nothing away
        self.missing = self.count - sum(stop - number * self._shard_size for number, stop in self._done.items())
        at_end = all(store.exists(name) for name in (layout.MANIFEST, layout.SHEET))
        self.is_complete = self.missing == 0 and at_end and state == RunState(COMPLETE, self.count, fingerprint)
        self.made, self.seconds, self._is_late = 0, 0.0, False

    def make(self, pool: WorkerPool, batch_size: int, deadline: float) -> None:
        """Make what is missing, shard by shard.

        Args:
            pool: workers.
            batch_size: images a batch.
            deadline: by `time.monotonic`, after which no new shard is begun; one is made in any case.

        Raises:
            CommandError: 3 where the deadline came first, 74 where the images would not fit; see `WorkerPool`.
        """
        pending = list(self._pending())
        written = sum(max(0, len(self.store.names(shard.folder)) - self._have(shard)) for shard in pending)
        self.store.check_room(max(self.missing - written, 0), len(pending), self.facts.image_bytes)
        self._write_state(RUNNING)
        for folder in (layout.MANIFESTS, layout.MEASURES):
            self.store.make_folder(folder)
        log.info(
            "%s: %d of %d images to make, seed %d, %s, %d workers, batches of %d",
            self.store, self.missing, self.count, self.fingerprint["seed"], self.facts.provider, pool.size,
            batch_size,
        )  # fmt: skip
        self._log(
            "start", missing=self.missing, count=self.count, provider=self.facts.provider, reason=self.facts.reason,
            workers=pool.size, batch_size=batch_size,
        )  # fmt: skip
        start = time.monotonic()
        try:
            with (
                Progress("generating", self.count, "images", done=self.count - self.missing) as progress,
                Committer(self.store, self._on_commit, self._check) as committer,
            ):
                begun: dict[int, _Begun] = {}
                for done in pool.run(self._slices(begun, batch_size, deadline), batch_size):
                    shard = begun[done.part.number]
                    shard.add(done)
                    if shard.is_whole:
                        committer.commit(shard.shard, *shard.content())
                        del begun[done.part.number]
                    images = done.part.stop - done.part.start
                    self.made += images
                    progress.update(images)
            if self._is_late:
                raise CommandError(
                    ExitCode.STOPPED,
                    f"{self.store}: the time is over with {self.count - self.missing + self.made} of {self.count} "
                    "images made; run the same command again to continue",
                )
        except CommandError as error:
            with contextlib.suppress(OSError):  # the disk may be what stopped it
                self._log("stopped", reason=str(error))
            raise
        finally:
            self.seconds = time.monotonic() - start
        self._write_stats(pool.size, batch_size)

    def end(self, gate: Gate, verified: bool) -> None:
        """Leave nothing but the run; write its manifest and contact sheet; judge it; last, call it complete.

        Raises:
            CommandError: 76 where the gate or the verification rejects the run.
        """
        self._tidy()
        shards = -(-self.count // self._shard_size)
        self.store.replace(layout.MANIFEST, manifest.assemble(self.store, shards))
        self._check()
        self.store.replace(layout.SHEET, run_sheet(self.store, self.count, self._shard_size))
        self._judge(gate, shards)
        if verified:
            self.verify()
        self._log("complete", made=self.made, seconds=round(self.seconds, 3))
        self.store.flush(layout.MANIFESTS, layout.MEASURES)  # a run that was killed may have left names unflushed
        self._write_state(COMPLETE)

    def verify(self) -> None:
        """Compare every image with its row.

        Raises:
            CommandError: 76 with the number of faults and the first.
        """
        found = verify(str(self.store), RunState(COMPLETE, self.count, self.fingerprint), self._check)
        faults = [fault for fault in found if not is_users(fault)]
        if faults:
            self._log("verification failed", faults=len(faults), first=str(faults[0]))
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{self.store} is not published: faults: {len(faults)}, the first: {faults[0]}; "
                f"try `gan-batch verify {self.store} --repair`",
            )

    def _slices(self, begun: dict[int, _Begun], batch_size: int, deadline: float) -> Iterator[Shard]:
        """What is missing, a batch at a time; shards are entered in `begun`."""
        for position, shard in enumerate(self._pending()):
            if position and time.monotonic() > deadline:  # the first one in any case, or a short time would never end
                self._is_late = True
                return
            self.store.make_folder(shard.folder, shard.start, shard.stop)
            rows = self._committed(shard)
            begun[shard.number] = _Begun(shard, rows, self._measures(rows))
            for start in range(shard.start + len(rows), shard.stop, batch_size):
                yield Shard(shard.number, start, min(start + batch_size, shard.stop))

    def _have(self, shard: Shard) -> int:
        return self._done.get(shard.number, shard.start) - shard.start

    def _pending(self) -> Iterator[Shard]:
        shards = plan(self.count, self._shard_size)
        return (shard for shard in shards if self._done.get(shard.number, 0) < shard.stop)

    def _committed(self, shard: Shard) -> list[manifest.Row]:
        """The rows of a shard that has fewer images than it shall have; none where its manifest is damaged."""
        try:
            rows = manifest.from_csv(self.store.read(layout.manifest_name(shard.number)) or b"")
        except ValueError:
            return []
        whole = [row.index for row in rows] == list(range(shard.start, shard.start + len(rows)))
        return rows if whole and self._is_sound(rows) and len(rows) < shard.stop - shard.start else []

    def _judge(self, gate: Gate, shards: int) -> None:
        self.store.remove(".", (layout.QUALITY, layout.OFFENDERS))
        if gate.mode == "off":
            return
        rows = (self._rows(number) for number in range(shards))
        faults = quality.judge(self.store, ((some, self._measures(some)) for some in rows), gate, self.count)
        self.store.replace(layout.QUALITY, quality.report(gate, faults))
        beyond = [fault for fault in faults if fault.too_many]
        if not beyond:
            return
        shown = [layout.image_name(i, i // self._shard_size) for fault in beyond for i in fault.indices]
        self.store.replace(layout.OFFENDERS, contact_sheet(self.store, shown))
        message = f"quality gate: {'; '.join(map(str, beyond))}; see {self.store}/{layout.OFFENDERS}"
        self._log("quality gate", mode=gate.mode, reason=message)
        if gate.mode == "warn":
            log.warning("%s", message)
            return
        self._write_state(REJECTED)
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{message}; the images are kept but not published: --quality-gate warn takes them all the same",
        )

    def _measures(self, rows: list[manifest.Row]) -> bytes:
        return shard_lines(self.store, rows, self._finite)

    def _finite(self, index: int) -> NDArray[np.bool_]:
        """For an image whose measure was lost: whether all its values are numbers."""
        return self._session.finite_at(self.fingerprint["seed"], index)

    @functools.cached_property
    def _session(self) -> GeneratorSession:
        from jobs.session import GeneratorSession  # here, since it loads ONNX Runtime, which only workers need else

        return GeneratorSession(self._order.model, self._order.device)

    def _is_sound(self, rows: list[manifest.Row]) -> bool:
        right = [image_row(row.index, self.fingerprint, row.sha256, row.bytes) for row in rows]
        return rows == right and all(manifest.SHA256.fullmatch(row.sha256) for row in rows)

    def _rows(self, number: int) -> list[manifest.Row]:
        self._check()
        rows = manifest.read_shard(self.store, number)
        if not self._is_sound(rows):
            raise manifest.damaged(self.store, layout.manifest_name(number))
        return rows

    def _tidy(self) -> None:
        """Remove what a larger run, or one that was killed, left of its own."""
        last = (self.count - 1) // self._shard_size
        for name in filter(layout.SHARD.fullmatch, self.store.names()):
            if int(name) > last:
                self.store.remove(name, filter(layout.IMAGE.fullmatch, self.store.names(name)))
        self.store.make_folder(layout.shard_folder(last), last * self._shard_size, self.count)
        self.store.remove_temporaries()

    def _on_commit(self, shard: Shard) -> None:
        self._log("shard", number=shard.number, images=shard.stop - shard.start)

    def _write_state(self, state: str) -> None:
        RunState(state, self.count, self.fingerprint).write(self.store)

    def _write_stats(self, workers: int, batch_size: int) -> None:
        content = {
            "images": self.made,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.made / self.seconds, 1),
            "workers": workers,
            "batch_size": batch_size,
            "provider": self.facts.provider,
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.platform()},
        }
        self.store.write(layout.STATS, (json.dumps(content, indent=2) + "\n").encode())

    def _log(self, event: str, **fields: object) -> None:
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        self.store.append(layout.LOG, (json.dumps(row) + "\n").encode())


class _Begun:
    """A shard some of whose slices are not done yet.

    Args:
        shard: which.
        rows: of the images that it has already.
        measures: their measures, as lines.
    """

    def __init__(self, shard: Shard, rows: list[manifest.Row], measures: bytes) -> None:
        self.shard = shard
        self._images = len(rows)
        self._parts = {shard.start: (manifest.lines(rows), measures)} if rows else {}

    def add(self, done: Done) -> None:
        """Take a slice that is done."""
        self._parts[done.part.start] = (done.manifest, done.measures)
        self._images += done.part.stop - done.part.start

    @property
    def is_whole(self) -> bool:
        """Whether all its slices are done."""
        return self._images == self.shard.stop - self.shard.start

    def content(self) -> tuple[bytes, bytes]:
        """Lines of its manifest and of its measures, in order."""
        manifests, measures = zip(*(self._parts[start] for start in sorted(self._parts)), strict=True)
        return b"".join(manifests), b"".join(measures)
