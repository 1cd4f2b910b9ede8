"""The command `gan-eval robustness`."""

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


@click.command("robustness")
@click.argument("data", type=console.READ)
@click.option(
    "--detector",
    required=True,
    help="The detector: module:function, a function of images uint8 [N, H, W, C] that gives the probability of a "
    "defect for each, or an .onnx file. Either is a program that is run: use only files you trust.",
)
@click.option("--class-name", help="Which of the detector's columns is the defect's: its name, or its number from 0.")
@click.option(
    "--good", type=console.READ, help="Folder or .zip of photos without a defect: for false alarms and the threshold."
)
@click.option("--masks", type=console.READ, help="Folder or .zip of the masks of the photos in DATA.")
@click.option(
    "--missing-masks",
    type=click.Choice(MISSING),
    default=MISSING[0],
    help="What a photo without a mask is: an error, or empty, a photo without a defect.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability from which on a photo counts as one with a defect.  [default: 0.5]",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1),
    help="Set the threshold so that at most this share of the photos without a defect reaches it.",
)
@click.option(
    "--changes/--no-changes", default=defaults.CHANGES, help="Ask about changed images, too: light, blur, noise, …"
)
@click.option(
    "--count",
    type=click.IntRange(*defaults.COUNTS),
    default=defaults.COUNT,
    help="How many photos of a folder, at most.",
)
@click.option(
    "--channels", type=click.Choice(["1", "3"]), help="1 gray, 3 colour.  [default: as the detector takes them]"
)
@click.option(
    "--image-size",
    help="Side in pixels to which photos are brought, or width x height, such as 320x128.  "
    "[default: as the detector takes them, or as the photos are]",
)
@click.option(
    "--fit", type=click.Choice(CHOICES["fit"]), default=defaults.FIT, help="How a photo gets the shape of the images."
)
@click.option("--skip-bad-files", is_flag=True, help="Go on without the photos that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--out",
    type=console.WRITTEN,
    default=defaults.ROBUSTNESS_OUT,
    help="Folder for report.html, which holds its pictures, and robustness.csv, a row an image.",
)
@pattern_options
@console.debug_option
def robustness_command(
    data: Path, detector: str, channels: str | None, as_json: bool, out: Path, **options: Any
) -> None:
    """Say which defects a detector misses, of the photos in DATA, which all have one.

    DATA is a folder or .zip of photos, class folders, or a run of gan-batch, with masks or without.
    """
    from gan.robustness.robustness import REPORT, examine_detector
    from gan.robustness.summary import robustness_json, table
    from gan.robustness.table import TABLE

    with errors_in_flags(robustness_command):
        found = examine_detector(
            data, detector, which=which_in(options), channels=int(channels) if channels else None, out=out, **options
        )
    click.echo(robustness_json(found) if as_json else in_flags(table(found), robustness_command))
    log.info("pictures: %s, scores: %s", out / REPORT, out / TABLE)
