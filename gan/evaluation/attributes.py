"""What the defects of photos are like, one by one and beside synthetic ones, and which kinds are missing."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np

from gan.evaluation import defaults
from gan.evaluation.attribute_page import attribute_page
from gan.evaluation.attribute_survey import AttributeSurvey, MeasuredImages, about, measured
from gan.evaluation.gaps import Gap, gaps, grids
from gan.evaluation.images import read_made, read_photos
from gan.evaluation.refusals import CommonShape, refuse_values
from gan.evaluation.runs import is_run
from gan.photos.masks import masks_for
from gan.photos.which import ALL_PHOTOS, Which
from models.attributes import Attributes
from models.files import write_atomically, write_probe

TABLE, REPORT = "attributes.csv", "report.html"
COLUMNS = ("file_name", *(field.name for field in dataclasses.fields(Attributes)), "source")


def attributes(
    data: Path,
    *,
    which: Which = ALL_PHOTOS,
    synthetic: Path | None = None,
    count: int = defaults.COUNT,
    image_size: int | str = str(defaults.IMAGE_SIZE),
    fit: str = defaults.FIT,
    out: Path | None = None,
) -> AttributeSurvey:
    """Measure the main defect of every photo, by its mask or else by `models.attributes.found_mask`.

    Args:
        data: folder or `.zip` of photos, or a run of gan-batch, whose masks are used where it has some.
        which: photos to take, and their masks.
        synthetic: a run of gan-batch, or a folder of images, to stand beside the photos.
        count: how many synthetic images are measured, at most, evenly spaced; 10 to 20,000.
        image_size: all images are brought to it: the side of a square, or width and height, such as `320x128`, each 32
            to 1024. Lengths are in pixels of this size.
        fit: how a photo gets that shape, one of `gan.photos.fit.FITS`.
        out: folder for `attributes.csv` and `report.html`; None: none is written.

    Raises:
        CommandError: 2 arguments that cannot be meant; 65 unusable images; 66 nothing there, or an unfinished run; 73
            or 74 where `out` cannot be written.
    """
    which.check()
    refuse_values(count, 0, CommonShape(None, image_size, fit))
    if out is not None:
        write_probe(out)
    fitting = None
    if which.masks is not None and not is_run(data):
        fitting = masks_for([data], which.masks, which.missing_masks, which.skip_bad_files, which.only, which.without)
    photos = read_photos(data, 1, image_size, which.skip_bad_files, fit, which.only, which.without, masks=fitting)
    real, made = measured(data, photos), None
    notes: tuple[str, ...] = ()
    if synthetic is not None:
        images, notes = read_made(synthetic, count, 1, image_size, fit)
        made = measured(synthetic, images)
    survey = AttributeSurvey(real, made, _gaps(real, made), (*about(real, made), *notes))
    if out is not None:
        _write(out / TABLE, table_csv(survey.photos))
        _write(out / REPORT, attribute_page(survey))
    return survey


def table_csv(measured: MeasuredImages) -> str:
    """One row a photo, in the order of their names; what a photo without a defect does not have stays empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for name, found in zip(measured.images.names, measured.found, strict=True):
        values = (_written(value) for value in dataclasses.astuple(found))
        rows.writerow([name, *values, measured.source])
    return text.getvalue()


def _written(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.3f}".rstrip("0").rstrip(".")


def _gaps(real: MeasuredImages, made: MeasuredImages | None) -> dict[str, list[Gap]]:
    height, width = real.images.images.shape[2:]
    found = {
        " × ".join(axis.name for axis in axes): gaps(axes, real.found, None if made is None else made.found)
        for axes in grids(width, height)
    }
    return {name: those for name, those in found.items() if those}


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))
