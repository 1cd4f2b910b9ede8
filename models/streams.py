"""Standard output and error that nothing can break: what becomes of the work does not depend on its readers."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


def make_safe() -> None:
    """Let this process print whatever happens to its standard streams, and whatever the text.

    Closed streams are opened on /dev/null, or the next file that is opened would take their place. A stream that is
    full, or whose reader has gone, takes the rest and drops it. A character that its encoding lacks becomes an escape.
    Streams that a caller put in the place of the process's own are left alone.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _safe(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _safe(sys.stderr, 2)


def lost_output() -> str | None:
    """Why standard output did not take all of it; None where it did, or where its reader wanted no more."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.lost if isinstance(raw, _Raw) else None
    return error.strerror if error and error.errno != errno.EPIPE else None


class _Raw(io.FileIO):
    """A descriptor to write to, of which the first failure is kept in `lost`; what comes after it is dropped."""

    lost: OSError | None = None

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        try:
            if self.lost is None:
                while (written := self._write(content)) is None:  # it is one that does not wait, and it is full
                    select.select([], [self], [])
                return written
        except OSError as error:
            self.lost = error
        return size

    def _write(self, content: Any) -> int | None:
        return super().write(content)


def _safe(stream: TextIO | None, fd: int) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(fd, "w", closefd=False)),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=fd == 2 or bool(stream and stream.isatty()),
        write_through=bool(getattr(stream, "write_through", False)),
    )
