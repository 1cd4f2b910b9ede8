"""What is measured of the defects in many masks, as values that can be compared."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan.photos.read import ImageSet
from models.attributes import LEAST_AREA, MaskedDefect, masked_defects
from models.picks import spread

LOOKED_AT = 500
"""Images of each kind whose masks are measured, at most."""
LEAST_VALUES = 10
"""Of an attribute, among images and among photos: of fewer there is no distribution."""
Measured = list[list[MaskedDefect]]
"""The defects of each image."""


@dataclass(frozen=True)
class Attribute:
    """Something that a defect, or an image, has one value of.

    Attributes:
        unit: of the value.
        kind: `size`: compared on a scale of octaves; `plain`; `direction`: degrees, 180 are 0; `number`: whole;
            `share`: 0 or 1; `part`: 0 to 1.
        of: the value of a defect; None: it is one of the image.
        least: the smallest deviation that counts, in the unit, of sizes in octaves; 0 of directions and shares, which
            have a scale of their own.
        said: words for what is apart.
        digits: to write of a value.
    """

    unit: str
    kind: str
    of: Callable[[MaskedDefect], float] | None
    least: float
    said: str = ""
    digits: int = 0

    def middle(self, values: NDArray[np.float64]) -> float:
        """One number for all: the median; of shares and whole numbers the mean, of directions the circular one."""
        if self.kind == "size":
            return float(2 ** np.median(values))
        if self.kind == "direction":
            return float(np.degrees(np.angle(np.exp(2j * np.radians(values)).mean())) / 2 % 180)
        return float(np.median(values) if self.kind == "plain" else values.mean())


ATTRIBUTES = {
    "area": Attribute("pixels", "size", operator.attrgetter("area"), 0.25, "large"),
    "length": Attribute("pixels, along the defect", "size", operator.attrgetter("length"), 0.25, "long"),
    "width": Attribute("pixels, across the defect", "size", operator.attrgetter("width"), 0.25, "wide", 1),
    "direction": Attribute("degrees from horizontal, of long ones", "direction", operator.attrgetter("direction"), 0.0),
    "place across": Attribute("pixels from the left", "plain", operator.attrgetter("x"), 1.0),
    "place down": Attribute("pixels from the top", "plain", operator.attrgetter("y"), 1.0),
    "contrast": Attribute("grey levels between mask and ring", "plain", operator.attrgetter("contrast"), 1.0),
    "standing out": Attribute(
        "of the places beside a mask, where its shape has less contrast", "part",
        operator.attrgetter("stands_out"), 0.1,
        "masks stand out from {} of the places beside them, real ones from {}: do they lie upon the defects?",
    ),
    "number": Attribute("defects in an image that has any", "number", None, 0.5, "", 1),
    "at the border": Attribute(
        "of the defects", "share", operator.attrgetter("on_border"), 0.0,
        "{} of generated defects touch the border of the image, of real ones {}",
    ),
    "empty": Attribute("of the masks", "share", None, 0.0, "{} are empty, of real ones {}"),
}  # fmt: skip


@dataclass(frozen=True)
class Values:
    """Values of an attribute, `[V]`, of which image each is, `[V]`, and how many images there are."""

    values: NDArray[np.float64]
    rows: NDArray[np.int64]
    count: int


def measured(images: ImageSet) -> Measured:
    """The defects of images with masks, of `LOOKED_AT` of them at most, evenly spaced; of colour their mean counts."""
    assert images.masks is not None
    rows = spread(len(images.names), LOOKED_AT)
    gray = images.images[rows].float().mean(dim=1).numpy()
    masks = (images.masks[rows, 0] > 0).numpy()
    return [masked_defects(mask, image) for mask, image in zip(masks, gray, strict=True)]


def values_of(attribute: Attribute, found: Measured) -> Values:
    """All values; of defects of a few pixels there are none but whether they are at the border, and their number."""
    pairs: list[tuple[float, int]]
    if attribute.kind == "number":
        pairs = [(len(defects), row) for row, defects in enumerate(found) if defects]
    elif attribute.of is None:
        pairs = [(not defects, row) for row, defects in enumerate(found)]
    else:
        of = attribute.of
        pairs = [
            (of(defect), row) for row, defects in enumerate(found) for defect in defects if defect.area >= LEAST_AREA
        ]
    values, rows = np.array([value for value, _ in pairs], float), np.array([row for _, row in pairs], np.int64)
    if attribute.kind == "size":
        values = np.log2(values)
    there = ~np.isnan(values)
    return Values(values[there], rows[there], len(found))
