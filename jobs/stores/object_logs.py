"""Files that are added to, in a store where an object can only be written as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_SECONDS, _GROWTH = 10.0, 8
"""A log is written again at most so often, and when it has grown by an eighth: all of it together nine times."""


@dataclass
class _Log:
    """A log as it is here, and how much of it is there.

    Attributes:
        content: of it.
        saved: bytes of it that are in the store.
        time: when it was written last, by `time.monotonic`.
    """

    content: bytearray
    saved: int
    time: float = field(default_factory=time.monotonic)


class ObjectLogs:
    """Logs that are kept here and written now and then. Several threads may add to them.

    Args:
        read: gives an object's content, None where there is none.
        write: writes an object.
    """

    def __init__(self, read: Callable[[str], bytes | None], write: Callable[[str, bytes], None]) -> None:
        self._read, self._write = read, write
        self._logs: dict[str, _Log] = {}
        self._lock = threading.Lock()

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a log; what is in the store already stays its beginning."""
        with self._lock:
            if name not in self._logs:
                before = self._read(name) or b""
                self._logs[name] = _Log(bytearray(before), len(before))
            self._logs[name].content += content

    def save(self) -> None:
        """Write all that have grown."""
        self._save(0, 0)

    def save_those_due(self) -> None:
        """Write those that have grown by enough, and were not written just now."""
        self._save(_SECONDS, _GROWTH)

    def _save(self, seconds: float, growth: int) -> None:
        with self._lock:
            now = time.monotonic()
            for name, log in self._logs.items():
                grown = len(log.content) - log.saved
                if grown and now - log.time >= seconds and (not growth or grown * growth > log.saved):
                    self._write(name, bytes(log.content))
                    log.saved, log.time = len(log.content), now
