"""What the logs of a run tell of its speed and its last error."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.dataset.layout import LOG, PART_FILE
from jobs.stores.store import Store

_TAIL_BYTES = 1 << 16
"""Of a log: some hundred shards, so that the answer comes at once and the speed is that of now."""
_ERRORS = ("stopped", "quality gate", "verification failed")


@dataclass(frozen=True)
class History:
    """What the ends of the logs say.

    Attributes:
        images_per_second: of all parts together, since each was started last; None before the second shard.
        last_error: when and why the run last stopped or was refused; None where it has been complete since, or never.
    """

    images_per_second: float | None
    last_error: str | None


def history(store: Store) -> History:
    """Of the run in `store`."""
    names = [name for name in store.names() if name == LOG or (PART_FILE.fullmatch(name) and name.endswith(".jsonl"))]
    logs = [list(_rows(store, name)) for name in names]
    rates = [rate for rows in logs if (rate := _rate(rows))]
    rows = sorted((row for rows in logs for row in rows), key=lambda row: row["time"])
    error = None
    for row in rows:
        if row["event"] == "complete":
            error = None
        elif row["event"] in _ERRORS:
            error = f"{row['time'].isoformat()} {row.get('reason') or row.get('first') or row['event']}"
    return History(sum(rates) if rates else None, error)


def _rows(store: Store, name: str) -> Iterator[dict[str, Any]]:
    try:
        with store.open(name) as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            row = json.loads(line)
            yield {**row, "time": datetime.fromisoformat(row["time"]), "event": str(row["event"])}
        except (ValueError, KeyError, TypeError):  # the first of the tail may be half a line
            continue


def _rate(rows: list[dict[str, Any]]) -> float | None:
    """Images a second since the last start, or over the tail where that is longer ago."""
    begin = max((number for number, row in enumerate(rows) if row["event"] == "start"), default=0)
    shards = [row for row in rows[begin + 1 :] if row["event"] == "shard"]
    if not shards:
        return None
    seconds = (shards[-1]["time"] - rows[begin]["time"]).total_seconds()
    return sum(int(row.get("images", 0)) for row in shards) / seconds if seconds > 0 else None
