"""The table of all runs: one row and one file of answers a fit, kept through kills."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import CommandError, ExitCode
from models.files import lock_folder, sync_folder, write_atomically, write_file, write_probe

TABLE, ANSWERS, SETTINGS, PLAN = "runs.csv", "answers", "settings.json", "plan.json"
COLUMNS = ("budget", "stage", "arm", "setting", "subset", "seed", "images", "validation", "test", "seconds")
TUNING, MAIN = "tuning", "main"


@dataclass(frozen=True)
class Task:
    """One fit.

    Attributes:
        budget: photos a class, or 0 for all.
        stage: tuning or main.
        arm: name.
        setting: what is chosen on validation photos, such as `strength=1,ratio=2`.
        subset, seed: which.
    """

    budget: int
    stage: str
    arm: str
    setting: str
    subset: int
    seed: int

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table has them."""
        told = (self.budget, self.stage, self.arm, self.setting, self.subset, self.seed)
        return tuple(map(str, told))

    @property
    def file_name(self) -> str:
        """Of its answers."""
        return f"{self.budget}-{self.arm}-{self.subset}-{self.seed}.npy"


@dataclass(frozen=True)
class RunRow:
    """What came of a fit.

    Attributes:
        images: how many it learned from.
        validation, test: the metric; the test's is NaN where tuning did not look at it.
        seconds: what it took.
    """

    images: int
    validation: float
    test: float
    seconds: float


class RunTable:
    """A folder's runs; of a row that a kill cut short nothing is kept.

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / TABLE
        (folder / ANSWERS).mkdir(exist_ok=True)
        self._rows: dict[tuple[str, ...], RunRow] = {}
        if not self._path.exists():
            write_atomically(self._path, lambda temporary: temporary.write_text(_line(COLUMNS)))
        whole, torn = _whole_lines(self._path.read_bytes())
        if torn:
            write_atomically(self._path, lambda temporary: temporary.write_bytes(whole))
        try:
            for row in csv.DictReader(io.StringIO(whole.decode())):
                key = tuple(row[name] for name in COLUMNS[:6])
                values = (float(row[name]) for name in ("validation", "test", "seconds"))
                self._rows[key] = RunRow(int(row["images"]), *values)
        except (KeyError, TypeError, ValueError):
            raise CommandError(
                ExitCode.BAD_DATA, f"{self._path} is damaged: remove the folder, or its last line"
            ) from None

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, task: Task) -> RunRow | None:
        """What is there of a task."""
        return self._rows.get(task.cells)

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return sum(row.seconds for row in self._rows.values())

    def add(self, task: Task, row: RunRow, answers: NDArray[np.float32] | None) -> None:
        """Keep a run: its answers first, then its row, which is flushed to disk.

        Args:
            task: what was run.
            row: what came of it.
            answers: probabilities of the test photos `[N, classes]`, or None where they were not asked about.
        """
        if answers is not None:
            packed = io.BytesIO()
            np.save(packed, answers)
            path = self._folder / ANSWERS / task.file_name
            write_atomically(path, lambda temporary: write_file(temporary, [packed.getbuffer()]))
        cells = (*task.cells, str(row.images), repr(row.validation), repr(row.test), f"{row.seconds:.3f}")
        write_file(self._path, [_line(cells).encode()], append=True)
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        self._rows[task.cells] = row

    def answers(self, task: Task) -> NDArray[np.float32]:
        """Of a run that is there, `[N, classes]`.

        Raises:
            CommandError: 65 they are gone or damaged.
        """
        path = self._folder / ANSWERS / task.file_name
        try:
            found: NDArray[np.float32] = np.load(path, allow_pickle=False)
        except (OSError, ValueError):
            raise CommandError(ExitCode.BAD_DATA, f"{path} is gone or damaged: remove its row in {TABLE}") from None
        return found


@contextlib.contextmanager
def owned(folder: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """A folder that is this run's alone, and only of one with these settings.

    Raises:
        CommandError: 73, 74 it cannot be written, 75 another run is at work there, 78 it has other settings.
    """
    write_probe(folder)
    with contextlib.closing(os.fdopen(lock_folder(folder, "gan-eval"))):
        path = folder / SETTINGS
        if path.exists():
            _refuse_others(folder, json.loads(path.read_bytes()), json.loads(json.dumps(settings)))
        else:
            text = json.dumps(settings, indent=1) + "\n"
            write_atomically(path, lambda temporary: temporary.write_text(text))
        sync_folder(folder)
        yield


def _refuse_others(folder: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for name in (*ours, *theirs):
        if theirs.get(name) != ours.get(name):
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"{folder} belongs to a run with other settings: {name} was {_short(theirs.get(name))} and is "
                f"{_short(ours.get(name))}: take another folder as `out`",
            )


def _short(value: object) -> str:
    said = json.dumps(value)
    return said if len(said) <= 40 else f"{said[:37]}…"


def _whole_lines(content: bytes) -> tuple[bytes, bytes]:
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
