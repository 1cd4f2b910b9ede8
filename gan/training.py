"""A training run: what happens in which order, and what it leaves in its folder."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from gan import checkpoint, monitor
from gan.config import TrainConfig
from gan.dataset import ImageSet
from gan.pixels import to_float
from gan.trainer import Trainer
from models.console import CommandError, ExitCode, Progress, Stop, log, write_probe
from models.files import lock_folder, write_atomically
from models.latents import latents


def train(
    data: ImageSet,
    out: Path,
    config: TrainConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    stats_every: int = 50,
    sample_epochs: int = 10,
    keep_snapshots: int = 2,
) -> Path:
    """Train a generator on `data` and leave it, with snapshots, statistics and samples, in `out`.

    Args:
        data: the images, from `gan.dataset.load_images`.
        out: folder to write to; the files are described in README.md.
        config: the options.
        device: a torch device.
        resume: go on from the newest snapshot in `out`: exactly, with the same options on the same kind of device. A
            longer run may follow; learning-rate decay and instance noise then follow the new length.
        overwrite: remove an earlier run in `out` first.
        stats_every: steps between two rows of statistics.
        sample_epochs: epochs between two sample grids, each with a snapshot.
        keep_snapshots: how many of the newest snapshots stay.

    Returns:
        The path of `generator_model.pth`.

    Raises:
        CommandError: 73/74 `out` cannot be written; 73 it holds another run; 78 resumed with other options
            or images; 70 diverged; 130/143 stopped by a signal, with a snapshot to resume from.
    """
    if resume:
        checkpoint.newest_snapshot(out)  # before a folder is made for nothing
    write_probe(out)
    with contextlib.closing(os.fdopen(lock_folder(out, "gan-train"))):
        return _train(data, out, config, device, resume, overwrite, stats_every, sample_epochs, keep_snapshots)


def _train(
    data: ImageSet,
    out: Path,
    config: TrainConfig,
    device: str,
    resume: bool,
    overwrite: bool,
    stats_every: int,
    sample_epochs: int,
    keep_snapshots: int,
) -> Path:
    try:
        trainer = Trainer(data.images, config, torch.device(device))
    except (RuntimeError, MemoryError) as error:
        reason = str(error).splitlines()[0][:150]
        raise CommandError(ExitCode.USAGE, f"networks of this size cannot be made here: {reason}") from None
    if not resume:
        _make_room(out, overwrite)
    else:
        path, state = checkpoint.newest_snapshot(out)
        try:
            trainer.restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise CommandError(ExitCode.BAD_DATA, f"{path} is damaged or of another version: delete it") from None
        log.info("resuming %s: step %d, %.1f kimg", path, trainer.step, trainer.kimg)
        if trainer.total_steps != state["total_steps"] and (config.lr_decay or config.instance_noise):
            log.warning("the length changed: from here on learning rate and instance noise follow the new one")
    z = torch.from_numpy(latents(config.seed, 0, monitor.GRID_IMAGES, config.z_dim)).to(device)
    steps_per_grid = max(1, round(sample_epochs * len(data.images) / trainer.images_per_step))
    watch = monitor.CollapseWatch(log.warning)
    with (
        _log_file(out / "log.txt"),
        monitor.StatsWriter(out, trainer.step) as stats,
        Stop() as stop,
        Progress("training", trainer.total_steps, "steps", done=trainer.step) as progress,
    ):
        monitor.save_grid(to_float(data.images[: monitor.GRID_IMAGES]), out / "samples" / "reals.png")
        log.info(
            "%d images of %d channels, %d steps of %d images (%.1f kimg) on %s in %s",
            len(data.images), config.channels, trainer.total_steps, trainer.images_per_step,
            trainer.total_steps * trainer.images_per_step / 1000, device, config.precision,
        )  # fmt: skip
        while trainer.step < trainer.total_steps and not stop:
            scalars = trainer.train_step()
            last = trainer.step == trainer.total_steps
            if last or trainer.step % stats_every == 0:
                row = {name: round(value.item(), 6) for name, value in scalars.items()}
                _stop_if_diverged(trainer, out)
                stats.write({"step": trainer.step, "kimg": trainer.kimg, **row})
                watch.look(row)
                log.info(
                    "step %d, %.1f kimg: %s", trainer.step, trainer.kimg,
                    ", ".join(f"{name} {value:.3f}" for name, value in row.items()),
                )  # fmt: skip
            progress.update(1)
            if last or trainer.step % steps_per_grid == 0:
                _save(trainer, data, out, keep_snapshots)
                fakes = out / "samples" / f"fakes{trainer.step:06d}.png"
                monitor.save_grid(monitor.sample(trainer.generator, z), fakes)
                monitor.plot_losses(stats.rows, out / "losses.png")
        if trainer.step < trainer.total_steps:
            _save(trainer, data, out, keep_snapshots)
            raise stop.error(f"{checkpoint.snapshot_path(out, trainer.step)} is whole: add --resume to go on")
    return out / "generator_model.pth"


def _stop_if_diverged(trainer: Trainer, out: Path) -> None:
    if not trainer.is_finite():
        whole = checkpoint.snapshots(out)
        left = f"{whole[-1]} is from before" if whole else "no snapshot was written yet"
        raise CommandError(
            ExitCode.DIVERGED,
            f"training diverged: weights are not finite at step {trainer.step}; {left}; try a lower --lr, "
            "--grad-clip 1 or --precision float32",
        )


def _save(trainer: Trainer, data: ImageSet, out: Path, keep: int) -> None:
    _stop_if_diverged(trainer, out)
    checkpoint.save(checkpoint.snapshot_path(out, trainer.step), trainer.state())
    checkpoint.save_weights(out / "discriminator_model.pth", trainer.d)
    checkpoint.save_weights(out / "generator_model.pth", trainer.generator)
    options = {
        "options": trainer.config.to_dict(),
        "data": {"images": len(data.names), "sha256": trainer.images_sha256},
        "step": trainer.step,
        "kimg": trainer.kimg,
        "torch": torch.__version__,
        "weights_sha256": checkpoint.weights_sha256(trainer.generator.state_dict()),
    }
    text = json.dumps(options, indent=2) + "\n"
    write_atomically(out / "training_options.json", lambda temporary: temporary.write_text(text))
    snapshots = checkpoint.snapshots(out)
    made = snapshots.index(checkpoint.snapshot_path(out, trainer.step)) + 1  # later ones could not be read
    for old in snapshots[: max(0, made - max(1, keep))]:
        old.unlink()


def _make_room(out: Path, overwrite: bool) -> None:
    names = ("generator_model.pth", "discriminator_model.pth")
    old = [*checkpoint.snapshots(out), *(out / name for name in names if (out / name).exists())]
    if old and not overwrite:
        raise CommandError(
            ExitCode.CANNOT_WRITE,
            f"{old[0]} is there from an earlier run: add --resume to go on with it, --overwrite to begin anew, "
            "or name another --out",
        )
    others = [out / name for name in ("training_options.json", "stats.jsonl", "losses.png", "log.txt")]
    for path in [*old, *others, *out.glob("samples/fakes*.png"), *out.glob("events.out.tfevents.*")]:
        path.unlink(missing_ok=True)


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
