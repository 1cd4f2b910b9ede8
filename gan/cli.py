"""The command `gan-train`."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gan.config import CHOICES, DEFAULT_RECIPE, ON_COLLAPSE, RECIPES, TrainConfig
from gan.pattern_options import pattern_options
from models import console
from models.errors import CommandError, ExitCode, first_line
from models.flags import errors_in_flags
from models.log import log
from models.progress import Progress, duration
from models.providers import DEVICES

if TYPE_CHECKING:
    from gan.photos.read import ImageSet
    from gan.photos.scale import Scale

DEFAULT_DATA = Path("datasets/anomaly_detection_dataset/good")
F = TypeVar("F", bound=Callable[..., object])
FEW_IMAGES = 1000
"""Images under which the plain recipe is known to collapse."""


def _value(name: str, kind: Any, text: str) -> Callable[[F], F]:
    """An option whose default comes from the recipe."""
    return click.option(name, type=kind, default=None, help=text)


_positive = click.IntRange(min=1)
_share = click.FloatRange(0, 1)
_amount = click.FloatRange(min=0)
_rate = click.FloatRange(min=0, min_open=True)


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.argument("data", type=click.Path(path_type=Path, readable=False), default=DEFAULT_DATA, envvar="GAN_TRAIN_DATA")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("models"),
    help="Folder for everything it writes.",
)
@click.option(
    "--recipe", type=click.Choice(list(RECIPES)), default=DEFAULT_RECIPE, help="Where unset options come from."
)
@click.option("--resume", is_flag=True, help="Go on from the newest snapshot in --out, exactly.")
@click.option("--overwrite", is_flag=True, help="Remove an earlier run in --out first.")
@click.option("--skip-bad-files", is_flag=True, help="Train without the files that cannot be used.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where to train.")
@click.option("--sample-epochs", type=_positive, default=10, help="Epochs between sample grids and snapshots.")
@click.option("--stats-every", type=_positive, default=50, help="Steps between rows of statistics.")
@click.option("--keep-snapshots", type=_positive, default=2, help="How many of the newest snapshots stay.")
@click.option(
    "--validation",
    type=click.Path(path_type=Path, readable=False),
    help="Folder of photos not to train on: the generator that comes nearest to them is kept, by KID.",
)
@click.option("--validation-kimg", type=_rate, default=5.0, help="Thousands of images between two measures of KID.")
@click.option("--features", default="efficientnet-lite0", help="Features for the KID, as of gan-eval quality.")
@click.option("--patience-kimg", type=_amount, default=0.0, help="Stop where the KID improves no more; 0: never.")
@click.option(
    "--on-collapse", type=click.Choice(ON_COLLAPSE), default="warn", help="What to do when training collapses."
)
@click.option("--dry-run", is_flag=True, help="Print the options and the time it would take; write nothing.")
@_value("--image-size", click.IntRange(32, 512), "Side of the images in pixels: 32, 64, 128, 256 or 512.")
@_value("--fit", click.Choice(CHOICES["fit"]), "How a photo becomes a square: docs/photos.md.")
@_value("--channels", click.IntRange(1, 3), "1 for gray, 3 for colour.")
@_value("--z-dim", _positive, "Latent dimension.")
@_value("--g-width", _positive, "Channels of the generator's last hidden stage.")
@_value("--d-width", _positive, "Channels of the discriminator's first stage.")
@_value("--d-batch-norm/--no-d-batch-norm", bool, "Batch norm in the discriminator.")
@_value("--d-spectral-norm/--no-d-spectral-norm", bool, "Spectral norm in the discriminator.")
@_value("--d-patches/--no-d-patches", bool, "Let the discriminator score patches too, not whole images alone.")
@_value("--d-decoder/--no-d-decoder", bool, "Let the discriminator learn to redraw real images.")
@_value("--minibatch-stddev/--no-minibatch-stddev", bool, "Show the discriminator how alike a batch is.")
@_value("--epochs", _positive, "How often each image is shown.")
@_value("--total-kimg", _rate, "Thousands of images to show, instead of --epochs.")
@_value("--batch-size", click.IntRange(2, 65_536), "Images a step.")
@_value("--loss", click.Choice(CHOICES["loss"]), "Loss of both networks.")
@_value("--lr", _rate, "Adam's learning rate.")
@_value("--d-lr", _rate, "The discriminator's own learning rate.")
@_value("--lr-decay", _share, "Share of the run, at its end, over which the learning rates fall to 0.")
@_value("--beta1", click.FloatRange(0, 1, max_open=True), "Adam's β1.")
@_value("--beta2", click.FloatRange(0, 1, max_open=True), "Adam's β2.")
@_value("--ema-kimg", _amount, "Half-life of the generator's moving average in kimg; 0: no average.")
@_value("--d-steps", _positive, "Discriminator steps per generator step.")
@_value("--instance-noise", _amount, "Noise on what the discriminator sees, std at the start; falls to 0.")
@_value("--grad-clip", _amount, "Largest gradient norm; 0: no clipping.")
@_value("--label-smoothing", _share, "The target of real images is 1 minus this (bce).")
@_value("--r1-gamma", _amount, "Weight of the gradient penalty at real images; 0: none.")
@_value("--r2-gamma", _amount, "Weight of the gradient penalty at generated images; 0: none.")
@_value("--penalty-interval", _positive, "Steps between two penalties.")
@_value("--standardize/--no-standardize", bool, "Show the discriminator images of mean 0 and std 1 (low contrast).")
@_value("--bands/--no-bands", bool, "Standardize fine, middle and coarse structure each by itself.")
@_value("--augment/--no-augment", bool, "Brightness, contrast and translation on what the discriminator sees.")
@_value("--flip", click.Choice(CHOICES["flip"]), "Mirror the training images.")
@_value("--precision", click.Choice(CHOICES["precision"]), "bfloat16 is faster where the machine has it.")
@_value("--seed", click.IntRange(0, 2**63 - 1), "Seed of everything random.")
@pattern_options
@console.version_option
@console.debug_option
def cli(
    data: Path,
    out: Path,
    recipe: str,
    resume: bool,
    overwrite: bool,
    skip_bad_files: bool,
    device: str,
    sample_epochs: int,
    stats_every: int,
    keep_snapshots: int,
    validation: Path | None,
    validation_kimg: float,
    features: str,
    patience_kimg: float,
    on_collapse: str,
    dry_run: bool,
    only: tuple[str, ...],
    without: tuple[str, ...],
    **values: Any,
) -> None:
    """Learn a generator from the images in the folder DATA.

    The default recipe, small-data, is for some hundred photos; the plain paper recipe, dcgan, collapses on them.
    Options without a default take their value from the recipe. Every option is also read from the environment:
    GAN_TRAIN_BATCH_SIZE for --batch-size.
    """
    config = resolve(recipe, values)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    _refuse_places(data, out, validation)
    if patience_kimg and validation is None:
        raise click.UsageError("--patience-kimg needs photos to measure on: add --validation")
    from gan.devices import fast_bfloat16, find_device
    from gan.training import distributed
    from gan.training.run import Course, train
    from gan.training.snapshots import newest_snapshot

    processes = distributed.started()
    if not processes.is_first:
        log.setLevel(logging.ERROR)  # one process speaks for all
    with errors_in_flags(cli):
        device = find_device(device)
    if device == "cuda" and processes.count > 1:
        device = f"cuda:{processes.local_rank}"
    if "precision" in RECIPES[recipe] and values["precision"] is None and not fast_bfloat16(device):
        config = dataclasses.replace(config, precision="float32")
        log.info("%s does not calculate in bfloat16: float32 it is; --precision bfloat16 insists", device)
    images = _load(data, config, skip_bad_files, only, without)
    if recipe == "dcgan" and len(images.names) < FEW_IMAGES:
        log.warning(
            "the plain recipe is known to collapse on few images and there are %d: --recipe small-data is for few",
            len(images.names),
        )
    photos = None
    if validation is not None and processes.is_first:
        photos = _load(validation, config, skip_bad_files, only, without, images.scales)
        _refuse_shared(images, photos, validation)
    if dry_run and resume and processes.is_first:
        newest_snapshot(out)
    if dry_run:
        return _print_plan(images, config, device, photos is not None) if processes.is_first else None
    held_out = None
    if photos is not None:
        from gan.evaluation.features import load_features
        from gan.training.validation import Validation

        with errors_in_flags(cli):
            network = load_features(features, device)
        held_out = Validation(photos.images, network, config.seed)
    with distributed.joined(processes):
        model = train(
            images, out, config, device=device, resume=resume, overwrite=overwrite,
            course=Course(stats_every, sample_epochs, validation_kimg, keep_snapshots, on_collapse, patience_kimg),
            validation=held_out, processes=processes,
        )  # fmt: skip
    log.info("%s is ready; look at %s, then: gan-export onnx %s", model, out / "samples", model)


def _refuse_places(data: Path, out: Path, validation: Path | None) -> None:
    """Refuse folders in each other.

    Raises:
        click.UsageError: names them.
    """
    folders = [folder.resolve() for folder in (data, validation) if folder is not None]
    if any(one.is_relative_to(other) for one, other in itertools.permutations(folders, 2)):
        raise click.UsageError(
            f"--validation {validation} and {data} lie in each other: the photos to measure on must not be trained on"
        )
    if any(out.resolve().is_relative_to(folder) for folder in folders):
        raise click.UsageError(f"--out {out} lies in a folder of photos: its samples would be taken for photos")


def _load(
    folder: Path,
    config: TrainConfig,
    skip_bad_files: bool,
    only: tuple[str, ...],
    without: tuple[str, ...],
    scales: Mapping[str, Scale] | None = None,
) -> ImageSet:
    from gan.photos.read import find_images, load_images

    with errors_in_flags(cli), Progress("checking", len(find_images(folder, only, without)), "files") as progress:
        return load_images(
            folder, config.channels, config.image_size, skip_bad_files, lambda: progress.update(1), config.fit,
            only=only, without=without, scales=scales,
        )  # fmt: skip


def _refuse_shared(images: ImageSet, held_out: ImageSet, folder: Path) -> None:
    """One photo in both parts, under whatever name, would make the KID flatter; near-copies do, and are warned of."""
    from gan.photos.duplicates import near_copies, same_pixels

    shared = [name for name, known in zip(held_out.names, same_pixels(held_out, images), strict=True) if known]
    if shared:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{folder}: {len(shared)} of its photos are trained on as well, such as {shared[0]}: gan-eval data makes "
            "a split",
        )
    if copies := near_copies(held_out, images):
        log.warning(
            "%s: %s: if they show the same, the KID flatters; gan-eval data --split keeps near-duplicates together",
            folder, copies,
        )  # fmt: skip


def _print_plan(images: ImageSet, config: TrainConfig, device: str, compares: bool) -> None:
    from gan.training.dry_run import plan

    try:
        run = plan(images, config, device)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise CommandError(ExitCode.USAGE, f"networks of this size cannot be made here: {first_line(error)}") from None
    for name, value in run.options.items():
        if name != ("epochs" if config.total_kimg else "total_kimg"):  # one replaces the other
            click.echo(f"{'--' + name.replace('_', '-'):<22} {'' if value is None else value}")
    click.echo(f"{run.images} photos, {run.steps} steps, {run.kimg:.1f} kimg on {device}")
    click.echo(f"{run.g_parameters:,} parameters in the generator, {run.d_parameters:,} in the discriminator")
    took = duration(run.total_s)
    on_top = "sample grids, snapshots and comparisons by KID" if compares else "sample grids and snapshots"
    click.echo(f"{1 / run.step_s:.2f} steps/s here: about {took}, with {on_top} on top; nothing written")


def resolve(recipe: str, values: dict[str, Any]) -> TrainConfig:
    """The options of `recipe`, with those in `values` that are not None in their place.

    Raises:
        click.UsageError: options that exclude each other.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if given.get("channels") == 2:
        raise click.UsageError("--channels is 1 (gray) or 3 (colour)")
    if "epochs" in given and "total_kimg" in given:
        raise click.UsageError("--epochs and --total-kimg exclude each other")
    try:
        return TrainConfig.of(recipe, **given)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def main() -> None:
    """Entry point of `gan-train`."""
    console.run(cli, "gan-train")
