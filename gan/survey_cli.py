"""The command `gan-eval data`."""

from __future__ import annotations

from pathlib import Path

import click

from gan.pattern_options import pattern_options
from models import console
from models.flags import errors_in_flags, in_flags


@click.command("data")
@click.argument("data", type=console.READ)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a page.")
@click.option("--sheet", type=console.WRITTEN, help="PNG to write: up to 200 photos, near-duplicates framed.")
@click.option(
    "--split",
    "out",
    type=console.WRITTEN,
    help="New folder for train/ and validation/, links or copies, and split.json.",
)
@click.option(
    "--validation-share",
    "share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the photos to keep back.  [default: a quarter, or 60 photos up to a third]",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Another seed gives another split.")
@click.option(
    "--masks",
    type=console.READ,
    help="Folder or .zip of the photos' masks: say which fit, and how much of a photo is defect.",
)
@pattern_options
@console.debug_option
def data_command(
    data: Path,
    as_json: bool,
    sheet: Path | None,
    out: Path | None,
    share: float | None,
    seed: int,
    masks: Path | None,
    only: tuple[str, ...],
    without: tuple[str, ...],
) -> None:
    """Say what is in DATA, a folder of photos or a .zip of them, before training.

    Sizes, colour, brightness, contrast, duplicates, files that cannot be used, and what to do. DATA is never changed.
    """
    if share is not None and out is None:
        raise click.UsageError("--validation-share needs --split OUT")
    from gan.photos.examine import examine
    from gan.photos.survey_page import page, to_json

    with errors_in_flags(data_command):
        found, parted = examine(
            data, sheet=sheet, out=out, share=share, seed=seed, only=only, without=without, masks=masks
        )
    click.echo(to_json(found, parted) if as_json else in_flags(page(found, parted), data_command))
