"""Stopping on a signal, at a place from which the work can go on."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from models.errors import CommandError

_OTHERS = (
    "SIGKILL SIGSTOP "  # which nobody can catch
    "SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT SIGTRAP SIGSYS "  # a fault in the program: to go on would be wrong
    "SIGPIPE SIGXFSZ "  # which writing reports
    "SIGCHLD SIGURG SIGWINCH SIGCONT SIGTSTP SIGTTIN SIGTTOU"  # which end nothing
)
SIGNALS = frozenset(signal.valid_signals()) - {getattr(signal, name) for name in _OTHERS.split()}
"""All signals that ask a program to end."""


def signal_name(number: int) -> str:
    """Such as `SIGTERM`; some real-time signals have a number only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def heed_signals_as_first_process() -> None:
    """Let signals end the first process of a container, which the kernel spares those that it has no handler for."""
    if os.getpid() == 1:
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    raise CommandError(128 + number, f"stopped by {signal_name(number)}")


class Stop:
    """Turns a signal that asks the program to end into a flag, so that work ends at a place from which it can go on.

    A second signal acts at once. A signal that is ignored, as SIGHUP is below nohup, or that another part of the
    program listens to, keeps its meaning. Outside the main thread no handler can be set, and none is.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def __enter__(self) -> Stop:
        try:
            for number in SIGNALS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _end):
                    self._previous[number] = signal.signal(number, self._on_signal)
        except ValueError:
            pass
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def error(self, what_next: str) -> CommandError:
        """The error to end with: 128 and the signal's number, so 130 after Ctrl-C and 143 after SIGTERM."""
        return CommandError(128 + self.signal_number, f"stopped by {signal_name(self.signal_number)}; {what_next}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
