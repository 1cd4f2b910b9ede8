"""uint8 ↔ [-1, 1], the one place; and what of a mask is defect."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 of any shape to float32 in [-1, 1]: 0 is -1, 255 is 1."""
    return pixels.float() / 127.5 - 1


def to_pixels(images: Tensor) -> Tensor:
    """Float `[N, C, H, W]` in [-1, 1] to uint8 `[N, H, W, C]`: round-half-even(clip((x + 1) · 127.5, 0, 255))."""
    return ((images + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def to_masks(masks: Tensor) -> Tensor:
    """Float `[N, 1, H, W]` in [-1, 1] to uint8 `[N, H, W]`: 255 where it is above 0, which is defect, else 0."""
    return ((masks[:, 0] > 0) * 255.0).to(torch.uint8)  # ONNX Runtime 1.20 cannot multiply uint8
