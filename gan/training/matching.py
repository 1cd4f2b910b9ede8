"""Feature matching: generated images with the photos' statistics of what a frozen network sees in them.

A discriminator has to learn from a few hundred photos what a scratch, a plate and grain are, and for the first ten
thousand images it teaches the generator little. A network that was trained on other photos tells textures apart from
the first step, and cannot learn these photos by heart (Santos et al., "Learning Implicit Generative Models by Matching
Perceptual Features", ICCV 2019). Means and deviations of its maps are compared by the energy distance, 2 E|f - r| -
E|f - f'| - E|r - r'| (Székely and Rizzo, "Energy statistics", 2013), which is 0 only where the distributions are one:
its second term pushes generated images apart, so that they come to be as varied as the photos.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan.evaluation.defaults import MATCHED
from gan.evaluation.features import lite_network
from gan.networks.pixels import to_float
from gan.sizes import proportioned
from gan.training.augment import orientations
from gan.training.naming import Naming
from models.picks import spread

SIDE = 128
"""Pixels at most of the side at which the network sees squares; of other images it sees about as many pixels."""
_LEAST_SIDE = 32
"""Of what it halves five times."""
LOOKED_AT = 1024
"""Photos at most, those that are mirrored with them."""
_DEPTHS = (2, 4, 10, 15)
"""Blocks of the network whose maps count: the last ones at 1/4, 1/8, 1/16 and 1/32 of the side."""
_LEAST_DEVIATION = 1e-3
_EPSILON = 1e-4
_BATCH = 16
NAMED = 0.5
"""How much being called by the class counts beside the distance: its gradient is about as large, or half as large."""


class Matching(ABC):
    """Statistics of photos, and how far generated images are from them; `_statistics` says which.

    Args:
        photos: float in [-1, 1], in batches.
        labels: int64 `[N]` of photos with classes.
        named: how many classes there are, where images shall also be called by theirs.
    """

    def __init__(self, photos: Iterable[Tensor], labels: Tensor | None = None, named: int = 0) -> None:
        self._labels = labels
        with torch.no_grad():
            parts = [list(self._statistics(part)) for part in photos]
        found = [torch.cat(depth) for depth in zip(*parts, strict=True)]
        self._deviations = [depth.std(dim=0).clamp_min(_LEAST_DEVIATION) for depth in found]
        self._photos = [depth / deviation for depth, deviation in zip(found, self._deviations, strict=True)]
        self._naming = None
        if labels is not None and named:
            self._naming = Naming(torch.cat(self._photos, dim=1), labels, named)

    @abstractmethod
    def _statistics(self, images: Tensor) -> Iterator[Tensor]:
        """Sets of statistics, each `[N, S]`, of images `[N, C, H, W]` in [-1, 1]; differentiable."""

    def distance(self, images: Tensor, labels: Tensor | None = None, strength: float = 0.0) -> Tensor:
        """Half the energy distance to the photos, without what depends on these alone; summed over the depths. With
        `named` what images lack to be called by their class comes on top.

        Args:
            images: float `[N, C, H, W]` in [-1, 1], N ≥ 2.
            labels: int64 `[N]`, drawn in the photos' proportions, where the photos have classes.
            strength: how much of it is the distance within each class, averaged over the photos, from 0 to 1; how much
                being called by the class counts.

        Returns:
            A scalar whose gradient is unbiased: no image is compared with itself.
        """
        total = images.new_zeros(())
        weights = None if labels is None else self._weights(labels, strength)
        depths = [of / deviation for of, deviation in zip(self._statistics(images), self._deviations, strict=True)]
        if self._naming is not None and labels is not None:
            total = total + NAMED * strength * self._naming.shortfall(torch.cat(depths, dim=1), labels)
        for mine, photos in zip(depths, self._photos, strict=True):
            count = len(mine)
            to_photos, among = torch.cdist(mine, photos), torch.cdist(mine, mine)
            if weights is not None:
                to_photos, among = to_photos * weights[0], among * weights[1]
            to_photos, among = to_photos.mean(), among.sum() / (count * (count - 1))
            total = total + (to_photos - among / 2) / math.sqrt(mine.shape[1])
        return total

    def gradient(self, images: Tensor, labels: Tensor | None = None, strength: float = 0.0) -> Tensor:
        """That of the distance at `images`, of their shape."""
        seen = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.distance(seen, labels, strength), seen)
        return gradient

    def _weights(self, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Of each image's distances to the photos, `[N, P]`, and to the images, `[N, N]`.

        Those between two of one class count by what is to be had of such pairs: the share of the class.
        """
        assert self._labels is not None
        to_photos, among = (labels[:, None] == others for others in (self._labels, labels))
        shares = to_photos.float().mean(dim=1, keepdim=True)
        known = shares > 0  # a class may have no photo among those that are looked at
        shares = torch.where(known, shares, 1.0)
        within = torch.where(known, to_photos / shares, 1.0), torch.where(known, among / shares, 1.0)
        return 1 + strength * (within[0] - 1), 1 + strength * (within[1] - 1)


class FeatureMatching(Matching):
    """What a frozen network sees.

    Args:
        images: uint8 `[N, C, H, W]`: the training images, on the device to work on.
        flip: how they are mirrored while training.
        labels: int64 `[N]` of images with classes.
    """

    def __init__(self, images: Tensor, flip: str, labels: Tensor | None = None) -> None:
        self._network = lite_network(MATCHED, images.device.type)
        ways = orientations(flip)
        looked_at = spread(len(images), LOOKED_AT // len(ways))
        some = images[looked_at]
        photos = (to_float(part.flip(way)) for way in ways for part in torch.split(some, _BATCH))
        if labels is None:
            super().__init__(photos)
        else:
            super().__init__(photos, labels[looked_at].repeat(len(ways)), int(labels.max()) + 1)

    def _statistics(self, images: Tensor) -> Iterator[Tensor]:
        """Means and deviations of the maps at each depth, `[N, 2C]`, of images `[N, C, H, W]` in [-1, 1]."""
        network = self._network
        height, width = images.shape[2:]
        seen = proportioned(height, width, min(SIDE, math.sqrt(height * width)))
        seen = max(_LEAST_SIDE, seen[0]), max(_LEAST_SIDE, seen[1])
        x = (adaptive_avg_pool2d(images, seen) * 127.5 + 0.5) / 128  # 0 to 255 as it was trained: (p - 127) / 128
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        x = network._swish(network._bn0(network._conv_stem(x)))
        for number, block in enumerate(network._blocks):
            x = block(x)
            if number in _DEPTHS:
                maps = x.float()
                deviations = (maps.var(dim=(2, 3), correction=0) + _EPSILON).sqrt()
                yield torch.cat([maps.mean(dim=(2, 3)), deviations], dim=1)
