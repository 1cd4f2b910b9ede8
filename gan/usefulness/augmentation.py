"""Classical augmentation, the least that generated images have to beat."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan.usefulness.detector import Augment

_DEGREES, _SHIFT, _BRIGHTNESS, _CONTRAST, _NOISE = 10.0, 0.06, 12.0, 0.15, 3.0
"""The most at strength 1: degrees, parts of a side, gray levels, a factor's distance from 1, gray levels."""


def classical(strength: float) -> Augment:
    """Flips, small rotations and shifts, brightness, contrast and noise, drawn for each image.

    Half of the images are mirrored left-right, and half top-bottom. At strength 1 they turn by up to 10°, shift by up
    to 6 % of a side, become up to 12 gray levels brighter or darker, gain or lose up to 15 % of contrast, and get
    Gaussian noise of a deviation of up to 3 gray levels; all grow with the strength. What moves in from beyond the
    border is mirrored.

    Args:
        strength: above 0; 0.5 to 2 make sense.

    Raises:
        ValueError: `strength` is not above 0.
    """
    if not strength > 0:
        raise ValueError(f"strength is above 0, not {strength}")

    def augment(images: Tensor, random: torch.Generator) -> Tensor:
        def uniform(limit: float, count: int = 1) -> Tensor:
            return (torch.rand((len(images), count, 1, 1), generator=random) * 2 - 1) * (limit * strength)

        mirror = torch.randint(2, (len(images), 2), generator=random) * 2.0 - 1
        turn, shift = uniform(math.radians(_DEGREES)).flatten(), uniform(2 * _SHIFT, 2).flatten(1)
        moved = _moved(images.float(), turn, shift, mirror)
        colours = 1 if images.shape[1] < 3 else 3  # one channel more is a mask
        seen, mask = moved[:, :colours], moved[:, colours:]
        mean = seen.mean(dim=(1, 2, 3), keepdim=True)
        seen = mean + (seen - mean) * (1 + uniform(_CONTRAST)).clamp_min(0) + uniform(_BRIGHTNESS)
        seen = seen + torch.randn(seen.shape, generator=random) * uniform(_NOISE).abs()
        return torch.cat([seen.round().clamp(0, 255), (mask > 127) * 255.0], dim=1).to(torch.uint8)

    return augment


def _moved(images: Tensor, turn: Tensor, shift: Tensor, mirror: Tensor) -> Tensor:
    """Images float `[N, C, H, W]` turned, shifted and mirrored, in one interpolation.

    Args:
        images: what is moved.
        turn: radians, `[N]`.
        shift: right and down, in halves of a side, `[N, 2]`.
        mirror: -1 to mirror left-right and top-bottom, else 1, `[N, 2]`.
    """
    height, width = images.shape[2:]
    cos, sin = turn.cos(), turn.sin()
    rows = [torch.stack([cos, -sin * (height / width)], dim=1), torch.stack([sin * (width / height), cos], dim=1)]
    theta = torch.cat([torch.stack(rows, dim=1) * mirror[:, None], shift[:, :, None]], dim=2)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)
