"""A run's rows of statistics: stats.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

from gan.training.folder import STATS
from models.files import write_atomically, write_file

LOSSES = ("Loss_D", "Loss_G")
SCORES = ("D(x)", "D(G(z)) before", "D(G(z)) after")
KID = "KID x 1000"
SCORE = "score"
COLUMNS = ("step", "kimg", *LOSSES, *SCORES)
"""Of every row; those with a sample grid have `diversity` too, and where photos are held out KID and score."""


class StatsWriter:
    """Appends statistics to `stats.jsonl`.

    Lines after `step` are dropped first: they come from a run that was cut off past its last snapshot.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / STATS
        self.rows = [row for row in read_stats(self.path) if row["step"] <= step]
        kept = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomically(self.path, lambda temporary: write_file(temporary, [kept.encode()]))

    def write(self, row: dict[str, float]) -> None:
        """Record one row; its `step` is the optimiser step."""
        self.rows.append(row)
        write_file(self.path, [f"{json.dumps(row)}\n".encode()], append=True)


def read_stats(path: Path) -> list[dict[str, float]]:
    """The rows of a `stats.jsonl` up to the first damaged one; the last line may have been cut off."""
    rows: list[dict[str, float]] = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not isinstance(row, dict) or not all(isinstance(row.get(name), int | float) for name in COLUMNS):
                break
            rows.append(row)
    return rows
