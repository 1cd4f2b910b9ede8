"""The command `gan-train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gan.config import CHOICES, RECIPES, TrainConfig
from models import console
from models.console import CommandError, ExitCode, log

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
@click.option("--recipe", type=click.Choice(list(RECIPES)), default="dcgan", help="Where unset options come from.")
@click.option("--resume", is_flag=True, help="Go on from the newest snapshot in --out, exactly.")
@click.option("--overwrite", is_flag=True, help="Remove an earlier run in --out first.")
@click.option("--skip-bad-files", is_flag=True, help="Train without the files that cannot be used.")
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", help="Where to train.")
@click.option("--sample-epochs", type=_positive, default=10, help="Epochs between sample grids and snapshots.")
@click.option("--stats-every", type=_positive, default=50, help="Steps between rows of statistics.")
@click.option("--keep-snapshots", type=_positive, default=2, help="How many of the newest snapshots stay.")
@_value("--channels", click.IntRange(1, 3), "1 for gray, 3 for colour.")
@_value("--z-dim", _positive, "Latent dimension.")
@_value("--g-width", _positive, "Channels of the generator's last hidden stage.")
@_value("--d-width", _positive, "Channels of the discriminator's first stage.")
@_value("--d-batch-norm/--no-d-batch-norm", bool, "Batch norm in the discriminator.")
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
@_value("--r1-interval", _positive, "Steps between two penalties.")
@_value("--standardize/--no-standardize", bool, "Show the discriminator images of mean 0 and std 1 (low contrast).")
@_value("--augment/--no-augment", bool, "Brightness, contrast and translation on what the discriminator sees.")
@_value("--flip", click.Choice(CHOICES["flip"]), "Mirror the training images.")
@_value("--precision", click.Choice(CHOICES["precision"]), "bfloat16 is faster where the machine has it.")
@_value("--seed", click.IntRange(0, 2**63 - 1), "Seed of everything random.")
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
    **values: Any,
) -> None:
    """Learn a generator from the images in the folder DATA.

    For a few hundred photos take --recipe small-data: the plain paper recipe, --recipe dcgan, collapses on them.
    Options without a default take their value from the recipe. Every option is also read from the environment:
    GAN_TRAIN_BATCH_SIZE for --batch-size.
    """
    config = resolve(recipe, values)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if out.resolve().is_relative_to(data.resolve()):
        raise click.UsageError(f"--out {out} lies in the folder of photos: its samples would be taken for photos")
    import torch

    from gan.dataset import find_images, load_images
    from gan.networks import IMAGE_SIZE
    from gan.training import train

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise CommandError(ExitCode.NO_DEVICE, "--device cuda: PyTorch finds no usable GPU; use --device auto or cpu")
    with console.Progress("checking", len(find_images(data)), "files") as progress:
        images = load_images(data, config.channels, IMAGE_SIZE, skip_bad_files, lambda: progress.update(1))
    if recipe == "dcgan" and len(images.names) < FEW_IMAGES:
        log.warning(
            "the plain recipe is known to collapse on few images and there are %d: consider --recipe small-data",
            len(images.names),
        )
    model = train(
        images, out, config, device=device, resume=resume, overwrite=overwrite,
        stats_every=stats_every, sample_epochs=sample_epochs, keep_snapshots=keep_snapshots,
    )  # fmt: skip
    log.info("%s is ready; look at %s, then: gan-export onnx %s", model, out / "samples", model)


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
    if "epochs" in given:
        given["total_kimg"] = 0.0
    try:
        return TrainConfig(**{**RECIPES[recipe], **given})
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def main() -> None:
    """Entry point of `gan-train`."""
    console.run(cli, "gan-train")
