"""The command `gan-eval`."""

from __future__ import annotations

from pathlib import Path

import click

from gan.config import CHOICES
from gan.survey_cli import data_command
from models import console
from models.errors import CommandError, ExitCode
from models.log import log


@click.group(context_settings={"show_default": True, "max_content_width": 110})
@console.version_option
def cli() -> None:
    """Say how good images are, in numbers and pictures."""


@cli.command("quality")
@click.argument("real", type=click.Path(path_type=Path, readable=False))
@click.argument("fake", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--train",
    type=click.Path(path_type=Path, readable=False),
    help="Folder of the photos that were trained on: adds the search for copies, and a better floor.",
)
@click.option("--count", type=click.IntRange(10, 20_000), default=1000, help="How many fakes to look at, at most.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Of latents, pairs and resamples.")
@click.option(
    "--features",
    default="efficientnet-lite0",
    help="Network that compares: efficientnet-lite0, inception, or one's own TorchScript or .pt2 file, which is run: "
    "only files you trust.",
)
@click.option("--channels", type=click.Choice(["1", "3"]), help="1 gray, 3 colour.  [default: as the fakes]")
@click.option("--image-size", type=click.IntRange(32, 1024), help="Side to compare at.  [default: 128]")
@click.option(
    "--fit", type=click.Choice(CHOICES["fit"]), default="crop", help="How a photo becomes a square: as trained."
)
@click.option("--skip-bad-files", is_flag=True, help="Compare without the photos that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation/quality"),
    help="Folder for report.html, which holds its pictures.",
)
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", help="Where the networks run.")
@console.debug_option
def quality_command(
    real: Path,
    fake: Path,
    train: Path | None,
    count: int,
    seed: int,
    features: str,
    channels: str | None,
    image_size: int | None,
    fit: str,
    skip_bad_files: bool,
    as_json: bool,
    out: Path,
    device: str,
) -> None:
    """Compare generated images, FAKE, with real photos, REAL, that were not trained on.

    FAKE is a folder of images, such as one that gan-batch made, or a generator_model.pth or network-snapshot-*.pt of
    gan-train. Of a folder --count images are taken, evenly spaced in their order.
    """
    import torch

    from gan.evaluation.quality import REPORT, evaluate
    from gan.evaluation.report import table, to_json

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise CommandError(ExitCode.NO_DEVICE, "--device cuda: PyTorch finds no usable GPU; use --device auto or cpu")
    quality = evaluate(
        real, fake, train=train, count=count, seed=seed, features=features,
        channels=int(channels) if channels else None, image_size=image_size, fit=fit, skip_bad_files=skip_bad_files,
        device=device, out=out,
    )  # fmt: skip
    click.echo(to_json(quality) if as_json else table(quality))
    log.info("pictures: %s", out / REPORT)


cli.add_command(data_command)


def main() -> None:
    """Entry point of `gan-eval`."""
    console.run(cli, "gan-eval")
