"""Augmentation of what the discriminator sees, real and generated alike.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020. Their
saturation is the identity on one channel and their cutout tends to leak into the images, so neither
is here; brightness and contrast are gentler than theirs because exposure carries meaning on a line.

Each kind leaves a quarter of the images alone. Without that, a translation over a whole cell of the
generator's 4×4 grid hides on which columns of the grid it puts its scratches, and it puts them there;
what is skipped with some probability cannot hide a difference (Karras et al. 2020, StyleGAN2-ADA, section 2.2).
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from gan.networks.pixels import to_float

PROBABILITY = 0.75
MAX_BRIGHTNESS = 0.2
MAX_CONTRAST = 0.25
MAX_TRANSLATION = 1 / 8


def brightness_for(images: Tensor) -> float:
    """By how much brightness may change: the contrast of the usual photo, where that is less than `MAX_BRIGHTNESS`.

    On plates that differ by a few gray levels, more would drown what makes a stain or a shadow of the generator's own.

    Args:
        images: uint8 `[N, C, H, W]`.
    """
    contrasts = torch.cat([to_float(part).flatten(1).std(dim=1) for part in torch.split(images, 64)])
    return min(MAX_BRIGHTNESS, float(contrasts.median()))


def augment(
    images: Tensor, random: torch.Generator, brightness: float = MAX_BRIGHTNESS, channels: int | None = None
) -> Tensor:
    """Random brightness, contrast and translation for each image, differentiable in `images`.

    Args:
        images: float `[N, C, H, W]` in [-1, 1].
        random: source of randomness on the same device.
        brightness: the most that is added or taken away, of the same range.
        channels: so many are the image's; what follows, a mask, is translated with it and no more. By default all.

    Returns:
        float `[N, C, H, W]`, at most ±0.7 beyond [-1, 1].
    """

    def chosen() -> Tensor:
        return torch.rand((images.shape[0], 1, 1, 1), generator=random, device=images.device) < PROBABILITY

    def uniform(limit: float) -> Tensor:
        return torch.empty((images.shape[0], 1, 1, 1), device=images.device).uniform_(-limit, limit, generator=random)

    images, mask = images[:, :channels], images[:, images.shape[1] if channels is None else channels :]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = images + chosen() * uniform(MAX_CONTRAST) * (images - mean)
    images = images + chosen() * uniform(brightness)
    images = torch.cat([images, mask], dim=1) if mask.shape[1] else images
    return _translate(images, chosen().view(1, -1, 1), random)


def _translate(images: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    down, right = int(height * MAX_TRANSLATION), int(width * MAX_TRANSLATION)
    most = max(down, right)
    shift = torch.randint(-most, most + 1, (2, n, 1), generator=random, device=images.device) * chosen
    rows = (shift[0] * (down / most)).round().long() + down + torch.arange(height, device=images.device)
    columns = (shift[1] * (right / most)).round().long() + right + torch.arange(width, device=images.device)
    padded = F.pad(images, (right, right, down, down), mode="reflect")  # no dark frame to learn
    wide = padded.shape[3]
    padded = padded.gather(2, rows[:, None, :, None].expand(n, channels, height, wide))
    return padded.gather(3, columns[:, None, None, :].expand(n, channels, height, width))


_FLIPPED: dict[str, tuple[int, ...]] = {"none": (), "horizontal": (3,), "vertical": (2,), "both": (2, 3)}


def orientations(how: str) -> list[tuple[int, ...]]:
    """The dimensions to flip for each of the ways in which `flip` may leave an image."""
    return [axes for count in range(3) for axes in itertools.combinations(_FLIPPED[how], count)]


def flip(images: Tensor, how: str, random: torch.Generator) -> Tensor:
    """Mirror a random half of the images: `how` is `none`, `horizontal` (left-right), `vertical` or `both`."""
    for axis in _FLIPPED[how]:
        mirrored = torch.rand((images.shape[0], 1, 1, 1), generator=random, device=images.device) < 0.5
        images = torch.where(mirrored, images.flip(axis), images)
    return images
