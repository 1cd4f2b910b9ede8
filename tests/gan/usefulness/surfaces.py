"""Small labelled images of which all is known: grain, and grain with a bright line."""

from __future__ import annotations

import numpy as np
import torch

from gan.usefulness.detector import Judge
from gan.usefulness.labelled import Labelled


def surfaces(count: int, seed: int, side: int = 32, channels: int = 1, contrast: float = 60) -> Labelled:
    """Every second image has a line across, and shows class 1."""
    random = np.random.default_rng(seed)
    images = random.normal(110, 12, (count, 1, side, side)).repeat(channels, axis=1)
    masks = np.zeros((count, side, side), np.uint8)
    for number in range(1, count, 2):
        row = random.integers(3, side - 3)
        masks[number, row : row + 2, 4:-4] = 255
    images += contrast * (masks[:, None] > 0)
    return Labelled(
        torch.from_numpy(images.clip(0, 255).astype(np.uint8)),
        torch.arange(count) % 2,
        tuple(f"{seed}-{number}.png" for number in range(count)),
        torch.from_numpy(masks),
    )


def accuracy(judge: Judge, of: Labelled) -> float:
    """The share of images of which the likeliest class is the true one."""
    return float((judge(of.images).argmax(dim=1) == of.labels).double().mean())
