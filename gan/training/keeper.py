"""What a run keeps in its folder: networks, options, snapshots, and which generator is the one to use."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gan.networks import reader
from gan.photos.read import ImageSet
from gan.photos.traces import Traces
from gan.training import folder, snapshots
from gan.training.figures import figures
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from models.files import write_atomically
from models.log import log


@dataclass(frozen=True)
class Keeper:
    """Writes a run's networks and snapshots; of several processes the first does.

    Attributes:
        out: the run's folder.
        data: the training images.
        keep_snapshots: how many of the newest snapshots stay.
        measured_on: the held-out photos by which the generator is chosen, or None.
    """

    out: Path
    data: ImageSet
    keep_snapshots: int
    measured_on: Traces | None = None

    @property
    def model(self) -> Path:
        """The generator to use."""
        return self.out / folder.GENERATOR

    def keep(self, trainer: Trainer, state: dict[str, Any], generator: bool) -> None:
        """Leave the networks and a snapshot, which comes last: a run killed before it comes to these files again.

        Args:
            trainer: the run.
            state: of it.
            generator: whether to leave the generator as well; where none is the best it always is.
        """
        path = folder.snapshot_path(self.out, trainer.step)
        snapshots.save_weights(self.out / folder.DISCRIMINATOR, trainer.d)
        if generator or trainer.best is None:
            self.keep_generator(trainer)
        snapshots.save(path, {**state, **self._photos()})
        there = folder.found(self.out)
        made = there.index(path) + 1  # later ones could not be read
        for old in there[: max(0, made - self.keep_snapshots)]:
            old.unlink()

    def keep_generator(self, trainer: Trainer) -> None:
        """Leave the generator, and beside it how it was trained."""
        snapshots.save_weights(self.model, trainer.generator)
        options: dict[str, Any] = {
            "options": trainer.config.to_dict(),
            "data": {"images": len(self.data.names), "sha256": trainer.images_sha256, **self._photos_a_class()},
            "class_names": list(self.data.class_names),
            **self._photos(),
            "step": trainer.step,
            "kimg": trainer.kimg,
            "restarts": trainer.restarts,
            "torch": torch.__version__,
            "weights_sha256": reader.weights_sha256(trainer.generator.state_dict()),
        }
        if trainer.best is not None:
            options["kid_x1000"] = trainer.best["kid_x1000"]
        self._write_options(options)

    def measure(self, trainer: Trainer) -> list[str]:
        """Measure the generator that is left, and write the figures beside it; returns its faults, in words."""
        left = reader.load_generator(self.model).to(trainer.device)
        options = reader.read_training(self.model, reader.weights_sha256(left.state_dict()))
        data = self.data
        found = figures(left, data.images, trainer.config.seed, data.labels, data.class_names, data.masks)
        self._write_options({**options, "figures": found})
        return list(found["faults"])

    def _photos_a_class(self) -> dict[str, list[int]]:
        """In the order of the labels; nothing where there are none."""
        counts = [self.data.labels.count(label) for label in range(len(self.data.class_names))]
        return {"photos_a_class": counts} if counts else {}

    def _photos(self) -> dict[str, Any]:
        """Which photos were seen, so that nobody tests with them; nothing where they came from no files."""
        if self.data.traces is None:
            return {}
        measured = {} if self.measured_on is None else {"measured_on": self.measured_on.to_dict()}
        return {"photos": {"trained_on": self.data.traces.to_dict(), **measured}}

    def _write_options(self, options: dict[str, Any]) -> None:
        text = json.dumps(options, indent=2) + "\n"
        write_atomically(self.out / folder.OPTIONS, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def begin_anew(self, state: dict[str, Any]) -> None:
        """Leave a snapshot of a run that begins anew in the place of what it made before."""
        old_files = [*folder.found(self.out), *self.out.glob(f"{folder.SAMPLES}/fakes*.png")]
        first = folder.snapshot_path(self.out, 0)
        snapshots.save(first, state)  # before the others go: a kill in between leaves one to resume from
        for path in old_files:
            if path != first:
                path.unlink()

    def best_so_far(self, trainer: Trainer, against: str) -> dict[str, Any] | None:
        """What the snapshot says of the best generator, where that is still there and can be compared with."""
        best = trainer.best
        if best is not None and (best["against"] != against or "score" not in best):  # earlier versions knew KID alone
            log.warning("what was measured so far was against other photos or in other ways: the best is chosen anew")
            return None
        if best is not None and best.get("weights_sha256") != self._sha256_left():  # a kill left a later one, or a hand
            log.warning("%s is not the best by KID so far: the best is chosen anew", self.model)
            return None
        return best

    def check_result(self, trainer: Trainer) -> None:
        """See to it that a finished run's generator is there, of which a snapshot holds the newest, but not the best.

        Raises:
            CommandError: 66 the best by KID was kept, and is gone or another.
        """
        kept, left = trainer.best, self._sha256_left()
        if kept is None:
            if left != reader.weights_sha256(trainer.generator.state_dict()):
                log.warning("%s is written again from the snapshot", self.model)
                self.keep_generator(trainer)
        elif left != kept.get("weights_sha256"):
            what = "another" if self.model.exists() else "gone"
            newest = folder.snapshot_path(self.out, trainer.step)
            raise CommandError(
                ExitCode.NO_INPUT,
                f"{self.model} is {what}: it was the best by KID of this finished run, and no snapshot holds it: put "
                f"it back, take the newest in {newest}, or add `overwrite=True` to begin anew",
            )

    def stop_if_diverged(self, trainer: Trainer) -> None:
        """End a run whose weights are no numbers any more, before they are written.

        Raises:
            CommandError: 70.
        """
        if not trainer.is_finite():
            whole = folder.found(self.out)
            left = f"{whole[-1]} is from before" if whole else "no snapshot was written yet"
            raise CommandError(
                ExitCode.DIVERGED,
                f"training diverged: weights are not finite at step {trainer.step}; {left}; try a lower `lr`, "
                "`grad_clip=1` or `precision=float32`",
            )

    def _sha256_left(self) -> str:
        """Of the weights in `generator_model.pth`; nothing where none can be read."""
        with contextlib.suppress(CommandError):
            return reader.weights_sha256(reader.load_generator(self.model).state_dict())
        return ""
