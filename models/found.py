"""Where the defect is in an image that has no mask: lines and small spots that stand out of their surface.

A ridge filter of several scales and directions, each measured against the image's own noise in that direction, so that
the grain of a brushed surface hides in itself. The arithmetic is that of whole numbers until a square root, so that
every machine finds the same pixels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
_SCALES = (4, 8, 16)
"""Binomial kernels by which an image is smoothed, as their order: Gaussians of 1, 1.4 and 2 pixels."""
_DIRECTIONS = 8
_LOW, _HIGH = 3.0, 6.0
"""Deviations of the noise from which a pixel belongs to a line, and which it has to have somewhere."""
_LEAST_NOISE = 0.5
"""Gray levels: no image is cleaner than its rounding."""
_LEAST_PART = 12
"""Pixels: what is smaller is grain."""


def found_mask(gray: NDArray[np.uint8]) -> Mask:
    """Where an image has lines or spots that are brighter or darker than what is around them.

    Args:
        gray: uint8 `[H, W]`.

    Returns:
        bool `[H, W]`.
    """
    from scipy.ndimage import binary_closing
    from skimage.filters import apply_hysteresis_threshold
    from skimage.morphology import remove_small_objects

    bright, dark = _ridges(gray)
    found = np.zeros(gray.shape, bool)
    for ridges in (bright, dark):
        found |= binary_closing(apply_hysteresis_threshold(ridges, _LOW, _HIGH), np.ones((3, 3)))
    return np.asarray(remove_small_objects(found, max_size=_LEAST_PART - 1, connectivity=2))


def _ridges(gray: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each pixel `[H, W]` is on a bright line and on a dark one, in deviations of the image's noise.

    The second derivative across a line, as in Steger, "An Unbiased Detector of Curvilinear Structures" (PAMI 1998).
    """
    bright, dark = np.zeros(gray.shape), np.zeros(gray.shape)
    for order in _SCALES:
        for turned in _second_derivatives(gray, order):
            noise = 1.4826 * float(np.median(np.abs(turned)))
            scaled = turned / max(noise, _LEAST_NOISE / order)
            np.maximum(bright, -scaled, out=bright)
            np.maximum(dark, scaled, out=dark)
    return bright, dark


def _second_derivatives(gray: NDArray[np.uint8], order: int) -> list[NDArray[Any]]:
    """Of the smoothed image, in each of the directions."""
    from scipy.ndimage import correlate1d

    kernel = np.array([math.comb(order, place) for place in range(order + 1)], float) / 2**order
    smooth = np.pad(gray.astype(float), 1, "symmetric")
    for axis in (0, 1):
        smooth = correlate1d(smooth, kernel, axis, mode="nearest")
    middle = smooth[1:-1, 1:-1]
    down = smooth[2:, 1:-1] + smooth[:-2, 1:-1] - 2 * middle
    right = smooth[1:-1, 2:] + smooth[1:-1, :-2] - 2 * middle
    both = (smooth[2:, 2:] + smooth[:-2, :-2] - smooth[2:, :-2] - smooth[:-2, 2:]) / 4
    angles = [math.pi * turn / _DIRECTIONS for turn in range(_DIRECTIONS)]
    return [
        math.cos(angle) ** 2 * right + 2 * math.cos(angle) * math.sin(angle) * both + math.sin(angle) ** 2 * down
        for angle in angles
    ]
