"""Pictures as HTML that holds them, so that a page needs no other file."""

from __future__ import annotations

import io

from PIL import Image
from torch import Tensor

from gan.tiles import tiled
from models.page import picture

COLUMNS = 4


def held(image: Image.Image, text: str, width: int) -> str:
    """An HTML image that holds its PNG, so many pixels wide."""
    file = io.BytesIO()
    image.save(file, format="png")
    return picture(file.getvalue(), text, width)


def held_grid(images: Tensor, text: str, columns: int = COLUMNS) -> str:
    """A grid of images uint8 `[N, C, H, W]`, pixels as they are."""
    grid = tiled(images, columns, 2, 255)
    pixels = grid.permute(1, 2, 0).numpy() if images.shape[1] == 3 else grid[0].numpy()
    return held(Image.fromarray(pixels), text, grid.shape[2])
