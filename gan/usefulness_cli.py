"""The command `gan-eval usefulness`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from gan.config import CHOICES
from gan.evaluation.defaults import IMAGE_SIZE, IMAGE_SIZES
from gan.pattern_options import pattern_options, which_in
from gan.photos.pairing import MISSING
from gan.usefulness import defaults
from models import console
from models.flags import errors_in_flags, in_flags
from models.log import log

_SEVERAL = click.IntRange(min=1)


@click.command("usefulness")
@click.argument("real", type=console.READ)
@click.option(
    "--synthetic",
    multiple=True,
    type=console.READ,
    help="Run of gan-batch, or folder of class folders; given several times, one a subset of the photos.",
)
@click.option(
    "--model",
    multiple=True,
    type=console.READ,
    help="The ONNX file that made the run: it names the photos that it was trained on. One, or one a run.",
)
@click.option("--class-name", help="The class that all synthetic images show, where they have no labels.")
@click.option("--labels", type=console.READ, help="CSV file with the class of each photo: columns file_name and label.")
@click.option("--good-class", help="The class of photos without a defect.  [default: the one called good, ok, normal]")
@click.option("--masks", type=console.READ, help="Folder of the photos' masks, for --detector unet.")
@click.option(
    "--missing-masks",
    type=click.Choice(MISSING),
    default=MISSING[0],
    help="What a photo without a mask is: an error, or empty, a photo without a defect.",
)
@click.option("--split", type=console.READ, help="A split.json of the photos, instead of a new one.")
@click.option(
    "--budget",
    multiple=True,
    type=_SEVERAL,
    help="Real photos a class; given several times, a curve, and the verdict is about the first.  [default: all]",
)
@click.option(
    "--detector",
    default=defaults.DETECTOR,
    help=f"What learns: {', '.join(defaults.DETECTORS)}, or your own, as module:function, which is run.",
)
@click.option(
    "--metric", type=click.Choice(defaults.METRICS), default=defaults.METRICS[0], help="What the verdict is about."
)
@click.option("--subsets", type=_SEVERAL, default=defaults.SUBSETS, help="Draw so many subsets of the photos.")
@click.option("--seeds", type=_SEVERAL, default=defaults.SEEDS, help="Train so many times on each subset.")
@click.option("--steps", type=_SEVERAL, help="Optimiser steps of every fit.  [default: the detector's own number]")
@click.option("--batch-size", type=_SEVERAL, default=defaults.BATCH_SIZE, help="Show so many images a step.")
@click.option("--quick", is_flag=True, help="Run three arms, the two controls and at most three seeds.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Run the largest plan that fits in these.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Decides everything random.")
@click.option("--channels", type=click.Choice(["1", "3"]), help="1 gray, 3 colour.  [default: as the synthetic images]")
@click.option(
    "--image-size",
    help=f"Side in pixels, or width x height, each {IMAGE_SIZES[0]} to {IMAGE_SIZES[1]}.  [default: {IMAGE_SIZE}]",
)
@click.option(
    "--fit",
    type=click.Choice(CHOICES["fit"]),
    help="How a photo gets the shape of the images.  [default: as when the generator was trained, or crop]",
)
@click.option("--skip-bad-files", is_flag=True, help="Go on without the photos that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--out",
    type=console.WRITTEN,
    default=defaults.OUT,
    help="Folder for the split, all runs and report.html; a run goes on where it ended.",
)
@pattern_options
@console.debug_option
def usefulness_command(real: Path, channels: str | None, as_json: bool, out: Path, **options: Any) -> None:
    """Say whether synthetic images help a detector: HELPS, NO EFFECT SHOWN, HURTS or NO VERDICT YET (exit 3).

    REAL is a folder of class folders of photos. Detectors are trained with and without the synthetic images, on several
    subsets with several seeds, and judged on photos that no stage saw. Without --synthetic only the split is written,
    and one for each subset, for gan-train --split.
    """
    from gan.evaluation.refusals import CommonShape
    from gan.usefulness.proof import REPORT, usefulness

    words = partial(in_flags, command=usefulness_command)
    shape = CommonShape(int(channels) if channels else None, options.pop("image_size"), options.pop("fit"))
    with errors_in_flags(usefulness_command):
        outcome = usefulness(real, which=which_in(options), shape=shape, out=out, words=words, **options)
    if outcome is None:
        return
    click.echo(json.dumps(outcome.to_dict(), indent=1) if as_json else words("\n".join(outcome.lines())))
    log.info("pictures: %s", out / REPORT)
    if not outcome.is_decided:
        raise click.exceptions.Exit(defaults.EXIT_WITHOUT_VERDICT)
