"""The command `gan-eval attributes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gan.config import CHOICES
from gan.evaluation import defaults
from gan.pattern_options import pattern_options, which_in
from gan.photos.pairing import MISSING
from models import console
from models.flags import errors_in_flags, in_flags
from models.log import log


@click.command("attributes")
@click.argument("data", type=console.READ)
@click.option("--masks", type=console.READ, help="Folder or .zip of the photos' masks.  [default: a ridge filter]")
@click.option(
    "--missing-masks",
    type=click.Choice(MISSING),
    default=MISSING[0],
    help="What a photo without a mask is: an error, or empty, a photo without a defect.",
)
@click.option("--synthetic", type=console.READ, help="A run of gan-batch, or a folder of images, to stand beside DATA.")
@click.option(
    "--count",
    type=click.IntRange(*defaults.COUNTS),
    default=defaults.COUNT,
    help="How many synthetic images to measure, at most.",
)
@click.option(
    "--image-size",
    default=str(defaults.IMAGE_SIZE),
    help="Side in pixels at which images are measured, or width x height, such as 320x128; each "
    f"{defaults.IMAGE_SIZES[0]} to {defaults.IMAGE_SIZES[1]}.",
)
@click.option(
    "--fit", type=click.Choice(CHOICES["fit"]), default=defaults.FIT, help="How a photo gets the shape of the images."
)
@click.option("--skip-bad-files", is_flag=True, help="Measure without the photos that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--out",
    type=console.WRITTEN,
    default=defaults.ATTRIBUTES_OUT,
    help="Folder for attributes.csv, and report.html, which holds its pictures.",
)
@pattern_options
@console.debug_option
def attributes_command(data: Path, as_json: bool, out: Path, **options: Any) -> None:
    """Say what the defects in DATA are like, and which kinds are missing.

    Length, width, direction, contrast and place of the largest defect of each photo, in pixels and gray levels. DATA is
    a folder of photos, a .zip of them, or a run of gan-batch, which may have masks of its own.
    """
    from gan.evaluation.attribute_words import survey_json, table
    from gan.evaluation.attributes import REPORT, attributes

    with errors_in_flags(attributes_command):
        survey = attributes(data, which=which_in(options), out=out, **options)
    click.echo(survey_json(survey) if as_json else in_flags(table(survey), attributes_command))
    log.info("pictures: %s", out / REPORT)
