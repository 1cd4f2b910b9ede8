"""A training from its first step to its last: what happens in which order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import torch

from gan.config import Course, TrainConfig
from gan.photos.read import ImageSet
from gan.training import folder, snapshots
from gan.training.keeper import Keeper
from gan.training.memory import LESS_MEMORY, refuse_large_batch, refuse_large_networks
from gan.training.processes import ALONE, Processes
from gan.training.reporter import Reporter, Verdict
from gan.training.state import TrainingState
from gan.training.trainer import Trainer
from gan.training.validation import Validation
from models.errors import CommandError, ExitCode, first_line, memory_error
from models.log import log
from models.stopping import Stop

MAX_RESTARTS = 3


class CollapsedError(Exception):
    """The run has collapsed and was told not to go on."""


@dataclass(frozen=True)
class End:
    """How a training ended.

    Attributes:
        trainer: at its last step.
        enough: it ended before its time, since nothing improved any more.
        collapsed_at: thousands of images after which a collapse began that lasted to the end, or None.
    """

    trainer: Trainer
    enough: bool
    collapsed_at: float | None


@dataclass(frozen=True)
class Training:
    """What the parts of one training share.

    Attributes:
        data: the training images.
        out: the run's folder.
        config: the options.
        device: where to train.
        course: how the run is watched and kept.
        validation: held-out photos, or None.
        processes: this one among those that train together.
    """

    data: ImageSet
    out: Path
    config: TrainConfig
    device: torch.device
    course: Course
    validation: Validation | None
    processes: Processes

    @property
    def keeper(self) -> Keeper:
        """What writes networks and snapshots."""
        measured_on = None if self.validation is None else self.validation.traces
        return Keeper(self.out, self.data, self.course.keep_snapshots, measured_on)

    def begin(self, restarts: int = 0) -> Trainer:
        """The run before its first step."""
        trainer = new_trainer(self.data, self.config, self.device, restarts, self.processes)
        seen = self.processes.gather(trainer.images_sha256)
        others = [str(rank) for rank, sha256 in enumerate(seen) if sha256 != seen[0]]
        if others:  # a batch would hold some photos twice and others never
            raise CommandError(
                ExitCode.OTHER_RUN, f"process 0 sees other photos than {', '.join(others)}: give all the same folder"
            )
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
            best = self.keeper.best_so_far(trainer, self._against) if self.processes.is_first else None
            trainer.best = self.processes.first(best)
        elif self.processes.is_first:
            self.keeper.check_result(trainer)
        follows = self.config.lr_decay or self.config.instance_noise or self.config.class_names
        if trainer.total_steps != state["total_steps"] and follows:
            log.warning(
                "the length changed: from here on learning rate, instance noise and the strength of classes follow the "
                "new one"
            )
        return trainer

    def run(self, trainer: Trainer, state: TrainingState) -> End:
        """Train to the end, or until it is enough; begin anew after a collapse where that is wished for.

        Raises:
            CommandError: 69, 70, 128 and the number of a signal.
        """
        while True:
            try:
                return self._run_once(trainer, state)
            except CollapsedError as collapse:
                if self.course.on_collapse == "stop" or trainer.restarts == MAX_RESTARTS:
                    raise CommandError(ExitCode.DIVERGED, f"training collapsed: {collapse}") from None
                log.warning("%s; beginning anew, %d of %d times", collapse, trainer.restarts + 1, MAX_RESTARTS)
            trainer = self._begun_anew(trainer)

    def _begun_anew(self, old: Trainer) -> Trainer:
        """The run before its first step once more, with other random numbers; the best generator stays the best."""
        trainer = self.begin(old.restarts + 1)
        if old.best is not None:
            trainer.best = {**old.best, "kimg": 0.0, "lowest_kimg": 0.0}  # patience counts from here
        state = trainer.state()
        if self.processes.is_first:
            self.keeper.begin_anew(state)
        return trainer

    def _run_once(self, trainer: Trainer, state: TrainingState) -> End:
        log.info(
            "%d images of %d channels, %d steps of %d images (%.1f kimg) on %s in %s",
            len(self.data.images), self.config.channels, trainer.total_steps, trainer.images_per_step,
            trainer.total_steps * trainer.images_per_step / 1000, self.device, trainer.config.precision,
        )  # fmt: skip
        enough = False
        with Stop() as stop, self._reporter(trainer, state) as reporter:
            while trainer.step < trainer.total_steps and not enough:
                scalars = trainer.train_step()
                if reporter is not None:
                    reporter.step()
                last = trainer.step == trainer.total_steps
                grid = last or trainer.step % self._steps_per_grid(trainer) == 0
                if grid or trainer.step % self.course.stats_every == 0:
                    enough = self._look(trainer, scalars, reporter, grid)
                if not last and not enough and self.processes.any(bool(stop)):
                    self._keep(trainer)
                    path = folder.snapshot_path(self.out, trainer.step)
                    raise stop.error(f"{path} is whole: add `resume=True` to go on")
            return End(trainer, enough, None if reporter is None else reporter.collapsed_at)

    def _reporter(self, trainer: Trainer, state: TrainingState) -> contextlib.AbstractContextManager[Reporter | None]:
        if not self.processes.is_first:
            return contextlib.nullcontext()
        return Reporter(self.out, self.data, trainer, self.validation, state)

    def _look(self, trainer: Trainer, scalars: dict[str, torch.Tensor], reporter: Reporter | None, grid: bool) -> bool:
        """Report, keep what is to be kept, and say whether it is enough: all processes come to the same answer."""
        values = self.processes.mean(torch.stack(list(scalars.values()))).tolist()
        self.keeper.stop_if_diverged(trainer)
        verdict = Verdict()
        if reporter is not None:
            row = {name: round(value, 6) for name, value in zip(scalars, values, strict=True)}
            verdict = reporter.report(trainer, row, grid, grid and self._validates(trainer))
        verdict = self.processes.first(verdict)
        if grid:
            self._keep(trainer, generator=trainer.validated(verdict.measured, self._against))
        if verdict.complaint and self.course.on_collapse != "warn":
            raise CollapsedError(verdict.complaint)
        if verdict.complaint:
            log.warning("%s", verdict.complaint)
        patience, best = self.course.patience_kimg, trainer.best
        if best is None or not patience or verdict.measured is None:
            return False
        since = max(best.get("lowest_kimg", best["kimg"]), trainer.counts_from_kimg)
        if trainer.kimg - since < patience:
            return False
        log.info("nothing has improved since %.1f kimg: enough", since)
        return True

    @property
    def _against(self) -> str:
        """What the KID is measured against."""
        return self.validation.against if self.validation else ""

    def _validates(self, trainer: Trainer) -> bool:
        """Whether this sample grid measures: the first behind each multiple of `validation_kimg`, and the last."""
        grid, now = self._steps_per_grid(trainer) * trainer.images_per_step, trainer.step * trainer.images_per_step
        every = max(1, round(self.course.validation_kimg * 1000))
        return trainer.step == trainer.total_steps or now // every > max(0, now - grid) // every

    def _steps_per_grid(self, trainer: Trainer) -> int:
        return max(1, round(self.course.sample_epochs * len(self.data.images) / trainer.images_per_step))

    def _keep(self, trainer: Trainer, generator: bool = False) -> None:
        self.keeper.stop_if_diverged(trainer)
        state = trainer.state()
        if self.processes.is_first:
            self.keeper.keep(trainer, state, generator)


def new_trainer(
    data: ImageSet, config: TrainConfig, device: torch.device, restarts: int = 0, processes: Processes = ALONE
) -> Trainer:
    """A run before its first step, for which there is enough memory.

    Raises:
        CommandError: 2 a batch that cannot be shared, or networks larger than can be counted; 69 too little memory; 70
            another process has ended.
    """
    try:
        refuse_large_networks(config, device)
        trainer = Trainer(
            data.images, config, device, data.photos, restarts, processes, data.labels, data.masks, data.whole_masks
        )
        refuse_large_batch(trainer.g, trainer.d, trainer.config, config.batch_size // processes.count, device)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from None
    except (RuntimeError, MemoryError) as error:
        too_large = CommandError(ExitCode.USAGE, f"networks of this size cannot be made here: {first_line(error)}")
        raise memory_error(error, LESS_MEMORY) or too_large from None
    return trainer
