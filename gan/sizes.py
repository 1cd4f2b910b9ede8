"""Sizes of images: as options tell them, and smaller or larger ones in the same proportions."""

from __future__ import annotations

import math
import re

SIDES = range(32, 1025, 32)
"""Pixels of a side of images to train."""
_TOLD = re.compile("([0-9]{1,9})(?:[xX×]([0-9]{1,9}))?")


def sides(size: int | str) -> tuple[int, int]:
    """Width and height in pixels: of `128` both are that, `320x128` has another of each.

    Raises:
        ValueError: it is something else.
    """
    found = _TOLD.fullmatch(str(size))
    if found is None:
        raise ValueError(f"{size} is neither a side in pixels, such as 128, nor width x height, such as 320x128")
    width, height = found.groups()
    return int(width), int(height or width)


def told(width: int, height: int) -> int | str:
    """The inverse of `sides`: a square by its side, other images as `320x128`."""
    return width if width == height else f"{width}x{height}"


def proportioned(height: float, width: float, side: float, step: int = 1) -> tuple[int, int]:
    """Height and width in these proportions, of about as many pixels as a square of `side` has, in multiples of `step`.

    Of a square it is `side` twice, where that is such a multiple.
    """
    scale = side / math.sqrt(height * width) / step
    return step * max(1, round(height * scale)), step * max(1, round(width * scale))
