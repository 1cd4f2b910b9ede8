"""What a run tells while it goes on: rows of statistics, sample grids, curves, KID, a word about collapse."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gan.networks.pixels import to_float
from gan.photos.read import ImageSet
from gan.training import monitor
from gan.training.collapse import CollapseWatch
from gan.training.trainer import Trainer
from gan.training.validation import Validation
from models.log import log
from models.progress import Progress


@dataclass(frozen=True)
class Verdict:
    """What a row of statistics means for the run.

    Attributes:
        complaint: how it has collapsed, or nothing.
        kid_x1000: KID × 1000 against held-out photos, where it was measured.
    """

    complaint: str = ""
    kid_x1000: float | None = None


class Reporter(contextlib.ExitStack):
    """Writes to the run's folder while it is entered; one process of a run has one.

    Args:
        out: the run's folder.
        data: the training images.
        trainer: the run as it begins.
        validation: held-out photos to measure against, or None.
    """

    def __init__(self, out: Path, data: ImageSet, trainer: Trainer, validation: Validation | None) -> None:
        super().__init__()
        self._out, self._validation = out, validation
        self._reals = to_float(data.images[: monitor.GRID_IMAGES])
        self._inputs = trainer.generator.inputs_at(trainer.config.seed, 0, monitor.GRID_IMAGES)
        self._stats = self.enter_context(monitor.StatsWriter(out, trainer.step))
        config = trainer.config
        self._watch = CollapseWatch(self._reals, config.label_smoothing, self._stats.rows, config.loss == "hinge")
        self._progress = self.enter_context(Progress("training", trainer.total_steps, "steps", done=trainer.step))
        monitor.save_picture(monitor.grid(self._reals), out / "samples" / "reals.png")

    def step(self) -> None:
        """One more step is done."""
        self._progress.update(1)

    def report(self, trainer: Trainer, scalars: dict[str, float], with_samples: bool, with_kid: bool) -> Verdict:
        """Write a row of statistics and, with samples, what is made of them; KID only where photos are held out."""
        row = {"step": trainer.step, "kimg": trainer.kimg, **scalars}
        kid_x1000: float | None = None
        if with_samples:
            fakes = monitor.sample(trainer.generator, self._inputs)
            row["diversity"] = round(self._watch.share(fakes), 4)
            if with_kid and self._validation is not None:
                kid_x1000 = row[monitor.KID] = round(self._validation.kid_x1000(trainer.generator), 3)
        self._stats.write(row)
        complaint = self._watch.look(row)
        if with_samples or complaint:  # the run may end with a complaint: what it is about can be seen
            self._draw(trainer.step, fakes if with_samples else monitor.sample(trainer.generator, self._inputs))
        words = ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name not in ("step", "kimg"))
        log.info("step %d, %.1f kimg: %s", trainer.step, trainer.kimg, words)
        return Verdict(complaint, kid_x1000)

    def _draw(self, step: int, fakes: Tensor) -> None:
        """Leave a sample grid of this step, and the curves up to it."""
        picture = monitor.beside(self._reals, fakes)
        monitor.save_picture(picture, self._out / "samples" / f"fakes{step:06d}.png")
        self._stats.show(picture, step)
        monitor.plot_losses(self._stats.rows, self._out / "losses.png")
