"""The masks of images in words and numbers for a person: rows of the report, and what to distrust."""

from __future__ import annotations

from collections.abc import Iterator

from gan.evaluation.mask_values import ATTRIBUTES
from gan.evaluation.masks import MOST_RATIO, MaskFigure, MaskFigures
from gan.evaluation.rows import ReportRow, percent
from gan.evaluation.segmenter import LEAST_AGREEMENT, Agreement, Overlap


def mask_rows(masks: MaskFigures) -> list[ReportRow]:
    """A row a figure, and one for the segmenter."""
    rows = [_row(name, figure) for name, figure in masks.figures.items()]
    return rows + ([] if masks.agreement is None else [_agreement_row(masks.agreement)])


def mask_findings(masks: MaskFigures) -> Iterator[str]:
    """What sets the masks of the images apart from those of photos."""
    for figure in masks.figures.values():
        if figure.apart:
            yield f"masks: {figure.apart}"
    found = masks.agreement
    if found is not None and found.knows and not found.enough:
        yield (
            f"masks: a segmenter of photos overlaps with them by {_overlap(found.generated)} (IoU), with those of "
            f"photos by {_overlap(found.photos)}: they do not mark what looks like a defect"
        )


def _row(name: str, figure: MaskFigure) -> ReportRow:
    return ReportRow(
        f"mask, {name}",
        f"{_value(name, figure.images)}, off by {figure.distance:.2f}",
        f"{_value(name, figure.photos)}, {figure.floor:.2f}",
        f"{figure.unit}; off {figure.ratio:.1f} × as much as photos are, up to {MOST_RATIO} × is right",
    )


def _value(name: str, value: float) -> str:
    attribute = ATTRIBUTES[name]
    return percent(value) if attribute.kind in ("share", "part") else f"{value:.{attribute.digits}f}"


def _overlap(of: Overlap) -> str:
    return f"{of.pooled:.2f} ({of.mean:.2f})"


def _agreement_row(found: Agreement) -> ReportRow:
    judged = (
        f"{found.ratio:.2f} of the photos' ({found.ratio_mean:.2f}), from {LEAST_AGREEMENT} on is right"
        if found.knows
        else "which finds too few defects in photos to judge by it"
    )
    return ReportRow(
        "mask, agreement",
        _overlap(found.generated),
        _overlap(found.photos),
        f"overlap (IoU) of all pixels (mean of images) with a segmenter of {found.trained_on}: {judged}",
    )
