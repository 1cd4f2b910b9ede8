"""The command `gan-eval`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from gan.attributes_cli import attributes_command
from gan.config import CHOICES
from gan.evaluation import defaults
from gan.pattern_options import pattern_options, which_in
from gan.photos.pairing import MISSING
from gan.robustness_cli import robustness_command
from gan.survey_cli import data_command
from gan.usefulness_cli import usefulness_command
from models import console
from models.flags import errors_in_flags, in_flags
from models.log import log
from models.providers import DEVICES


@click.group(context_settings={"show_default": True, "max_content_width": 110})
@console.version_option
def cli() -> None:
    """Say how good images are, in numbers and pictures."""


@cli.command("quality")
@click.argument("real", type=console.READ)
@click.argument("fake", type=console.READ)
@click.option(
    "--train",
    type=console.READ,
    help="Folder of the photos that were trained on: adds the search for copies, and a better floor.",
)
@click.option(
    "--model",
    type=console.READ,
    help="The ONNX file that made the run in FAKE: it knows the fit.  "
    f"[default: {defaults.MODEL} or the bundled generator, if that file made it]",
)
@click.option(
    "--count", type=click.IntRange(*defaults.COUNTS), default=defaults.COUNT, help="How many fakes to look at, at most."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Decides what a generator is asked for, and what is drawn at random: the same seed, the same numbers.",
)
@click.option(
    "--features",
    default=defaults.FEATURES,
    help="Network that compares: efficientnet-lite2, efficientnet-lite0, inception, or your own TorchScript or .pt2 "
    "file. Such a file is a program that is run: use only files you trust.",
)
@click.option("--second-features", help="Another such network to ask as well: each has its own eyes.")
@click.option("--classes", is_flag=True, help="Compare class by class, too: sub-folders of the photos are classes.")
@click.option(
    "--labels",
    type=console.READ,
    help="The same, but a CSV file says the class of each photo: columns file_name and label.",
)
@click.option(
    "--masks",
    type=console.READ,
    help="Folder of the masks of the photos in REAL and --train: judges the masks of a generator that gives them.",
)
@click.option(
    "--missing-masks",
    type=click.Choice(MISSING),
    default=MISSING[0],
    help="What a photo without a mask is: an error, or empty, a photo without a defect.",
)
@click.option(
    "--segmenter/--no-segmenter",
    default=None,
    help="Train a small network on the photos, for some minutes, that asks whether masks mark the defects.  "
    "[default: with --masks and --train]",
)
@click.option("--channels", type=click.Choice(["1", "3"]), help="1 gray, 3 colour.  [default: as the fakes]")
@click.option(
    "--image-size",
    help="Side in pixels at which images are compared, or width x height, such as 320x128; each "
    f"{defaults.IMAGE_SIZES[0]} to {defaults.IMAGE_SIZES[1]}.  "
    f"[default: that of the generator, or {defaults.IMAGE_SIZE} for folders]",
)
@click.option(
    "--fit",
    type=click.Choice(CHOICES["fit"]),
    help="How a photo gets the shape of the images.  "
    f"[default: as when the generator was trained, or {defaults.FIT} if that is not known]",
)
@click.option("--skip-bad-files", is_flag=True, help="Compare without the photos that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--out",
    type=console.WRITTEN,
    default=defaults.OUT,
    help="Folder for report.html, which holds its pictures.",
)
@pattern_options
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where the networks run.")
@console.debug_option
def quality_command(real: Path, fake: Path, channels: str | None, as_json: bool, out: Path, **options: Any) -> None:
    """Compare generated images, FAKE, with real photos, REAL, that were not trained on.

    FAKE is a folder of images, such as a run of gan-batch (with --format tar, too), or a generator: a .onnx file of
    gan-export, a generator_model.pth or network-snapshot-*.pt of gan-train. Of a folder --count images are taken,
    evenly spaced in their order.
    """
    from gan.evaluation.evaluate import REPORT, evaluate
    from gan.evaluation.refusals import CommonShape

    shaped = {name: options.pop(name) for name in ("image_size", "fit")}
    shaped["channels"] = int(channels) if channels else None
    words = partial(in_flags, command=quality_command)
    which = which_in(options)
    with errors_in_flags(quality_command):
        quality = evaluate(real, fake, which=which, shape=CommonShape(**shaped), out=out, words=words, **options)
    from gan.evaluation.summary import quality_json, table

    click.echo(words(quality_json(quality) if as_json else table(quality)))
    log.info("pictures: %s", out / REPORT)


cli.add_command(data_command)
cli.add_command(attributes_command)
cli.add_command(robustness_command)
cli.add_command(usefulness_command)


def main() -> None:
    """Entry point of `gan-eval`."""
    console.run(cli, "gan-eval")
