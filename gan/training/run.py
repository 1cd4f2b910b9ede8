"""One call from photos to a generator: what is refused first, what is loaded then, and how it ends.

What can be refused without PyTorch is refused before it is imported, which takes seconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gan.config import Course, TrainConfig
from gan.evaluation.defaults import FEATURES, refuse_teacher
from gan.photos.which import ALL_PHOTOS, Which
from gan.training import folder
from gan.training.parted import parts_of
from gan.training.processes import ALONE, Processes, started
from gan.training.refusals import (
    classes_of,
    paired_masks,
    refuse_arguments,
    refuse_classes,
    refuse_masks,
    refuse_nesting,
    refuse_photos,
)
from gan.training.report import EndsWithPage
from gan.training.run_log import RunLog
from gan.training.state import TrainingState
from gan.training.status import add_gauges
from models.errors import command_error, memory_error
from models.files import lock_folder, write_probe
from models.log import log
from models.machine import machine
from models.textfile import recorded

if TYPE_CHECKING:
    from gan.photos.masks import Masks
    from gan.photos.pairing import Pairing
    from gan.photos.read import ImageSet
    from gan.training.plan import TrainingPlan
    from gan.training.training import End, Training
    from gan.training.validation import Validation

USUAL = Course()


def train(
    data: ImageSet | Path,
    out: Path,
    config: TrainConfig | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    course: Course = USUAL,
    validation: ImageSet | Validation | Path | None = None,
    features: str = FEATURES,
    which: Which = ALL_PHOTOS,
    split: Path | None = None,
    metrics_file: Path | None = None,
    processes: Processes | None = None,
) -> Path:
    """Train a generator on `data` and leave it, with snapshots, statistics and samples, in `out`.

    Args:
        data: a folder or `.zip` of photos, or what `gan.load_images` gives.
        out: folder to write to; the files are described in docs/training.md.
        config: the options; by default those of the recipe for few photos, `TrainConfig.of()`.
        device: `auto`, or a torch device.
        resume: go on from the newest snapshot in `out`: exactly, with the same options on the same kind of device. A
            longer run may follow; learning-rate decay and instance noise then follow the new length.
        overwrite: remove an earlier run in `out` first.
        course: how the run is watched and kept.
        validation: held-out photos, in one of the forms of `data`: the generator that is left is then the one that
            came nearest to them at a sample grid where KID was measured, or the last of those as near as so few can
            tell, instead of the newest.
        features: what KID is measured in, as `gan.load_features` takes it.
        which: photos of the folders to take, and what is told of them. With `classes` or `labels` the generator has an
            input `label`, with `masks`, which are of all photos, it makes masks with its images; an `ImageSet` that has
            labels or masks needs neither.
        split: a `split.json` of the photos in the folder `data`: its part `train` is trained on, its part `validation`
            measured on, as by `validation`, and the others are not opened.
        metrics_file: a file to leave for node-exporter's textfile collector when the run ends, by a name in `.prom`.
        processes: this one among those that train together, all of which call this function; by default what
            `torchrun` says.

    Returns:
        The path of `generator_model.pth`.

    Raises:
        CommandError: 2 arguments that exclude each other or cannot be meant; 65 photos or masks that cannot be used, or
            photos in both parts; 66 no photos, resumed without a snapshot, or a finished run whose best generator is
            gone; 69 no such device, or too little memory; 73/74 `out` cannot be written; 73 it holds another run, or
            files by the names that a run gives; 75 another run is at work there; 78 resumed with other options or
            images; 70 diverged, or collapsed and told not to go on; 130/143 stopped by a signal, with a snapshot to
            resume from.
        OSError: `out` is full, or can no longer be written; what a snapshot holds is safe.
    """
    config = TrainConfig.of() if config is None else config
    processes = started() if processes is None else processes
    metrics = recorded(metrics_file if processes.is_first else None, "gan_train", partial(add_gauges, out=out))
    page = EndsWithPage(out)
    with metrics, _one_speaks(processes), page, RunLog() as run_log:  # the page tells of the log's last line, too
        refuse_arguments(resume, overwrite, course, split or validation)
        which.check()
        refuse_classes(data, validation, config, which)
        refuse_masks(data, config, which.masks)
        if config.feature_matching:
            refuse_teacher(features)
        refuse_photos(data, validation, which)
        parts = parts_of(data, split, validation, course, which)
        paired = paired_masks(data, validation, parts.all)
        shown = classes_of(data, validation, parts.all, paired)
        refuse_nesting(out, data, validation, which.masks)
        if processes.is_first:
            folder.refuse(out, resume=resume, overwrite=overwrite)
        fitting = _checked(paired, which)
        _say_what_takes_seconds()
        from gan.training.distributed import joined
        from gan.training.memory import LESS_MEMORY
        from gan.training.prepare import Known, held_out_for, prepare
        from gan.training.training import Training

        try:
            known = Known(parts.train, shown, fitting, parts.held_out)
            ready = prepare(data, validation, config, device, known, processes)
            config = _of_these(config, ready.images)
            held_out = held_out_for(ready, features, config.seed)
            training = Training(ready.images, out, config, ready.device, course, held_out, processes)
            with joined(processes):
                return _train(training, run_log, page, resume, overwrite)
        except (RuntimeError, MemoryError) as error:
            raise memory_error(error, LESS_MEMORY) or error from None


def plan(
    data: ImageSet | Path,
    config: TrainConfig | None = None,
    device: str = "auto",
    *,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    course: Course = USUAL,
    validation: ImageSet | Path | None = None,
    which: Which = ALL_PHOTOS,
    split: Path | None = None,
) -> TrainingPlan:
    """Say what `train` with these arguments would do and how long it would take; nothing is written.

    Raises:
        CommandError: as `train` does, as far as it can be known before.
    """
    config = TrainConfig.of() if config is None else config
    refuse_arguments(resume, overwrite, course, split or validation)
    which.check()
    refuse_classes(data, validation, config, which)
    refuse_masks(data, config, which.masks)
    refuse_photos(data, validation, which)
    parts = parts_of(data, split, validation, course, which)
    paired = paired_masks(data, validation, parts.all)
    shown = classes_of(data, validation, parts.all, paired)
    if out is not None:
        refuse_nesting(out, data, validation, which.masks)
        if resume and not folder.found(out):
            raise folder.no_snapshot(out)
    fitting = _checked(paired, which)
    _say_what_takes_seconds()
    from gan.training.memory import LESS_MEMORY
    from gan.training.plan import timed
    from gan.training.prepare import Known, prepare

    try:
        known = Known(parts.train, shown, fitting, parts.held_out)
        ready = prepare(data, validation, config, device, known, ALONE)
        config = _of_these(config, ready.images)
        return timed(ready.images, config, ready.device, ready.held_out is not None)
    except (RuntimeError, MemoryError) as error:
        raise memory_error(error, LESS_MEMORY) or error from None


def _train(training: Training, run_log: RunLog, page: EndsWithPage, resume: bool, overwrite: bool) -> Path:
    """Train in a folder that is this run's alone."""
    out, first = training.out, training.processes.is_first
    with contextlib.ExitStack() as stack:
        if first:
            write_probe(out)
            stack.enter_context(contextlib.closing(os.fdopen(lock_folder(out, "gan-train"))))
        trainer = training.resumed() if resume else training.begin()
        state = TrainingState(
            out, device=str(training.device), step=trainer.step, total_steps=trainer.total_steps, kimg=trainer.kimg,
            total_kimg=trainer.total_steps * trainer.images_per_step / 1000, machine=machine(),
        )  # fmt: skip
        if first:
            if not resume:
                folder.make_room(out, overwrite)
            run_log.begin(out / folder.LOG)
            state.write()
            page.begin()
        try:
            end = training.run(trainer, state)
            if first:
                faults = training.keeper.measure(end.trainer)
                state.write(
                    state="finished", step=end.trainer.step, kimg=end.trainer.kimg, collapsed_at=end.collapsed_at
                )  # fmt: skip
                _say_the_end(end, training, faults)
        except BaseException as error:
            if first:
                state.failed(command_error(error))
            raise
    return training.keeper.model


def _say_the_end(end: End, training: Training, faults: Sequence[str]) -> None:
    """Say which generator was kept and why, and what to do with it; one with faults is not called ready."""
    from gan.training.collapse import REMEDY

    trainer, model, samples = end.trainer, training.keeper.model, training.out / folder.SAMPLES
    best = trainer.best
    what = f"the generator of the last step, {trainer.step}"
    if best is not None:
        when = f"of step {best['step']}" if "step" in best else f"after {best['kimg']:.1f} kimg"
        what = f"the best on the held-out photos: KID {best['kid_x1000']:.1f} × 10⁻³, {when} of {trainer.step}"
    kept_at = trainer.kimg if best is None else best["kimg"]
    if end.collapsed_at is not None and kept_at >= end.collapsed_at:
        log.warning(
            "%s is %s, but training had collapsed after %.1f kimg: look at %s before anything is made with it; %s",
            model, what, end.collapsed_at, samples, REMEDY,
        )  # fmt: skip
    elif faults:
        log.warning(
            "%s is %s, but a detector would learn its faults: %s; look at %s, and train longer or on more photos",
            model, what, "; ".join(faults), samples,
        )  # fmt: skip
    else:
        log.info("%s is ready: %s; look at %s, then: gan-export onnx %s", model, what, samples, model)


def _checked(paired: Pairing | None, which: Which) -> Masks | None:
    """Masks that fit their photos, or None; raises as `gan.photos.masks.checked` does."""
    if paired is None:
        return None
    from gan.photos.masks import checked

    return checked(paired, which.missing_masks, which.skip_bad_files)


def _of_these(config: TrainConfig, images: ImageSet) -> TrainConfig:
    """The options with what only the images tell."""
    return dataclasses.replace(config, class_names=images.class_names, masks=images.masks is not None)


def _say_what_takes_seconds() -> None:
    if "torch" not in sys.modules:
        log.info("loading PyTorch")


@contextlib.contextmanager
def _one_speaks(processes: Processes) -> Iterator[None]:
    """Of several processes let the first say what happens; from the others errors alone are of interest."""
    level = log.level
    if not processes.is_first:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
