"""What a run tells while it goes on: rows of statistics, sample grids, curves, KID, a word about collapse."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan.networks.pixels import to_float
from gan.photos.read import ImageSet
from gan.training import monitor
from gan.training.collapse import CollapseWatch
from gan.training.events import Events
from gan.training.folder import CURVES, SAMPLES
from gan.training.sheets import COLUMNS, GRID_IMAGES, named, of_each_class, rows_of
from gan.training.state import TrainingState
from gan.training.stats import KID, SCORE, StatsWriter
from gan.training.trainer import Trainer
from gan.training.validation import FAKES, Measured, Validation
from models.info import IMAGES, MASKS
from models.latents import LABEL
from models.log import log
from models.picks import spread
from models.progress import Progress

WATCHED = 1000
"""Photos with classes at most that samples are compared with: some of each class have to be among them."""


@dataclass(frozen=True)
class Verdict:
    """What a row of statistics means for the run.

    Attributes:
        complaint: how it has collapsed, or nothing.
        measured: against held-out photos, where that was done.
    """

    complaint: str = ""
    measured: Measured | None = None


class Reporter(contextlib.ExitStack):
    """Writes to the run's folder while it is entered; one process of a run has one.

    Args:
        out: the run's folder.
        data: the training images.
        trainer: the run as it begins.
        validation: held-out photos to measure against, or None.
        state: what says from outside how far the run is.
    """

    def __init__(
        self, out: Path, data: ImageSet, trainer: Trainer, validation: Validation | None, state: TrainingState
    ) -> None:
        super().__init__()
        self._out, self._validation, self._state = out, validation, state
        self._looked_at = 0
        rows = rows_of(len(data.class_names)) if data.class_names else []
        drawn = trainer.generator.inputs_at(trainer.config.seed, 0, GRID_IMAGES)
        self._inputs = drawn if not rows else _a_row_each(drawn, rows)
        self._labels = self._inputs[LABEL].tolist() if rows else []
        watched = spread(len(data.images), WATCHED if rows else GRID_IMAGES)
        self._stats = StatsWriter(out, trainer.step)
        self._events = self.enter_context(Events(out, trainer.step))
        self._watch = CollapseWatch(
            to_float(data.images[watched]), trainer.config.label_smoothing, self._stats.rows, trainer.loss.bounded,
            [data.labels[place] for place in watched] if rows else (),
        )  # fmt: skip
        self._progress = self.enter_context(Progress("training", trainer.total_steps, "steps", done=trainer.step))
        shown = left = spread(len(data.images), GRID_IMAGES)
        if rows:
            shown, left = (
                of_each_class(data.labels, len(data.class_names), columns) for columns in (COLUMNS, COLUMNS // 2)
            )
            log.info("rows of the grids in %s, from the top: %s", out / SAMPLES, named(rows, data.class_names))
        monitor.save_picture(monitor.grid(to_float(data.images[shown])), out / SAMPLES / "reals.png")
        self._left = to_float(data.images[left])
        self._left_masks = None if data.masks is None else to_float(data.masks[left])
        if data.masks is not None:
            monitor.save_picture(monitor.grid(to_float(data.masks[shown])), out / SAMPLES / "reals_masks.png")

    def step(self) -> None:
        """One more step is done."""
        self._progress.update(1)

    def report(self, trainer: Trainer, scalars: dict[str, float], with_samples: bool, with_kid: bool) -> Verdict:
        """Write a row of statistics and, with samples, what is made of them; KID only where photos are held out."""
        row = {"step": trainer.step, "kimg": trainer.kimg, **scalars}
        measured: Measured | None = None
        if with_samples:
            drawn = monitor.sample(trainer.generator, self._inputs)
            fakes = drawn[IMAGES]
            row["diversity"] = round(self._watch.share(fakes, self._labels), 4)
            if with_kid and self._validation is not None:
                self._looked_at = 0
                measured = self._validation.measure(trainer.generator, self._looked)
                row |= {KID: round(measured.kid_x1000, 3), SCORE: round(measured.score, 3)}
        self._stats.write(row)
        self._events.row(row)
        self._state.write(
            step=trainer.step, kimg=trainer.kimg, steps_per_s=round(self._progress.rate, 3), restarts=trainer.restarts
        )
        complaint = self._watch.look(row)
        if with_samples or complaint:  # the run may end with a complaint: what it is about can be seen
            self._draw(trainer.step, drawn if with_samples else monitor.sample(trainer.generator, self._inputs))
        words = ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name not in ("step", "kimg"))
        log.info("step %d, %.1f kimg: %s", trainer.step, trainer.kimg, words)
        return Verdict(complaint, measured)

    @property
    def collapsed_at(self) -> float | None:
        """Thousands of images after which a collapse began that still lasts; None where there is none."""
        return self._watch.collapsed_at

    def _looked(self, images: int) -> None:
        self._looked_at += images
        self._progress.say(f"KID: {self._looked_at} of {FAKES} images")

    def _draw(self, step: int, drawn: Mapping[str, Tensor]) -> None:
        """Leave a sample grid of this step, one of the masks, and the curves up to it."""
        picture = monitor.beside(self._left, drawn[IMAGES])
        monitor.save_picture(picture, self._out / SAMPLES / f"fakes{step:06d}.png")
        if MASKS in drawn and self._left_masks is not None:
            masks = monitor.beside(self._left_masks, drawn[MASKS])
            monitor.save_picture(masks, self._out / SAMPLES / f"fakes{step:06d}_masks.png")
        self._events.picture(picture, step)
        monitor.plot_losses(self._stats.rows, self._out / CURVES)


def _a_row_each(drawn: Mapping[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Inputs of a grid whose rows have these labels: rows of different classes have the same latents, so that what
    differs is the class's."""
    columns = COLUMNS
    turns = [place - rows.index(label) for place, label in enumerate(rows)]
    places = [turn * columns + column for turn in turns for column in range(columns)]
    labels = torch.tensor(rows, device=drawn[LABEL].device).repeat_interleave(columns)
    return {**{name: values[places] for name, values in drawn.items()}, LABEL: labels}
