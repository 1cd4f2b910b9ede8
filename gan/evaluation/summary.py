"""A comparison for a person: what was compared with what, a table for the terminal, JSON."""

from __future__ import annotations

import dataclasses
import json

from gan.evaluation.comparison import Quality
from gan.evaluation.quality_rows import rows
from gan.evaluation.rows import ReportRow
from gan.evaluation.verdict import distrust


def headline(quality: Quality) -> str:
    """What was compared with what, in a line."""
    trained = f", {quality.n_train} training images" if quality.train else ""
    kind = "gray" if quality.channels == 1 else "colour"
    return (
        f"{quality.n_fake} fakes, {quality.n_real} real photos{trained}; {quality.image_size} pixels, {kind}, "
        f"features of {quality.features}, fit {quality.fit}"
    )


def remarks(quality: Quality) -> list[str]:
    """How the numbers were made, as far as it bears on reading them."""
    return [
        f"Photos were brought to this shape with `fit={quality.fit}`: {quality.fit_reason}.",
        f"Beside the fakes stands what real photos score: {quality.floor_of}; of MS-SSIM, the real ones alone.",
        "KID is over all pairs, unbiased; in brackets its 95 % interval for other images of the same sources: a "
        "bootstrap over images, in which no image is compared with itself.",
        f"MS-SSIM is of 500 random pairs at {quality.ms_ssim_scales} scales, as many as {quality.image_size} pixels "
        "have room for.",
        *(f"{note[:1].upper()}{note[1:]}." for note in quality.notes),
    ]


def table(quality: Quality) -> str:
    """The report for a terminal."""
    lines = [ReportRow("", "fakes", "real photos", ""), *rows(quality)]
    widths = [max(len(getattr(line, name)) for line in lines) for name in ("name", "fakes", "photos")]
    body = [
        "  ".join(
            [line.name.ljust(widths[0]), line.fakes.ljust(widths[1]), line.photos.ljust(widths[2]), line.meaning]
        ).rstrip()
        for line in lines
    ]
    return "\n".join([distrust(quality), headline(quality), "", *body, "", *remarks(quality)])


def quality_json(quality: Quality) -> str:
    """The numbers as one JSON object."""
    return json.dumps(dataclasses.asdict(quality), indent=2, ensure_ascii=False)
