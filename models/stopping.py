"""Stopping on a signal, at a place from which the work can go on."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from models.errors import CommandError, ExitCode


class Stop:
    """Turns SIGINT and SIGTERM into a flag, so that work ends at a place from which it can go on.

    A second signal acts at once. Outside the main thread no handler can be set, and none is.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def __enter__(self) -> Stop:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        except ValueError:
            pass
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def error(self, what_next: str) -> CommandError:
        """The error to end with: 130 after Ctrl-C, 143 after SIGTERM."""
        code = ExitCode.TERMINATED if self.signal_number == signal.SIGTERM else ExitCode.INTERRUPTED
        return CommandError(code, f"stopped by {signal.Signals(self.signal_number).name}; {what_next}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
