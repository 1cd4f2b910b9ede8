"""Images with masks: grain with a bright streak each, of which all is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from gan.photos.read import ImageSet, to_picture

SIDE = 64


def pairs(
    count: int, seed: int, width: float = 4, degrees: tuple[float, float] = (0, 180), empty: float = 0.1
) -> ImageSet:
    """Images 64×64 and their masks.

    Args:
        count: of images.
        seed: of all that is drawn.
        width: of streaks in pixels, a quarter more or less.
        degrees: between which they point.
        empty: share of images without one.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images, masks = [], []
    for _ in range(count):
        angle = np.radians(random.uniform(*degrees))
        across, along = x - random.uniform(12, 52), random.uniform(12, 52) - y
        along, across = across * np.cos(angle) + along * np.sin(angle), along * np.cos(angle) - across * np.sin(angle)
        wide, far = width * random.uniform(0.75, 1.25), random.uniform(12, 30)
        mask = (abs(across) <= wide / 2) & (abs(along) <= far / 2) & (random.random() >= empty)
        image = random.normal(100, 6, (SIDE, SIDE)) + random.uniform(40, 70) * mask
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(255 * mask.astype(np.uint8))
    names = [f"{seed}-{number}.png" for number in range(count)]
    pixels, defects = (torch.from_numpy(np.stack(of))[:, None] for of in (images, masks))
    return ImageSet(pixels, names, masks=defects)


def with_masks(images: ImageSet, masks: torch.Tensor) -> ImageSet:
    """The same images with other masks."""
    return dataclasses.replace(images, masks=masks)


def shuffled(images: ImageSet) -> ImageSet:
    """Each image with the mask of the next."""
    assert images.masks is not None
    return with_masks(images, images.masks.roll(1, 0))


def drifted(images: ImageSet, pixels: int = 9) -> ImageSet:
    """Masks that lie beside the defect."""
    assert images.masks is not None
    return with_masks(images, images.masks.roll((pixels, pixels), (2, 3)))


def write_pairs(folder: Path, masks: Path, images: ImageSet) -> Path:
    """The images as PNG files in `folder`, and their masks by the same names in `masks`."""
    assert images.masks is not None
    for place, tensors in ((folder, images.images), (masks, images.masks)):
        place.mkdir(parents=True, exist_ok=True)
        for name, tensor in zip(images.names, tensors, strict=True):
            to_picture(tensor).save(place / name)
    return folder
