"""The command `gan-eval data`."""

from __future__ import annotations

from pathlib import Path

import click

from models import console
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress


@click.command("data")
@click.argument("data", type=click.Path(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a page.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), help="PNG to write: up to 200 photos, near-duplicates framed."
)
@click.option(
    "--split", "out", type=click.Path(path_type=Path), help="New folder for train/ and validation/: links or copies."
)
@click.option(
    "--validation-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the photos to keep back.  [default: a quarter, or 60 photos up to a third]",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Of the split.")
@console.debug_option
def data_command(
    data: Path, as_json: bool, sheet: Path | None, out: Path | None, validation_share: float | None, seed: int
) -> None:
    """Say what is in DATA, a folder of photos or a .zip of them, before training.

    Sizes, colour, brightness, contrast, duplicates, files that cannot be used, and what to do. DATA is never changed.
    """
    if validation_share is not None and out is None:
        raise click.UsageError("--validation-share needs --split OUT")
    if validation_share is not None and not 0 < validation_share < 1:  # click lets nan through
        raise click.UsageError("--validation-share is above 0 and below 1")
    if sheet is not None and sheet.resolve().is_relative_to(data.resolve()):
        raise click.UsageError(f"--sheet {sheet} lies in {data}: it would be taken for a photo")
    from gan.photos.read import MIN_IMAGES, find_images
    from gan.photos.split import check_place, default_share, split, write_split
    from gan.photos.survey import survey, to_json
    from gan.photos.survey_text import page, write_sheet

    files = len(find_images(data))
    if out is not None:
        check_place(data, out)
    with Progress("looking", files, "files") as progress:
        found = survey(data, lambda: progress.update(1))
    if sheet is not None:
        write_sheet(found, data, sheet)
    if out is not None:
        names = [photo.name for photo in found.photos]
        share = default_share(len(names)) if validation_share is None else validation_share
        try:
            train, validation = split(names, found.near_duplicates, share, seed)
        except ValueError as error:
            raise CommandError(ExitCode.BAD_DATA, f"{data} cannot be divided: {error}") from None
        write_split(data, out, train, validation)
        for side, part in (("train", train), ("validation", validation)):
            if len(part) < MIN_IMAGES:
                log.warning(
                    "%s has %d photos, and gan-train needs %d there: take more photos or another --validation-share",
                    out / side, len(part), MIN_IMAGES,
                )  # fmt: skip
        log.info("%d photos in %s, %d in %s", len(train), out / "train", len(validation), out / "validation")
    click.echo(to_json(found) if as_json else page(found))
