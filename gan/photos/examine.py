"""All that `gan-eval data` does, in one call: a survey, and where wished a sheet and a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gan.photos.find import MIN_IMAGES, photos_in, printable
from gan.photos.masks import check
from gan.photos.pairing import pair
from gan.photos.sheet import write_sheet
from gan.photos.split_folder import check_place, write_split
from gan.photos.survey import Survey, survey
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress
from models.series import runs
from models.split import Parted, default_share, expected_leaks, leaks, split, units_of


def examine(
    data: Path,
    *,
    sheet: Path | None = None,
    out: Path | None = None,
    share: float | None = None,
    seed: int = 0,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    masks: Path | None = None,
) -> tuple[Survey, Parted]:
    """Look at all photos of a folder or zip, and divide them.

    Args:
        data: the folder or zip; never changed.
        sheet: PNG to write, of up to 200 photos.
        out: new folder for `train/`, `validation/` and `split.json`; None: no split.
        share: to keep back, above 0 and below 1; None: `default_share`.
        seed: of the split.
        only: patterns of the photos to take, where not all; see `gan.photos.find.fits`.
        without: patterns of photos to leave out.
        masks: folder or zip of the photos' masks, to be looked at as well; what does not fit is a finding and no error.

    Returns:
        What was found, and the pairs that belong together and that a split parts.

    Raises:
        CommandError: 2 a `share` that is none, or `sheet` or `out` in `data`; 65 not one photo can be used or all
            belong together, 66 nothing there, 73 or 74 `sheet` or `out` cannot be written.
    """
    if share is not None and not 0 < share < 1:  # which nan is not, either
        raise CommandError(ExitCode.USAGE, f"`share` is above 0 and below 1, not {share}")
    if sheet is not None and sheet.resolve().is_relative_to(data.resolve()):
        raise CommandError(
            ExitCode.USAGE,
            f"`sheet={printable(str(sheet))}` lies in {printable(str(data))}: it would be taken for a photo",
        )
    paired = None if masks is None else pair([data], masks, only, without)
    inside = paired.within[data] if paired else ()
    with photos_in(data, only, without, inside) as photos:
        files = len(photos)
    if out is not None:
        check_place(data, out)
    with Progress("looking", files, "files") as progress:
        found = survey(data, lambda: progress.update(1), only=only, without=without, masks=inside)
    if paired is not None:
        found = replace(found, masks=check(paired)[0])
    if sheet is not None:
        write_sheet(found, data, sheet)
    names = [photo.name for photo in found.photos]
    share = default_share(len(names)) if share is None else share
    kept_back = None if out is None else _divide(found, data, out, share, seed)
    neighbours = runs(names, found.times)
    count = round(share * len(names)) if kept_back is None else len(kept_back)
    kinds = (found.near_duplicates, found.same_minute, neighbours)
    made = None if kept_back is None else leaks(*kinds, kept_back)
    return found, Parted(count, expected_leaks(*kinds, len(names), count), made)


def _divide(found: Survey, data: Path, out: Path, share: float, seed: int) -> list[str]:
    """Write the split; the names that were kept back."""
    names = [photo.name for photo in found.photos]
    try:
        train, validation = split(names, found.near_duplicates, share, seed, found.times)
    except ValueError as error:
        raise CommandError(ExitCode.BAD_DATA, f"{printable(str(data))} cannot be divided: {error}") from None
    units = units_of(names, found.near_duplicates, share * len(names) / 2, found.times)
    write_split(data, out, train, validation, units)
    for side, part in (("train", train), ("validation", validation)):
        if len(part) < MIN_IMAGES:
            log.warning(
                "%s has %d photos, and gan-train needs %d there: take more photos or another `share`",
                printable(str(out / side)), len(part), MIN_IMAGES,
            )  # fmt: skip
    log.info(
        "%d photos in %s, %d in %s",
        len(train), printable(str(out / "train")), len(validation), printable(str(out / "validation")),
    )  # fmt: skip
    return validation
