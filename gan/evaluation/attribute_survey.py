"""The attributes of a set of images, or of two beside each other, and where the numbers come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gan.evaluation.gaps import Gap
from gan.photos.read import ImageSet
from models.attributes import MEASURE, Attributes, attributes_of
from models.progress import Progress

FILTER_ERROR = {"length": 1.6, "width": 0.4, "direction": 0.9, "contrast": 6.0, "x": 0.2, "y": 0.8}
"""Median difference of the ridge filter's answer from that of the mask, in pixels, degrees and gray levels, of the
cracks on magnetic tiles that it finds, 57 % of them; docs/evaluation.md says how that was measured."""


@dataclass(frozen=True)
class MeasuredImages:
    """The attributes of a set of images.

    Attributes:
        place: the folder or zip.
        source: `masks` or `ridge filter`: what said where the defects are.
        images: gray, with their names, and masks where `source` is that.
        found: of each image.
    """

    place: str
    source: str
    images: ImageSet
    found: tuple[Attributes, ...]


@dataclass(frozen=True)
class AttributeSurvey:
    """What defects are like.

    Attributes:
        photos: the photos.
        synthetic: the images beside them, or None.
        gaps: by the attributes that are asked together, such as `length × contrast`, all but those without a gap.
        notes: what the reader should know, a sentence each.
    """

    photos: MeasuredImages
    synthetic: MeasuredImages | None
    gaps: dict[str, list[Gap]]
    notes: tuple[str, ...]


def measured(place: Path, images: ImageSet) -> MeasuredImages:
    """The attributes of gray images, by their masks where they have some."""
    found = []
    masks = None if images.masks is None else images.masks[:, 0].numpy() > 0
    with Progress("measured", len(images.names), "images") as progress:
        for row, image in enumerate(progress.counted(images.images[:, 0].numpy())):
            found.append(attributes_of(image, None if masks is None else masks[row]))
    return MeasuredImages(str(place), "ridge filter" if masks is None else "masks", images, tuple(found))


def about(real: MeasuredImages, made: MeasuredImages | None) -> tuple[str, ...]:
    """Where the numbers come from, and how far they can be trusted."""
    sources = {of.source for of in (real, made) if of is not None}
    notes = [
        f"measure {MEASURE}, lengths in pixels of {_size(real)}, so wishes are meant for a generator of that size; of "
        "several defects the largest counts"
    ]
    if "ridge filter" in sources:
        of = FILTER_ERROR
        notes.append(
            f"the ridge filter finds lines and small spots; beside real masks it is off by {of['length']:g} pixels of "
            f"length, {of['width']:g} of width, {of['direction']:g}° and {of['contrast']:g} gray levels (medians of "
            "the cracks on magnetic tiles that it finds)"
        )
    if len(sources) == 2:
        notes.append(
            "one set was measured by its masks and the other by the ridge filter: what differs may be the measure"
        )
    return tuple(notes)


def _size(measured: MeasuredImages) -> str:
    height, width = measured.images.images.shape[2:]
    return f"{width}×{height}"
