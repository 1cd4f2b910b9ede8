"""Where the defect is in an image that has no mask: lines and spots that stand out of their surface on both sides.

A pixel is on a bright line where it is brighter than what lies to both sides of it, so an edge or a slow shading is
none: the lower of two differences, as in Koller, Gerig, Székely and Dettwiler, "Multiscale Detection of Curvilinear
Structures in 2-D and 3-D Image Data" (ICCV 1995). It is asked at several scales and in several directions, each
against the noise that this image has there, so the grain of a brushed surface hides in itself. There is no random
number and no sum whose order a machine may choose: the same image gives the same mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Gray = NDArray[np.float64]
_SCALES = ((2, 3), (8, 5), (24, 9))
"""Order of the binomial kernel that smooths (a variance of a quarter of it), and pixels to the sides of a line."""
_DIRECTIONS = 8
_ALONG = range(-3, 4)
"""Steps along a line whose mean is taken, each a quarter of the pixels to the sides."""
_QUIET, _QUIET_DEVIATIONS = 0.8, 1.2816
"""Share of pixels that are surface and no defect, and the deviations of normal noise within which so many lie."""
_LEAST_NOISE = 0.5
"""Gray levels: no image is cleaner than its rounding."""
_LOW, _HIGH = 4.0, 9.0
"""Deviations of the noise from which a pixel may be on a line, and which a line has somewhere."""
_SHADOW, _SHADOW_SIDE = 0.5, 21
"""Part of the rise of the strongest pixel in a square of that side below which a pixel is what smoothing smears."""
_LEAST_LINE, _LEAST_PART = 12, 4
"""Pixels of a line before and after its width is cut to measure; what is smaller is grain."""
_HEIGHT = 0.5
"""Part of its rise by which a pixel may lie below the top of its line."""
_NEAR = 5
"""Pixels, the side of the square in which that top is looked for."""


@dataclass
class _Lines:
    """How much each pixel stands out as a line, `[H, W]`: in gray levels, and in deviations of the noise."""

    rise: Gray
    sure: Gray


def found_mask(gray: NDArray[np.uint8]) -> Mask:
    """Where an image has lines or spots that are brighter or darker than what is on both sides of them.

    They are found up to some 12 pixels across, and not within 3 pixels of a border that they run along.

    Args:
        gray: uint8 `[H, W]`.

    Returns:
        bool `[H, W]`; all False where nothing stands out of the noise.
    """
    from skimage.morphology import remove_small_objects

    smooth = _smoothed(gray, _SCALES[0][0])
    found = np.zeros(gray.shape, bool)
    for lines, level in zip(_lines(gray), (smooth, -smooth), strict=True):
        if lines.sure.max(initial=0.0) >= _HIGH:
            found |= _extent(lines, level)
    return np.asarray(remove_small_objects(found, max_size=_LEAST_PART - 1, connectivity=2))


def _lines(gray: NDArray[np.uint8]) -> tuple[_Lines, _Lines]:
    """Bright and dark ones."""
    bright, dark = (_Lines(np.zeros(gray.shape), np.zeros(gray.shape)) for _ in range(2))
    for order, reach in _SCALES:
        if min(gray.shape) <= 2 * reach:
            continue
        for inside, one, other in _differences(_smoothed(gray, order), reach):
            noise = _noise(one, other)
            for lines, rise in ((bright, np.minimum(one, other)), (dark, -np.maximum(one, other))):
                np.maximum(lines.rise[inside], rise, out=lines.rise[inside])
                np.maximum(lines.sure[inside], rise / noise, out=lines.sure[inside])
    return bright, dark


def _differences(smooth: Gray, reach: int) -> Iterator[tuple[tuple[slice, slice], Gray, Gray]]:
    """In each direction: which pixels have both sides in the image, and how much brighter than each side they are."""
    height, width = smooth.shape
    step = max(1, round(reach / 4))
    edge = step * _ALONG[-1] + 1
    padded = np.pad(smooth, edge, "edge")
    for turn in range(_DIRECTIONS):
        right, up = math.cos(math.pi * turn / _DIRECTIONS), math.sin(math.pi * turn / _DIRECTIONS)
        along = np.zeros(smooth.shape)
        for place in _ALONG:
            top, left = edge - round(up * place * step), edge + round(right * place * step)
            along += padded[top : top + height, left : left + width]
        along /= len(_ALONG)
        down, across = round(right * reach), round(up * reach)
        rows, columns = abs(down), abs(across)
        inside = (slice(rows, height - rows), slice(columns, width - columns))
        middle = along[inside]
        one, other = (
            along[rows + y : height - rows + y, columns + x : width - columns + x]
            for y, x in ((down, across), (-down, -across))
        )
        yield inside, middle - one, middle - other


def _noise(one: Gray, other: Gray) -> float:
    """The deviation of the quieter pixels; every other one in each direction is asked, as neighbours say the same."""
    rises = np.abs(one[::2, ::2] + other[::2, ::2]).ravel() / 2
    place = int(_QUIET * len(rises))
    return max(float(np.partition(rises, place)[place]) / _QUIET_DEVIATIONS, _LEAST_NOISE)


def _smoothed(gray: NDArray[np.uint8], order: int) -> Gray:
    from scipy.ndimage import correlate1d

    kernel = np.array([math.comb(order, place) for place in range(order + 1)], float) / 2**order
    smooth = gray.astype(float)
    for axis in (0, 1):
        smooth = correlate1d(smooth, kernel, axis, mode="nearest")
    return np.asarray(smooth)


def _extent(lines: _Lines, level: Gray) -> Mask:
    """The lines as broad as they are at half of their height, without gaps of a pixel or two."""
    from scipy.ndimage import binary_closing, binary_dilation, maximum_filter
    from skimage.filters import apply_hysteresis_threshold
    from skimage.morphology import remove_small_objects

    clear = lines.rise >= _SHADOW * maximum_filter(lines.rise, _SHADOW_SIDE)
    core = apply_hysteresis_threshold(np.where(clear, lines.sure, 0.0), _LOW, _HIGH)
    core = remove_small_objects(core, max_size=_LEAST_LINE - 1, connectivity=2)
    top = maximum_filter(np.where(core, level, -np.inf), _NEAR)
    rise = maximum_filter(np.where(core, lines.rise, 0.0), _NEAR)
    square = np.ones((3, 3), bool)
    broad = binary_dilation(core, square) & (level >= top - _HEIGHT * rise)
    return np.asarray(binary_closing(np.pad(broad, 1), square)[1:-1, 1:-1])
