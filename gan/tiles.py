"""Images as one picture. torchvision's own function needs all of it, which takes as long to load as PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def tiled(images: Tensor, columns: int, edge: int, value: float) -> Tensor:
    """Images `[N, 1 or 3, H, W]` row by row as one, `[3, H, W]`, with so many pixels of `value` around each.

    One image alone has no edge.
    """
    images = images.expand(-1, 3, -1, -1)
    if len(images) == 1:
        return images[0]
    columns = min(columns, len(images))
    height, width = images.shape[2:]
    down, right = height + edge, width + edge
    picture = images.new_full((3, -(-len(images) // columns) * down + edge, columns * right + edge), value)
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        top, left = row * down + edge, column * right + edge
        picture[:, top : top + height, left : left + width] = image
    return picture
