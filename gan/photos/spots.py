"""Where the defect is in a mask: its connected spots, whether it survives a smaller size, and windows that hold it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan.photos.fit import RIM, window_sums
from models.picks import spread

if TYPE_CHECKING:
    from torch import Tensor

FEWEST_PIXELS = 4
_FREE = 4096
"""Windows without a defect that are remembered of a photo, at most, spread over all."""


def spots(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The spots of a mask, numbered from 1 on; pixels that touch at a corner are connected.

    Args:
        mask: uint8 `[H, W]`, 0 where there is no defect.

    Returns:
        int32 `[H, W]`, 0 where there is no defect.
    """
    from skimage.measure import label

    numbered: NDArray[np.int32] = label(mask > 0, connectivity=2).astype(np.int32)
    return numbered


def vanishes(mask: NDArray[np.uint8], scale: float) -> bool:
    """Whether a defect would have less than 4 pixels, or be a pixel wide at most, where its photo is made smaller.

    Args:
        mask: uint8 `[H, W]`, 0 where there is no defect; of an empty one nothing vanishes.
        scale: length after over length before.
    """
    area = int((mask > 0).sum())
    if not area or scale >= 1:
        return False
    side = math.floor(1 / scale) + 1
    if area * scale * scale < FEWEST_PIXELS or side > min(mask.shape):
        return True
    return int(window_sums(mask, (side, side)).max()) < side * side


class Windows:
    """Places of windows in one photo that hold part of its defect, or none of it, drawn at random.

    A window with some is drawn for one pixel of one spot, all spots being equally likely, so that small ones are not
    drowned, and then uniformly among those that hold this pixel, and not on their rim where the photo allows it. Of a
    photo without a defect all windows are equally likely.

    Args:
        mask: uint8 `[H, W]` or `[1, H, W]`, 0 where there is no defect; of the size of the windows at least.
        size: of the windows: width and height in pixels.
    """

    def __init__(self, mask: NDArray[np.uint8] | Tensor, size: tuple[int, int]) -> None:
        whole: NDArray[np.uint8] = mask if isinstance(mask, np.ndarray) else mask.cpu().numpy()
        height, width = whole.shape[-2:]
        pixels = whole.reshape(height, width)
        self._free = (height - size[1], width - size[0])
        if min(self._free) < 0:
            raise ValueError(f"a mask of {width}×{height} holds no window of {size[0]}×{size[1]}")
        self._size = size[::-1]
        numbers = spots(pixels)
        places = np.flatnonzero(numbers)
        order = np.argsort(numbers.ravel()[places], kind="stable")
        self._pixels = np.stack(np.unravel_index(places[order], pixels.shape), axis=1).astype(np.int32)
        self._ends = np.cumsum(np.bincount(numbers.ravel()[places])[1:])
        sums = window_sums(pixels, size)
        free = np.flatnonzero(sums == 0)
        self._clear = np.stack(np.unravel_index(free[spread(len(free), _FREE)], sums.shape), axis=1)

    @property
    def has_clear(self) -> bool:
        """Whether a window of the photo holds nothing of a defect."""
        return bool(len(self._clear))

    def draw_clear(self, random: np.random.Generator) -> tuple[int, int]:
        """Top and left of a window without a defect, in pixels; only where `has_clear`."""
        top, left = self._clear[int(random.integers(len(self._clear)))]
        return int(top), int(left)

    def draw(self, random: np.random.Generator) -> tuple[int, int]:
        """Top and left of a window, in pixels."""
        if not len(self._pixels):
            top, left = (int(random.integers(0, free + 1)) for free in self._free)
            return top, left
        spot = int(random.integers(len(self._ends)))
        first = int(self._ends[spot - 1]) if spot else 0
        pixel = self._pixels[int(random.integers(first, self._ends[spot]))]
        top, left = (
            _around(int(place), side, free, random)
            for place, side, free in zip(pixel, self._size, self._free, strict=True)
        )
        return top, left


def _around(place: int, side: int, free: int, random: np.random.Generator) -> int:
    """Where a window begins that holds a place, along one axis."""
    rim = side // RIM
    first, last = (min(max(0, begin), free) for begin in (place - side + 1 + rim, place - rim))
    return int(random.integers(first, last + 1))
