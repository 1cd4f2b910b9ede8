"""The command `gan-train masks`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gan.evaluation.defaults import STEPS
from gan.pattern_options import pattern_options
from models import console
from models.flags import Command
from models.providers import DEVICES


@click.command("masks", cls=Command, context_settings={"show_default": True, "max_content_width": 110})
@click.argument("model", type=console.READ, envvar="GAN_TRAIN_MODEL")
@click.argument("data", type=console.READ, envvar="GAN_TRAIN_DATA")
@click.option(
    "--masks",
    type=console.READ,
    required=True,
    help="Folder or .zip with the masks of some photos in DATA, 10 at least.",
)
@click.option(
    "--out",
    type=console.WRITTEN,
    default=Path("models/masked"),
    help="Folder for the new generator_model.pth and its training_options.json.",
)
@click.option("--overwrite", is_flag=True, help="Replace a generator in --out.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where to learn.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="The same seed learns the same masks.")
@click.option(
    "--steps",
    type=click.IntRange(2),
    default=STEPS,
    help="Steps in which a segmenter learns from the photos; the generator takes half as many.",
)
@pattern_options
@console.debug_option
def masks_command(model: Path, data: Path, masks: Path, out: Path, **given: Any) -> None:
    """Teach the trained generator MODEL to make masks, from the photos in DATA that have some.

    Its images stay as they are, and masks that it makes already are replaced. Where all photos have masks, gan-train
    --masks learns both together.
    """
    from gan.training.marking import learn_masks

    learn_masks(model, data, masks, out, **given)
