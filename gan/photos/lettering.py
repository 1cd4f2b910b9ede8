"""Do letters or digits stand on the photos: flips turn them, and a padded border shows them mirrored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

LETTERED_SHARE = 2 / 3
"""Share of the photos from which on it is said. Of photos with ten letters drawn on them 72 to 98 % are found; of those
without, 0 to 38 % are taken for lettered (X-SDD scratches 0, NEU scratches 18, magnetic tiles 31), in one class of
X-SDD with 63 photos 56 %."""
_SIDE = 256
_WINDOW, _STROKES = 96, 5
"""A line of letters crosses a row of so many pixels at least so many times."""
_STEPS = 24
"""How far a stroke stands out from what surrounds it, in gray, at the least."""


def lettered(image: Image.Image) -> bool:
    """Whether a photo seems to hold a line of print, upright or turned by a quarter; by its edges, nothing is read.

    A line of print is a band of rows, each with many short strokes that go on from row to row, between rows with
    almost none. Scratches cross too few times, and rolled or grainy surfaces have no quiet rows.
    """
    gray = image.convert("L")
    gray.thumbnail((_SIDE, _SIDE))
    return any(_has_lines(view) for view in (gray, gray.transpose(Image.Transpose.ROTATE_90)))


def _has_lines(gray: Image.Image) -> bool:
    difference = np.asarray(gray, np.float32) - np.asarray(gray.filter(ImageFilter.BoxBlur(12)), np.float32)
    least = max(_STEPS, 3 * float(np.abs(difference).mean()))
    return any(_has_bands(sign * difference > least) for sign in (1, -1))


def _has_bands(strokes: NDArray[np.bool_]) -> bool:
    """Of bool `[H, W]`, true on strokes."""
    height, width = strokes.shape
    begins = np.diff(strokes, axis=1, prepend=False) & strokes
    before = np.pad(begins.cumsum(axis=1), ((0, 0), (1, 0)))
    for left in range(0, max(1, width - _WINDOW + 1), _WINDOW // 4):
        right = min(left + _WINDOW, width)
        crossings = before[:, right] - before[:, left]
        turns = np.flatnonzero(np.diff(np.pad(crossings >= _STROKES, 1).astype(np.int8)))
        for top, bottom in turns.reshape(-1, 2):
            beyond = max(2, (bottom - top) // 6)
            above, below = crossings[max(0, top - 1 - beyond) : max(0, top - 1)], crossings[bottom + 1 :][:beyond]
            quiet = min(len(above), len(below)) == beyond and min(above.min(), below.min()) <= 1
            inside = strokes[top:bottom, left:right]
            if quiet and 7 <= bottom - top <= height // 4 and _goes_on(inside):
                return True
    return False


def _goes_on(inside: NDArray[np.bool_]) -> bool:
    """Whether strokes go on from row to row, as grain does not."""
    return bool(2 * (inside[1:] & inside[:-1]).sum() >= inside[1:].sum())
