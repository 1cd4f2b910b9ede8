"""The log of the commands: lines for people, or JSON for machines, on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

log = logging.getLogger("gan")


class _Handler(logging.StreamHandler[Any]):
    """Writes to today's stderr, and clears a progress bar's line first."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        super().emit(record)


def set_up_logging() -> None:
    """Send the log to stderr as timestamped lines; calling it again changes nothing."""
    if not any(isinstance(handler, _Handler) for handler in log.handlers):
        handler = _Handler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and what is in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if hasattr(record, "exit_code"):
            row["exit_code"] = record.exit_code
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row)


def log_as_json() -> None:
    """Write what follows as one JSON object a line."""
    for handler in log.handlers:
        handler.setFormatter(_JsonLines())
