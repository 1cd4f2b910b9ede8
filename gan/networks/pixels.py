"""uint8 ↔ [-1, 1], the one place."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 of any shape to float32 in [-1, 1]: 0 is -1, 255 is 1."""
    return pixels.float() / 127.5 - 1


def to_pixels(images: Tensor) -> Tensor:
    """Float `[N, C, H, W]` in [-1, 1] to uint8 `[N, H, W, C]`: round-half-even(clip((x + 1) · 127.5, 0, 255))."""
    return ((images + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
