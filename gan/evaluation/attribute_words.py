"""What defects are like, in words and numbers for a person: rows, a table for the terminal, JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan.evaluation.attribute_survey import FILTER_ERROR, AttributeSurvey, MeasuredImages
from gan.evaluation.gaps import FEW, Gap
from models.attributes import MEASURE, NUMBERS, UNITS, WORDS

RULE = f"A gap is a bin with fewer than {FEW} photos, or less than a quarter of an equal share, beside a fuller one."


@dataclass(frozen=True)
class AttributeRow:
    """One attribute: of the photos, of synthetic images or empty, and its unit."""

    name: str
    photos: str
    synthetic: str
    unit: str


def rows(survey: AttributeSurvey) -> list[AttributeRow]:
    """All attributes: the middle value, and between which values four of five are."""
    asked: list[tuple[str, Callable[[MeasuredImages], str], str]] = [
        ("with a defect", _with, "images"),
        *((name, partial(_spread, name=name), UNITS[name]) for name in NUMBERS),
        ("bright", _bright, "of the defects; the others are dark"),
    ]
    photos, made = survey.photos, survey.synthetic
    return [AttributeRow(name, said(photos), "" if made is None else said(made), unit) for name, said, unit in asked]


def headline(survey: AttributeSurvey) -> str:
    """What was measured, and how, in a line."""
    sets = [("photos", survey.photos), ("synthetic images", survey.synthetic)]
    return "; ".join(f"{len(of.found)} {name} of {of.place} by {_source(of)}" for name, of in sets if of is not None)


def remarks(survey: AttributeSurvey) -> list[str]:
    """How the numbers were made, a sentence each."""
    return [f"{note[:1].upper()}{note[1:]}." for note in survey.notes]


def table(survey: AttributeSurvey) -> str:
    """The survey for a terminal."""
    lines = [AttributeRow("", "photos", "synthetic" if survey.synthetic else "", ""), *rows(survey)]
    widths = [max(len(getattr(line, name)) for line in lines) for name in ("name", "photos", "synthetic")]
    columns = (
        (line.name.ljust(widths[0]), line.photos.ljust(widths[1]), line.synthetic.ljust(widths[2]), line.unit)
        for line in lines
    )
    body = ["  ".join(part for part in line if part.strip() or survey.synthetic).rstrip() for line in columns]
    wanted = [f"{shortage(gap)}: {gap.command}" for found in survey.gaps.values() for gap in found]
    told = [f"{len(wanted)} gaps. {RULE}", *wanted] if wanted else [f"No gap. {RULE}"]
    return "\n".join([headline(survey), "", *body, "", *told, "", *remarks(survey)])


def shortage(gap: Gap) -> str:
    """How few there are."""
    made = "" if gap.synthetic is None else f", {gap.synthetic} synthetic"
    return f"{gap.photos} of {gap.of} photos{made}"


def survey_json(survey: AttributeSurvey) -> str:
    """The survey as one JSON object; what an image without a defect does not have is null."""
    names = survey.photos.images.names
    told = {
        "measure": MEASURE,
        "photos": _told(survey.photos),
        "synthetic": None if survey.synthetic is None else _told(survey.synthetic),
        "gaps": {
            name: [
                {
                    **dataclasses.asdict(gap),
                    "neighbours": [names[place] for place in gap.neighbours],
                    "command": gap.command,
                }
                for gap in found
            ]
            for name, found in survey.gaps.items()
        },
        "filter_error": FILTER_ERROR,
        "notes": survey.notes,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _told(measured: MeasuredImages) -> dict[str, Any]:
    return {
        "place": measured.place,
        "source": measured.source,
        "images": [
            {
                "file_name": name,
                **{key: None if value != value else value for key, value in dataclasses.asdict(found).items()},
            }
            for name, found in zip(measured.images.names, measured.found, strict=True)
        ],
    }


def _source(measured: MeasuredImages) -> str:
    return "their masks" if measured.source == "masks" else "the ridge filter"


def _with(measured: MeasuredImages) -> str:
    return f"{sum(found.count > 0 for found in measured.found)} of {len(measured.found)}"


def _spread(measured: MeasuredImages, name: str) -> str:
    values = values_of(measured, name)
    if not len(values):
        return "-"
    if name == "direction":  # of doubled angles, so that 1° and 179° are neighbours
        return f"{np.degrees(np.angle(np.exp(2j * np.radians(values)).mean())) / 2 % 180:.0f} on average"
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def _bright(measured: MeasuredImages) -> str:
    words = [found.polarity for found in measured.found if found.polarity]
    return f"{100 * words.count(WORDS['polarity'][0]) / len(words):.0f} %" if words else "-"


def values_of(measured: MeasuredImages, name: str) -> NDArray[np.float64]:
    """A number of all images that have it; float64 `[V]`."""
    values = [float(getattr(of, name)) for of in measured.found if of.count]
    return np.array([value for value in values if not math.isnan(value)])
