"""What a frozen network makes of images, calculated once for each image, however many fits see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from gan.usefulness.detector import Augment

_MOST_BYTES = 1 << 28
"""What may be kept; of more, the oldest goes."""
_AUGMENTED = 256
"""Augmented views of all images together, about: at least one of each."""


class Frozen:
    """Features of images by their content: thirty fits on the same photos calculate them once.

    Each image is calculated alone: in a batch its last bits would depend on what else is there, and the verdict on what
    an earlier fit, or one before a kill, happened to calculate.

    Args:
        network: uint8 `[1, C, H, W]` to float32 `[1, ...]`, always the same.
    """

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._kept: dict[bytes, Tensor] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Features of images uint8 `[N, C, H, W]`: float32 `[N, ...]`."""
        found = []
        for image in images:
            key = digest(image)
            features = self._kept.get(key)
            if features is None:
                features = self._network(image[None])[0]
                self._keep(key, features)
            found.append(features)
        return torch.stack(found)

    def _keep(self, key: bytes, features: Tensor) -> None:
        self._kept[key] = features
        if len(self._kept) * features.numel() * features.element_size() > _MOST_BYTES:
            del self._kept[next(iter(self._kept))]


def digest(image: Tensor) -> bytes:
    """A hash of an image's pixels and shape."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), person=str(list(image.shape)).encode()[:16]).digest()


def views(images: Tensor, augment: Augment) -> Tensor:
    """The images and what augmentation makes of them: uint8 `[N · (1 + views), C, H, W]`, all images of a view in turn.

    What is drawn for a view depends on the image and on the number of the view alone: it can be kept, as the image is.
    """
    seeds = [int.from_bytes(digest(image)[:7]) for image in images]
    found = [images]
    for view in range(max(1, round(_AUGMENTED / len(images)))):
        changes = (torch.Generator().manual_seed(seed + view) for seed in seeds)
        found.append(torch.cat([augment(image[None], random) for image, random in zip(images, changes, strict=True)]))
    return torch.cat(found)
