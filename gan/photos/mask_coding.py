"""One file of a mask to what is defect in it, in whatever coding it is stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gan.photos.decode import Picture, decode
from gan.photos.find import Photo

FEW_LEVELS = 8
"""Gray levels up to which they are classes of defects, all but 0."""
_MIDDLE = 0.1
"""Share of pixels that may lie between black and white: the edges of thin cracks, smoothed or stored as JPEG."""
_NEAR = 1 / 8
"""So much of white is still black, or white: JPEG moves them."""
_WHITE = 128


def read_mask(file: Photo) -> NDArray[np.uint8]:
    """A mask, turned upright by its own EXIF: uint8 `[H, W]`, 255 where the defect is, else 0.

    0 is the background, and everything else defect. Where JPEG or smoothing have left levels between, half of white
    divides. Of a palette the colours count, or where none is black the place 0.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    picture = decode(file)
    gray = _gray(picture)
    if picture.see_through and not gray.any():
        raise ValueError("what it shows is in its transparency alone: save it as gray, 0 and 255")
    levels, counts = np.unique(gray, return_counts=True)
    top = int(levels[-1])
    if len(levels) == 1:
        return np.full_like(gray, 255 if top else 0)
    lossy = file.head(3) == b"\xff\xd8\xff"
    if levels[0] == 0 and not lossy and (_are_classes(levels) or _has_areas(gray)):
        return np.where(gray > 0, np.uint8(255), np.uint8(0))
    if not lossy and len(levels) <= FEW_LEVELS and not _are_noisy(levels):
        raise ValueError(f"no pixel of it is 0, which is what has no defect; the darkest is {levels[0]}")
    dark, bright = levels <= _NEAR * top, levels >= (1 - _NEAR) * top
    if top < _WHITE or not dark.any() or counts[~dark & ~bright].sum() > _MIDDLE * gray.size:
        raise ValueError(f"{len(levels)} gray levels, so no mask: 0 is what has no defect, and 255 the defect")
    return np.where(2 * gray.astype(np.int32) >= top, np.uint8(255), np.uint8(0))


def _gray(picture: Picture) -> NDArray[np.uint8]:
    """uint8 `[H, W]`: of colour the largest of a pixel's channels, so that a defect in any colour is there."""
    image = picture.image
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))
    colours: NDArray[np.uint8] = np.asarray(image.convert("RGB")).max(axis=2)
    return np.asarray(image) if image.mode == "P" and colours.all() else colours


def _are_classes(levels: NDArray[np.uint8]) -> bool:
    return len(levels) <= FEW_LEVELS and not _are_noisy(levels)


def _are_noisy(levels: NDArray[np.uint8]) -> bool:
    """Whether there are levels both beside black and beside white, as of a JPEG that was stored anew."""
    top = int(levels[-1])
    beside_black, beside_white = levels[1:-1] <= _NEAR * top, levels[1:-1] >= (1 - _NEAR) * top
    return top >= _WHITE and bool(beside_black.any() and beside_white.any())


def _has_areas(gray: NDArray[np.uint8]) -> bool:
    """Whether what is neither black nor white lies in areas of one level, as classes do, and not along edges."""
    inner = gray[1:-1, 1:-1]
    top = int(gray.max())
    middle = (inner > _NEAR * top) & (inner < (1 - _NEAR) * top)
    if not middle.any():
        return False
    flat = np.ones_like(middle)
    for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
        flat &= inner == gray[down : down + inner.shape[0], across : across + inner.shape[1]]
    return bool((flat & middle).sum() > middle.sum() / 4)
