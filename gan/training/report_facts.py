"""What there is to tell of a training: from the small files in its folder, and its sample grids."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan.sizes import sides as sides_of
from gan.training import folder
from gan.training.sheets import Side, sides
from gan.training.state import read_state
from gan.training.stats import read_stats
from gan.training.status import TrainingStatus, status

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ([A-Z]+) (.*)")


@dataclass(frozen=True)
class Line:
    """A line of log.txt: when, such as `2026-11-22 03:00:07`, how bad, and what."""

    time: str
    level: str
    message: str


@dataclass(frozen=True)
class Sheet:
    """Part of a sample grid.

    Attributes:
        step: that it is of.
        is_kept: whether that is the generator that is kept.
        photos, images: the two sides of it.
        masks: the same of its masks; None where there are none.
    """

    step: int
    is_kept: bool
    photos: Side
    images: Side
    masks: tuple[Side, Side] | None


@dataclass(frozen=True)
class TrainingReport:
    """All that the page tells.

    Attributes:
        place: the run's folder.
        status: of it.
        state: what status.json says.
        left: what training_options.json says of the generator that is kept; empty where none is.
        rows: of statistics.
        sheets: of the generator that is kept, and of a newer one.
        lines: of the log.
    """

    place: str
    status: TrainingStatus
    state: dict[str, Any]
    left: dict[str, Any]
    rows: list[dict[str, float]]
    sheets: tuple[Sheet, ...]
    lines: tuple[Line, ...]

    @property
    def options(self) -> dict[str, Any]:
        """The options in effect; empty where they are not known yet."""
        found = self.left.get("options")
        return found if isinstance(found, dict) else {}

    @property
    def kept_is_of_an_earlier_start(self) -> bool:
        """Whether the run began anew since: what it tells of its steps is not of the generator that is kept."""
        return bool(self.left.get("restarts", 0) != self.state.get("restarts", self.left.get("restarts", 0)))


def read_report(out: Path) -> TrainingReport:
    """What there is to tell of the run in `out`.

    Raises:
        CommandError: 66 there is none.
    """
    found = status(out)
    state, left = read_state(out), _object(out / folder.OPTIONS)
    run = TrainingReport(
        str(out), found, state, left, read_stats(out / folder.STATS), (), tuple(_lines(out / folder.LOG))
    )  # fmt: skip
    return dataclasses.replace(run, sheets=tuple(_sheets(out, run)))


def _sheets(out: Path, run: TrainingReport) -> Iterator[Sheet]:
    """Of the generator that is kept and of the newest, where that is another; what is damaged is left out."""
    steps = sorted(
        int(path.stem[5:]) for path in (out / folder.SAMPLES).glob("fakes*.png") if path.stem[5:].isdecimal()
    )
    kept = None if run.kept_is_of_an_earlier_start else run.left.get("step")
    try:
        size, by_class = sides_of(run.options["image_size"]), bool(run.options.get("class_names"))
    except (KeyError, ValueError):
        return
    for step in dict.fromkeys([*(step for step in steps if step == kept), *steps[-1:]]):
        grid = out / folder.SAMPLES / f"fakes{step:06d}.png"
        of_masks = grid.with_name(f"{grid.stem}_masks.png")
        try:
            photos, images = sides(grid, size, by_class)
            masks = sides(of_masks, size, by_class) if of_masks.exists() else None
        except (OSError, ValueError, SyntaxError):  # Pillow's word for a PNG that is cut off or broken
            continue
        yield Sheet(step, step == kept, photos, images, masks)


def _lines(path: Path) -> Iterator[Line]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        if found := _LINE.fullmatch(line):
            yield Line(*found.groups())


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none, or it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
