"""One call's view of a run: what is left of it, how it is made, and how it ends."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.checks import quality
from jobs.checks.quality import Gate
from jobs.checks.verify import image_row, is_users, verify
from jobs.dataset import layout, manifest, table
from jobs.dataset.begun import Begun
from jobs.dataset.committer import Committer
from jobs.dataset.measure import shard_lines
from jobs.dataset.part import Part
from jobs.dataset.shard import Shard, plan
from jobs.dataset.sheet import contact_sheet, run_sheet
from jobs.dataset.state import COMPLETE, REJECTED, RUNNING, RunState, is_tarred
from jobs.stores.store import Store
from jobs.workers.crew import Pool
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession


class Run:
    """A run whose folder this process holds.

    Args:
        store: where it is.
        state: what run.json says; None where the run begins.
        fingerprint: of it.
        count: images that the folder shall hold.
        append: instead of it, images to add to a complete run.
        session: gives the generator, should images have to be looked at again.
        check: called often; what it raises ends the work.
        part: of the run, which is then all that this object cares for.
        form: of the manifest, see `jobs.dataset.table`; by default the one it has.

    Attributes:
        count: images that the folder shall hold.
        share: of them, those of `part`; without one, all.
        missing: of these, when this call began.
        is_complete: whether nothing was left to do then.
        made: images that this call made.
        seconds: that it took to make them.
    """

    def __init__(
        self,
        store: Store,
        state: RunState | None,
        fingerprint: dict[str, Any],
        count: int | None,
        append: int | None,
        session: Callable[[], GeneratorSession],
        check: Callable[[], None],
        part: Part | None = None,
        form: str | None = None,
    ) -> None:
        self.store, self.fingerprint, self._check = store, fingerprint, check
        self._session = functools.cache(session)
        self._part, self._shard_size, self._tarred = part, int(fingerprint["shard_size"]), is_tarred(fingerprint)
        self._done = manifest.committed(store, self._shard_size, part)
        had = state.count if state else 0
        if count is None:  # a run that was cut off is finished, not added to: else a restart would add twice
            count = had + (append or 0) if state is None or state.state == COMPLETE else had
        self._has_ended = state is not None and state.state in (COMPLETE, REJECTED)
        self.count = max(
            [count, had if self._has_ended else 0, *self._done.values()]
        )  # a smaller count takes nothing away
        if self._tarred:  # one that has to hold more is made anew
            whole = {shard.number: shard.stop for shard in self._plan()}
            self._done = {number: stop for number, stop in self._done.items() if whole[number] == stop}
        self.share = sum(shard.stop - shard.start for shard in self._plan())
        self.missing = self.share - sum(stop - number * self._shard_size for number, stop in self._done.items())
        self._form = table.form_of(store, form)
        at_end = store.exists(layout.SHEET) and table.is_there(store, self._form)
        self.is_complete = self.missing == 0 and at_end and state == RunState(COMPLETE, self.count, fingerprint)
        self.made, self.seconds, self._is_late = 0, 0.0, False

    @property
    def shards(self) -> int:
        """How many the whole run has."""
        return -(-self.count // self._shard_size)

    def make(self, pool: Pool, batch_size: int, deadline: float) -> None:
        """Make what is missing, shard by shard.

        Args:
            pool: workers.
            batch_size: images a batch.
            deadline: by `time.monotonic`, after which no new shard is begun; one is made in any case.

        Raises:
            CommandError: 3 where the deadline came first, 74 where the images would not fit, 76 for a part of a run
                that has ended; see `Pool`.
        """
        if self._part is not None and self._has_ended:  # its manifest would tell of other images, perhaps
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{self.store} has ended, but lacks images of part {self._part}: the same command without --part makes "
                "them again",
            )
        facts = pool.ready()
        names = set(self.store.names())
        # Known before anything is made: what comes later than this is another run's, which took over from this one.
        there = {
            shard.number: self.store.version(name)
            for shard in self.pending()
            if self._tarred and (name := layout.tar_name(shard.number)) in names
        }
        self._check_room(facts.image_bytes, names)
        if self._part is None:  # the state is of the whole run
            self._write_state(RUNNING)
        for folder in (layout.MANIFESTS, layout.MEASURES):
            self.store.make_folder(folder)
        log.info(
            "%s: %d of %d images to make, seed %d, %s, %d workers, batches of %d",
            self.store, self.missing, self.share, self.fingerprint["seed"], facts.provider, pool.size, batch_size,
        )  # fmt: skip
        self._log(
            "start", missing=self.missing, count=self.share, provider=facts.provider, reason=facts.reason,
            workers=pool.size, batch_size=batch_size,
        )  # fmt: skip
        start = time.monotonic()
        piece = self._shard_size if pool.whole_shards else batch_size
        try:
            with (
                Progress("generating", self.share, "images", done=self.share - self.missing) as progress,
                Committer(self.store, self._on_commit, self._check) as committer,
            ):
                begun: dict[int, Begun] = {}
                for done in pool.run(self._slices(begun, piece, deadline, there), batch_size):
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
                    f"{self.store}: the time is over with {self.share - self.missing + self.made} of {self.share} "
                    "images made; run the same command again to continue",
                )
        except CommandError as error:
            with contextlib.suppress(OSError):  # the disk may be what stopped it
                self._log("stopped", reason=str(error))
            raise
        finally:
            self.seconds = time.monotonic() - start
        self._write_stats(pool.size, batch_size, facts.provider)

    def end(self, gate: Gate, verified: bool) -> None:
        """Leave nothing but the run; write its manifest and contact sheet; judge it; last, call it complete.

        Raises:
            CommandError: 76 where the gate or the verification rejects the run.
        """
        self._tidy()
        table.write(self.store, self.shards, self._form)
        self._check()
        self.store.replace(layout.SHEET, run_sheet(self.store, self.count, self._shard_size, tarred=self._tarred))
        self._judge(gate)
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

    def _slices(
        self, begun: dict[int, Begun], piece: int, deadline: float, there: Mapping[int, Mapping[str, str] | None]
    ) -> Iterator[Shard]:
        """What is missing, `piece` images of a shard at a time.

        Args:
            begun: where shards are entered.
            piece: how many images.
            deadline: see `make`.
            there: versions of tar files that are to be replaced, by shard.
        """
        for position, shard in enumerate(self.pending()):
            if position and time.monotonic() > deadline:  # the first one in any case, or a short time would never end
                self._is_late = True
                return
            if not self._tarred:
                self.store.make_folder(shard.folder, shard.start, shard.stop)
            rows = [] if self._tarred else self._committed(shard)
            begun[shard.number] = Begun(shard, rows, self._measures(rows))
            for start in range(shard.start + len(rows), shard.stop, piece):
                yield Shard(shard.number, start, min(start + piece, shard.stop), there.get(shard.number))

    def _have(self, shard: Shard) -> int:
        return self._done.get(shard.number, shard.start) - shard.start

    def _plan(self) -> Iterator[Shard]:
        """The shards that this object cares for."""
        shards = plan(self.count, self._shard_size)
        return (shard for shard in shards if self._part is None or self._part.has(shard.number))

    def pending(self) -> Iterator[Shard]:
        """The shards of which something is missing."""
        return (shard for shard in self._plan() if self._done.get(shard.number, 0) < shard.stop)

    def _check_room(self, image_bytes: int, names: Collection[str]) -> None:
        """Refuse what would not fit; images that a kill left without a manifest are there already.

        Args:
            image_bytes: of one image.
            names: what there is: most of what is missing has no folder.
        """
        pending, written = 0, 0
        for shard in self.pending():
            pending += 1
            if layout.tar_name(shard.number) in names:
                written += shard.stop - shard.start - self._have(shard)
            elif shard.folder in names:
                written += max(0, len(self.store.names(shard.folder)) - self._have(shard))
        self.store.check_room(max(self.missing - written, 0), pending, image_bytes)

    def _committed(self, shard: Shard) -> list[manifest.Row]:
        """The rows of a shard that has fewer images than it shall have; none where its manifest is damaged."""
        try:
            rows = manifest.from_csv(self.store.read(layout.manifest_name(shard.number)) or b"")
        except ValueError:
            return []
        whole = [row.index for row in rows] == list(range(shard.start, shard.start + len(rows)))
        return rows if whole and self._is_sound(rows) and len(rows) < shard.stop - shard.start else []

    def _judge(self, gate: Gate) -> None:
        self.store.remove(".", (layout.QUALITY, layout.OFFENDERS))
        if gate.mode == "off":
            return
        shards = self.store.map(self._to_judge, range(self.shards))
        faults = quality.judge(self.store, shards, gate, self.count)
        self.store.replace(layout.QUALITY, quality.report(gate, faults))
        beyond = [fault for fault in faults if fault.too_many]
        if not beyond:
            return
        size = self._shard_size
        shown = [layout.image_name(i, i // size, tarred=self._tarred) for fault in beyond for i in fault.indices]
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

    def _to_judge(self, number: int) -> tuple[list[manifest.Row], bytes]:
        rows = self._rows(number)
        return rows, self._measures(rows)

    def _measures(self, rows: list[manifest.Row]) -> bytes:
        return shard_lines(self.store, rows, self._finite)

    def _finite(self, index: int) -> NDArray[np.bool_]:
        """For an image whose measure was lost: whether all its values are numbers."""
        return self._session().finite_at(self.fingerprint["seed"], index)

    def _is_sound(self, rows: list[manifest.Row]) -> bool:
        right = [image_row(row.index, self.fingerprint, row.sha256, row.bytes) for row in rows]
        return rows == right and all(manifest.SHA256.fullmatch(row.sha256) for row in rows)

    def _rows(self, number: int) -> list[manifest.Row]:
        """The rows of a whole shard, which must be what its images' hashes and sizes leave no choice to be."""
        self._check()
        content = self.store.read(layout.manifest_name(number)) or b""
        values = [line.split(",") for line in content.decode(errors="replace").split("\n")[1:-1]]
        try:
            hashes = [(row[3], int(row[7])) for row in values]
        except (IndexError, ValueError):
            raise manifest.damaged(self.store, layout.manifest_name(number)) from None
        start = number * self._shard_size
        rows = [image_row(index, self.fingerprint, *known) for index, known in enumerate(hashes, start)]
        if manifest.to_csv(rows) != content or not all(manifest.SHA256.fullmatch(row.sha256) for row in rows):
            raise manifest.damaged(self.store, layout.manifest_name(number))
        return rows

    def _tidy(self) -> None:
        """Remove what a larger run, or one that was killed, left of its own."""
        last = (self.count - 1) // self._shard_size
        for name in filter(layout.SHARD.fullmatch, self.store.names()):
            if int(name) > last:
                self.store.remove(name, filter(layout.IMAGE.fullmatch, self.store.names(name)))
        tars = [name for name in filter(layout.TAR.fullmatch, self.store.names()) if int(name[:-4]) > last]
        self.store.remove(".", tars)
        if not self._tarred:
            self.store.make_folder(layout.shard_folder(last), last * self._shard_size, self.count)
        self.store.remove_temporaries()

    def _on_commit(self, shard: Shard) -> None:
        self._log("shard", number=shard.number, images=shard.stop - shard.start)

    def _own(self, name: str) -> str:
        """What a file is called that parts must not share."""
        return name if self._part is None else self._part.file_name(name)

    def _write_state(self, state: str) -> None:
        RunState(state, self.count, self.fingerprint).write(self.store)

    def _write_stats(self, workers: int, batch_size: int, provider: str) -> None:
        content = {
            "images": self.made,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.made / self.seconds, 1),
            "workers": workers,
            "batch_size": batch_size,
            "provider": provider,
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.platform()},
        }
        self.store.write(self._own(layout.STATS), (json.dumps(content, indent=2) + "\n").encode())

    def _log(self, event: str, **fields: object) -> None:
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        self.store.append(self._own(layout.LOG), (json.dumps(row) + "\n").encode())
