"""How gray of more than 8 bits becomes 8 bits: one stated scale for all photos of a folder that are stored alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gan.photos.tiff import DeepGray

WHITES = (255, 1023, 4095, 16383, 65535, 2**20 - 1, 2**24 - 1, 2**32 - 1)
"""What white is in integers: the largest value of 8, 10, 12, 14, 16, 20, 24 and 32 bits."""
FLOAT_WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)


@dataclass(frozen=True)
class Scale:
    """How deep gray becomes 8 bits: one for all photos of a folder that store their samples alike.

    Attributes:
        kind: how they are stored, such as `16-bit` or `32-bit float`.
        white: the sample that becomes 255; 0 becomes 0.
        largest: the largest sample of all.
        count: photos.
    """

    kind: str
    white: float
    largest: float
    count: int

    def __str__(self) -> str:
        return (
            f"{self.count} photo{'' if self.count == 1 else 's'} of {self.kind} gray: 0 to {self.white:.10g} become "
            f"black to white (the largest sample is {self.largest:.10g})"
        )


def eight_bit(deep: DeepGray, scales: Mapping[str, Scale]) -> Image.Image:
    """`[H, W]` as an image of mode L, by the scale of its kind where there is one, else by its own largest sample."""
    _, largest = range_of(deep)
    kind = kind_of(deep)
    white = scales[kind].white if kind in scales else white_of(deep, largest)
    gray = np.round(np.minimum(deep.samples.astype(np.float64), white) * (255 / white)).astype(np.uint8)
    return Image.fromarray(255 - gray if deep.white_is_zero else gray)


def kind_of(deep: DeepGray) -> str:
    """How samples are stored, such as `16-bit` or `32-bit float`: photos of one kind share a scale."""
    letter = deep.samples.dtype.kind
    return f"{deep.bits}-bit{' float' if letter == 'f' else ''}"


def range_of(deep: DeepGray) -> tuple[float, float]:
    """The smallest and the largest sample.

    Raises:
        ValueError: samples that are no light: negative, not finite or larger than any white.
    """
    least, largest = float(deep.samples.min()), float(deep.samples.max())
    limit = FLOAT_WHITES[-1] if deep.samples.dtype.kind == "f" else WHITES[-1]
    if not (least >= 0 and largest <= limit):  # NaN is neither
        raise ValueError(f"samples outside 0 to {limit:.10g}: from {least:.10g} to {largest:.10g}")
    return least, largest


def white_of(deep: DeepGray, largest: float) -> float:
    """The smallest white that the samples do not exceed; what is packed has been measured with all of its bits."""
    if deep.samples.dtype.kind == "f":
        return next(white for white in FLOAT_WHITES if largest <= white)
    if deep.bits not in (16, 32, 64):
        return float(2**deep.bits - 1)
    return float(next(white for white in WHITES if largest <= white))
