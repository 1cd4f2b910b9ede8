"""A training run: what happens in which order, and what it leaves in its folder."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gan.config import TrainConfig
from gan.networks import reader
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.distributed import ALONE, Processes
from gan.training.reporter import Reporter, Verdict
from gan.training.trainer import Trainer
from gan.training.validation import Validation
from models.errors import CommandError, ExitCode, first_line
from models.files import lock_folder, write_atomically, write_probe
from models.log import log
from models.stopping import Stop

MAX_RESTARTS = 3
LEFT = (
    *("generator_model.pth", "discriminator_model.pth", "training_options.json", "stats.jsonl", "log.txt"),
    *("losses.png", "samples/reals.png", "samples/fakes*.png", "events.out.tfevents.*"),
)
"""What a run leaves beside its snapshots."""


@dataclass(frozen=True)
class Course:
    """How a run is watched and kept; nothing here moves a weight.

    Attributes:
        stats_every: steps between two rows of statistics.
        sample_epochs: epochs between two sample grids, each with a snapshot.
        validation_kimg: thousands of images after which the next sample grid measures the KID: it takes as long as
            some hundred steps.
        keep_snapshots: how many of the newest snapshots stay.
        on_collapse: `warn`; `stop` with exit code 70; or `restart` with other random numbers, three times at most.
        patience_kimg: stop where the KID has not improved for that many thousand images; 0: never.
    """

    stats_every: int = 50
    sample_epochs: int = 10
    validation_kimg: float = 5.0
    keep_snapshots: int = 2
    on_collapse: str = "warn"
    patience_kimg: float = 0.0


USUAL = Course()


class _CollapsedError(Exception):
    """The run has collapsed and was told not to go on."""


def train(
    data: ImageSet,
    out: Path,
    config: TrainConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    course: Course = USUAL,
    validation: Validation | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Train a generator on `data` and leave it, with snapshots, statistics and samples, in `out`.

    Args:
        data: the images, from `gan.photos.read.load_images`.
        out: folder to write to; the files are described in docs/training.md.
        config: the options.
        device: a torch device.
        resume: go on from the newest snapshot in `out`: exactly, with the same options on the same kind of device. A
            longer run may follow; learning-rate decay and instance noise then follow the new length.
        overwrite: remove an earlier run in `out` first.
        course: how the run is watched and kept.
        validation: held-out photos: the generator that is left is then the one that came nearest to them at a sample
            grid where KID was measured, instead of the newest.
        processes: this one among those that train together; all of them call this function.

    Returns:
        The path of `generator_model.pth`.

    Raises:
        CommandError: 73/74 `out` cannot be written; 73 it holds another run, or files by the names that a run gives;
            66 resumed without a snapshot, or a finished run whose best generator is gone; 78 resumed with other options
            or images; 70 diverged, or collapsed and told not to go on; 130/143 stopped by a signal, with a snapshot
            to resume from.
    """
    run = _Run(data, out, config, torch.device(device), course, validation, processes)
    if resume and processes.is_first:
        snapshots.newest_snapshot(out)  # before a folder is made for nothing
    with contextlib.ExitStack() as stack:
        if processes.is_first:
            write_probe(out)
            stack.enter_context(contextlib.closing(os.fdopen(lock_folder(out, "gan-train"))))
        trainer = run.resumed() if resume else run.begin(0)
        if processes.is_first:
            if not resume:
                _make_room(out, overwrite)
            stack.enter_context(_log_file(out / "log.txt"))
        while True:
            try:
                run.train(trainer)
                return out / "generator_model.pth"
            except _CollapsedError as collapse:
                if course.on_collapse == "stop" or trainer.restarts == MAX_RESTARTS:
                    raise CommandError(ExitCode.DIVERGED, f"training collapsed: {collapse}") from None
                log.warning("%s; beginning anew, %d of %d times", collapse, trainer.restarts + 1, MAX_RESTARTS)
            trainer = run.begun_anew(trainer)


@dataclass(frozen=True)
class _Run:
    """What the parts of one call of `train` share."""

    data: ImageSet
    out: Path
    config: TrainConfig
    device: torch.device
    course: Course
    validation: Validation | None
    processes: Processes

    def begin(self, restarts: int) -> Trainer:
        """The run before its first step."""
        try:
            trainer = Trainer(self.data.images, self.config, self.device, self.data.photos, restarts, self.processes)
        except ValueError as error:
            raise CommandError(ExitCode.USAGE, str(error)) from None
        except (RuntimeError, MemoryError) as error:
            raise CommandError(
                ExitCode.USAGE, f"networks of this size cannot be made here: {first_line(error)}"
            ) from None
        seen = self.processes.gather(trainer.images_sha256)
        others = [str(rank) for rank, sha256 in enumerate(seen) if sha256 != seen[0]]
        if others:  # a batch would hold some photos twice and others never
            raise CommandError(
                ExitCode.OTHER_RUN, f"process 0 sees other photos than {', '.join(others)}: give all the same folder"
            )
        return trainer

    def begun_anew(self, old: Trainer) -> Trainer:
        """The run before its first step once more, with other random numbers; the best generator stays the best."""
        trainer = self.begin(old.restarts + 1)
        if old.best is not None:
            trainer.best = {**old.best, "kimg": 0.0}  # patience counts from here
        state = trainer.state()
        if self.processes.is_first:
            old_files = [*snapshots.found(self.out), *self.out.glob("samples/fakes*.png")]
            first = snapshots.snapshot_path(self.out, 0)
            snapshots.save(first, state)  # before the others go: a kill in between leaves one to resume from
            for path in old_files:
                if path != first:
                    path.unlink()
        return trainer

    def resumed(self) -> Trainer:
        """The run at its newest snapshot, which process 0 reads for all: others may be on machines that have none."""
        path, state = self.processes.first(snapshots.newest_snapshot(self.out) if self.processes.is_first else None)
        try:
            trainer = self.begin(state["restarts"])
            trainer.restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise CommandError(ExitCode.BAD_DATA, f"{path} is damaged or of another version: delete it") from None
        log.info("resuming %s: step %d, %.1f kimg", path, trainer.step, trainer.kimg)
        if trainer.step < trainer.total_steps:
            trainer.best = self.processes.first(self._best_so_far(trainer) if self.processes.is_first else None)
        elif self.processes.is_first:
            self._check_result(trainer)
        if trainer.total_steps != state["total_steps"] and (self.config.lr_decay or self.config.instance_noise):
            log.warning("the length changed: from here on learning rate and instance noise follow the new one")
        return trainer

    def _best_so_far(self, trainer: Trainer) -> dict[str, Any] | None:
        """What the snapshot says of the best generator, where that is still there and can be compared with."""
        best = trainer.best
        if best is not None and best["against"] != (self.validation.against if self.validation else ""):
            log.warning("the KID so far was against other photos or in other features: the best is chosen anew")
            return None
        if best is not None and best.get("weights_sha256") != self._sha256_left():  # a kill left a later one, or a hand
            log.warning("%s is not the best by KID so far: the best is chosen anew", self._model)
            return None
        return best

    def _check_result(self, trainer: Trainer) -> None:
        """See to it that a finished run's generator is there, of which a snapshot holds the newest, but not the best.

        Raises:
            CommandError: 66 the best by KID was kept, and is gone or another.
        """
        kept, left = trainer.best, self._sha256_left()
        if kept is None:
            if left != reader.weights_sha256(trainer.generator.state_dict()):
                log.warning("%s is written again from the snapshot", self._model)
                self._save_generator(trainer)
        elif left != kept.get("weights_sha256"):
            what = "another" if self._model.exists() else "gone"
            newest = snapshots.snapshot_path(self.out, trainer.step)
            raise CommandError(
                ExitCode.NO_INPUT,
                f"{self._model} is {what}: it was the best by KID of this finished run, and no snapshot holds it: put "
                f"it back, take the newest in {newest}, or add --overwrite to begin anew",
            )

    @property
    def _model(self) -> Path:
        return self.out / "generator_model.pth"

    def _sha256_left(self) -> str:
        """Of the weights in `generator_model.pth`; nothing where none can be read."""
        with contextlib.suppress(CommandError):
            return reader.weights_sha256(reader.load_generator(self._model).state_dict())
        return ""

    def train(self, trainer: Trainer) -> None:
        """Train to the end, or until it is enough.

        Raises:
            CommandError: 70, 130, 143.
            _CollapsedError: collapsed, and to be stopped or begun anew.
        """
        log.info(
            "%d images of %d channels, %d steps of %d images (%.1f kimg) on %s in %s",
            len(self.data.images), self.config.channels, trainer.total_steps, trainer.images_per_step,
            trainer.total_steps * trainer.images_per_step / 1000, self.device, self.config.precision,
        )  # fmt: skip
        steps_per_grid = self._steps_per_grid(trainer)
        with Stop() as stop, self._reporter(trainer) as reporter:
            while trainer.step < trainer.total_steps:
                scalars = trainer.train_step()
                if reporter is not None:
                    reporter.step()
                last = trainer.step == trainer.total_steps
                grid = last or trainer.step % steps_per_grid == 0
                if (grid or trainer.step % self.course.stats_every == 0) and self._look(
                    trainer, scalars, reporter, grid
                ):
                    return
                if not last and self.processes.any(bool(stop)):
                    self._save(trainer)
                    path = snapshots.snapshot_path(self.out, trainer.step)
                    raise stop.error(f"{path} is whole: add --resume to go on")

    def _reporter(self, trainer: Trainer) -> contextlib.AbstractContextManager[Reporter | None]:
        if not self.processes.is_first:
            return contextlib.nullcontext()
        return Reporter(self.out, self.data, trainer, self.validation)

    def _look(self, trainer: Trainer, scalars: dict[str, torch.Tensor], reporter: Reporter | None, grid: bool) -> bool:
        """Report, keep what is to be kept, and say whether it is enough: all processes come to the same answer."""
        values = self.processes.mean(torch.stack(list(scalars.values()))).tolist()
        _stop_if_diverged(trainer, self.out)
        verdict = Verdict()
        if reporter is not None:
            row = {name: round(value, 6) for name, value in zip(scalars, values, strict=True)}
            verdict = reporter.report(trainer, row, grid, grid and self._validates(trainer))
        verdict = self.processes.first(verdict)
        if grid:
            improved = trainer.validated(verdict.kid_x1000, self.validation.against if self.validation else "")
            self._save(trainer, improved)
        if verdict.complaint and self.course.on_collapse != "warn":
            raise _CollapsedError(verdict.complaint)
        if verdict.complaint:
            log.warning("%s", verdict.complaint)
        patience, best = self.course.patience_kimg, trainer.best
        if best is None or not patience or verdict.kid_x1000 is None or trainer.kimg - best["kimg"] < patience:
            return False
        log.info("KID has not improved since %.1f kimg: enough", best["kimg"])
        return True

    def _validates(self, trainer: Trainer) -> bool:
        """Whether this sample grid measures: the first behind each multiple of `validation_kimg`, and the last."""
        grid, now = self._steps_per_grid(trainer) * trainer.images_per_step, trainer.step * trainer.images_per_step
        every = max(1, round(self.course.validation_kimg * 1000))
        return trainer.step == trainer.total_steps or now // every > max(0, now - grid) // every

    def _steps_per_grid(self, trainer: Trainer) -> int:
        return max(1, round(self.course.sample_epochs * len(self.data.images) / trainer.images_per_step))

    def _save(self, trainer: Trainer, generator: bool = False) -> None:
        """Leave the networks and a snapshot, which comes last: who was killed before it comes to these files again."""
        _stop_if_diverged(trainer, self.out)
        state = trainer.state()
        if not self.processes.is_first:
            return
        out, path = self.out, snapshots.snapshot_path(self.out, trainer.step)
        snapshots.save_weights(out / "discriminator_model.pth", trainer.d)
        if generator or trainer.best is None:
            self._save_generator(trainer)
        snapshots.save(path, state)
        there = snapshots.found(out)
        made = there.index(path) + 1  # later ones could not be read
        for old in there[: max(0, made - max(1, self.course.keep_snapshots))]:
            old.unlink()

    def _save_generator(self, trainer: Trainer) -> None:
        """Leave the generator, and beside it how it was trained."""
        snapshots.save_weights(self._model, trainer.generator)
        options = {
            "options": trainer.config.to_dict(),
            "data": {"images": len(self.data.names), "sha256": trainer.images_sha256},
            "step": trainer.step,
            "kimg": trainer.kimg,
            "restarts": trainer.restarts,
            "torch": torch.__version__,
            "weights_sha256": reader.weights_sha256(trainer.generator.state_dict()),
        }
        if trainer.best is not None:
            options["kid_x1000"] = trainer.best["kid_x1000"]
        text = json.dumps(options, indent=2) + "\n"
        write_atomically(
            self.out / "training_options.json", lambda temporary: temporary.write_text(text, encoding="utf-8")
        )


def _stop_if_diverged(trainer: Trainer, out: Path) -> None:
    if not trainer.is_finite():
        whole = snapshots.found(out)
        left = f"{whole[-1]} is from before" if whole else "no snapshot was written yet"
        raise CommandError(
            ExitCode.DIVERGED,
            f"training diverged: weights are not finite at step {trainer.step}; {left}; try a lower --lr, "
            "--grad-clip 1 or --precision float32",
        )


def _make_room(out: Path, overwrite: bool) -> None:
    """Remove what an earlier run left, or somebody else by such a name: only where that was asked for."""
    there = snapshots.found(out)
    old = [*there, *(path for pattern in LEFT for path in sorted(out.glob(pattern)))]
    if old and not overwrite:
        go_on = "add --resume to go on with it" if there else "it has no snapshot to go on from"
        raise CommandError(
            ExitCode.CANNOT_WRITE,
            f"{old[0]} is there from an earlier run: {go_on}, add --overwrite to remove it and begin anew, or name "
            "another --out",
        )
    for path in old:
        path.unlink()


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    level = log.level
    if level == logging.NOTSET:  # in a Python caller's process, where nobody set up the log
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
        handler.close()
