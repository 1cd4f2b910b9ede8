"""Pictures as HTML that holds them, so that a page needs no other file."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

COLUMNS = 4


def held(picture: Image.Image, text: str, width: int) -> str:
    """An HTML image that holds its PNG, so many pixels wide."""
    file = io.BytesIO()
    picture.save(file, format="png")
    content = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(text)}" width="{width}" src="data:image/png;base64,{content}">'


def held_grid(images: Tensor, text: str, columns: int = COLUMNS) -> str:
    """A grid of images uint8 `[N, C, H, W]`, pixels as they are."""
    grid = make_grid(images, nrow=columns, padding=2, pad_value=255)
    pixels = grid.permute(1, 2, 0).numpy() if images.shape[1] == 3 else grid[0].numpy()
    return held(Image.fromarray(pixels), text, grid.shape[2])
