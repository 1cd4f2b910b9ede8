"""Many images as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS = 8
GAP = 2
"""White pixels between two images."""
_CHANNELS = (1, 2, 3, 4)


def tiled(images: Sequence[NDArray[np.uint8]], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Images, uint8 `[H, W, C]` each and all of one shape, side by side on white: uint8 `[H', W', C]`."""
    height, width, channels = images[0].shape
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def grid(images: Any, columns: int = COLUMNS) -> Image:
    """Images as one picture, as a notebook shows it when it is the last line of a cell.

    Args:
        images: uint8 `[N, H, W, C]`, as `jobs.make_images` gives them, or `[N, C, H, W]`, as PyTorch has them (a tensor
            will do): C is 1 (gray) or 3 (colour), and one more with transparency.
        columns: images beside one another, at least 1.

    Returns:
        A picture of the mode that `gan-batch` writes such images in: L, LA, RGB or RGBA. What lies between the images
        is white, and not transparent.

    Raises:
        ValueError: other shapes or numbers, or no images.
    """
    from PIL import Image

    found = np.asarray(images)
    if found.ndim == 4 and found.shape[-1] not in _CHANNELS and found.shape[1] in _CHANNELS:
        found = found.transpose(0, 2, 3, 1)
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[-1] not in _CHANNELS or not found.size:
        raise ValueError(
            f"`images` is {found.dtype} {list(found.shape)}, not uint8 [N, H, W, C] or [N, C, H, W] with C of 1 to 4"
        )
    if columns < 1:
        raise ValueError(f"`columns` is {columns}: give 1 or more")
    sheet = tiled(list(found), min(columns, len(found)))
    return Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
