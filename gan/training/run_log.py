"""What a run says, kept in its folder: log.txt."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from types import TracebackType

from models.errors import command_error
from models.files import write_file
from models.log import log


class RunLog(logging.Handler):
    """Keeps what is logged while it is entered, and writes it to a file from `begin` on: a refused run has none.

    A line that cannot be written raises `OSError`: a run on a full disk ends, as with any other of its files. How the
    run ends is the last line.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._path: Path | None = None
        self._waiting: list[bytes] = []
        self._level_before = logging.NOTSET

    def begin(self, path: Path) -> None:
        """Write to this file's end from now on, first what was said so far."""
        self._path = path
        write_file(path, self._waiting, append=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or keep it."""
        line = (self.format(record) + "\n").encode(errors="backslashreplace")
        if self._path is None:
            self._waiting.append(line)
        else:
            write_file(self._path, [line], append=True)

    def __enter__(self) -> RunLog:
        self._level_before = log.level
        if log.level == logging.NOTSET:  # in a Python caller's process, where nobody set up the log
            log.setLevel(logging.INFO)
        log.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        log.removeHandler(self)
        log.setLevel(self._level_before)
        if value is not None and self._path is not None:
            error = command_error(value)
            words = f"ended with exit code {int(error.exit_code)}: {error}"
            record = logging.LogRecord(log.name, logging.ERROR, "", 0, words, None, None)
            with contextlib.suppress(OSError):
                if log.filter(record):  # as a command says it
                    self.handle(record)
        self.close()
