"""A run that this process holds: what all need to know who make it, end it or look at it again."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.dataset import layout, manifest
from jobs.dataset.measure import shard_lines
from jobs.dataset.part import Part
from jobs.dataset.plan import Plan
from jobs.dataset.remaining import Remaining
from jobs.dataset.state import COMPLETE, REJECTED, RunState
from jobs.stores.store import Store
from jobs.workers.drawing import is_finite
from models.errors import CommandError

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession


@dataclass(frozen=True)
class HeldRun:
    """A run, or a part of one, whose folder this process holds.

    Attributes:
        store: where it is.
        state: what run.json said when it was taken; None where the run begins.
        fingerprint: of it.
        open_session: gives the generator, should images have to be looked at again.
        check: called often; what it raises ends the work.
        part: of the run; None: all of it.
        line: see `RunState`.
    """

    store: Store
    state: RunState | None
    fingerprint: dict[str, Any]
    open_session: Callable[[], GeneratorSession]
    check: Callable[[], None]
    part: Part | None = None
    line: str | None = None

    @cached_property
    def plan(self) -> Plan:
        """Which images it has, and where."""
        return Plan.of(self.fingerprint)

    def classes(self, count: int) -> dict[str, int]:
        """How many of its first `count` images show each class; empty where there are no classes."""
        mix = self.plan.mix
        return {} if mix is None else dict(zip(mix.names, mix.counts(count), strict=True))

    @property
    def had(self) -> int:
        """How many images it was to hold until now."""
        return self.state.count if self.state else 0

    @property
    def has_ended(self) -> bool:
        """Whether it was complete, or rejected."""
        return self.state is not None and self.state.state in (COMPLETE, REJECTED)

    def remaining(self, count: int | None = None, append: int | None = None) -> Remaining:
        """What is left of it, from one listing.

        Args:
            count: images that the folder shall hold; None: as many as until now.
            append: instead of it, images to add to a complete run. One that was cut off is finished, not added to: else
                a restart would add twice.
        """
        if count is None:
            is_whole = self.state is None or self.state.state == COMPLETE
            count = self.had + (append or 0 if is_whole else 0)
        least = self.had if self.has_ended else 0  # a smaller count takes nothing away
        done = manifest.committed(self.store, self.plan.shard_size, self.part, self.check)
        return Remaining(self.plan, done, max(count, least), self.part)

    def measures(self, number: int, rows: list[manifest.Row]) -> bytes:
        """The measures of a shard with these rows, as lines."""
        return shard_lines(self.store, number, rows, self.plan.format, self._finite)

    def _finite(self, index: int) -> NDArray[np.bool_]:
        """For an image whose measure was lost: whether all its values are numbers."""
        return is_finite(self._session, self.plan, index)

    @cached_property
    def _session(self) -> GeneratorSession:
        return self.open_session()

    def write_state(self, state: str, count: int) -> None:
        """Let run.json say so."""
        RunState(state, count, self.fingerprint, self.line).write(self.store)

    def log(self, event: str, **fields: object) -> None:
        """Add a line to the run's log, or to its part's."""
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        self.store.append(self._own(layout.LOG), (json.dumps(row) + "\n").encode())

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Let the log say why the block ended, where it did not end well."""
        try:
            yield
        except CommandError as error:
            with contextlib.suppress(CommandError, OSError):  # the disk may be what stopped it
                self.log("stopped", reason=str(error), exit_code=int(error.exit_code))
            raise

    def write_stats(self, **figures: object) -> None:
        """Write how fast it was made, or its part."""
        self.store.write(self._own(layout.STATS), (json.dumps(figures, indent=2) + "\n").encode())

    def _own(self, name: str) -> str:
        """What a file is called that parts must not share."""
        return name if self.part is None else self.part.file_name(name)
