"""How far a long job is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import click

from models.log import log

T = TypeVar("T")


class Progress:
    """A bar with rate and time left on a terminal; elsewhere a timestamped line now and then.

    Args:
        label: what is being done.
        total: units in the whole job.
        unit: their name, plural.
        done: units that an earlier run did; they do not count in the rate.
        seconds_between_lines: how often a line is written where there is no terminal.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0, seconds_between_lines: float = 30.0) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._first = done
        self._start = self._last_line = time.monotonic()
        self._seconds_between_lines = seconds_between_lines
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=total,
                label=label,
                file=sys.stderr,
                show_pos=True,
                show_eta=False,  # it would count what an earlier run did as done in no time
                item_show_func=lambda rate: rate,
            )
            self._bar.update(done)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, value, traceback)

    @property
    def rate(self) -> float:
        """Units a second since this object was made."""
        return (self.done - self._first) / max(time.monotonic() - self._start, 1e-9)

    @property
    def seconds_left(self) -> float:
        """At this rate; infinite before the first unit."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")

    def update(self, units: int) -> None:
        """Count `units` more as done."""
        self.done += units
        rate = f"{self.rate:.1f} {self.unit}/s, {duration(self.seconds_left)} left"
        if self._bar is not None:
            self._bar.update(units, rate)
        elif time.monotonic() - self._last_line >= self._seconds_between_lines:
            self._last_line = time.monotonic()
            log.info("%s: %d of %d, %s", self.label, self.done, self.total, rate)

    def counted(self, things: Iterable[T]) -> Iterator[T]:
        """`things`, each counted as done when it is there."""
        for thing in things:
            self.update(1)
            yield thing

    def say(self, what: str) -> None:
        """Show in the bar's place for rate and time left what is done now; elsewhere a line where one is due."""
        if self._bar is not None:
            self._bar.current_item = what
            self._bar.render_progress()
        elif time.monotonic() - self._last_line >= self._seconds_between_lines:
            self._last_line = time.monotonic()
            log.info("%s: %d of %d, %s", self.label, self.done, self.total, what)


def duration(seconds: float) -> str:
    """`seconds` for a person: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
