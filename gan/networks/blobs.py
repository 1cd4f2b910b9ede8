"""A few blobs, each at a place, of a size and in a direction that latents choose.

A defect is one thing at one place. Maps that grow from a grid of cells draw it in every cell that likes it; here the
network says where it is, and how large (Epstein et al., "BlobGAN: Spatially Disentangled Scene Representations", ECCV
2022, section 3.1; there ellipses have angles, here any linear map of the plane makes them).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

_COUNT = 4
"""Blobs in an image: some photos have several defects, and what is not needed becomes invisible."""
_HIDDEN = 64
_BEYOND = 1.2
"""How far from the middle a blob may be, in halves of the side: those at the border are cut by it."""
_SIZE, _SIZES = 2.0, 1.5
"""Logarithms of halves of the side by a blob's radius: the middle one, and how far from it they go at most. Radii are 2
to 39 pixels of 128, before they are stretched."""


class Drawn(NamedTuple):
    """Blobs of images.

    Attributes:
        places: float `[N, K, 2]`, down and right, -1 and 1 are the borders.
        shapes: float `[N, K, 4]`: the 2×2 map, row by row, that makes a blob a circle of radius 1; of right and down.
        features: what they add to each map, float `[N, K, C]` each.
    """

    places: Tensor
    shapes: Tensor
    features: tuple[Tensor, ...]


class Blobs(nn.Module):
    """Latents to blobs, and blobs onto maps.

    Args:
        seen: how many latents choose.
        channels: of each map that they are painted on.
    """

    def __init__(self, seen: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)
        self.places = nn.Linear(seen, 2 * _COUNT)
        self.hidden = nn.Linear(seen, _HIDDEN)
        self.shapes = nn.Linear(_HIDDEN, 5 * _COUNT)
        self.features = nn.Linear(_HIDDEN, sum(self.channels) * _COUNT)

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with: round blobs anywhere."""
        for layer, gain in ((self.places, 0.9), (self.hidden, 1.4), (self.shapes, 0.7), (self.features, 0.5)):
            nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.in_features), generator=random)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.shapes.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]).repeat(_COUNT))

    def forward(self, seen: Tensor) -> Drawn:
        """The blobs of latents `[N, seen]`."""
        places = _BEYOND * torch.tanh(self.places(seen).float()).reshape(-1, _COUNT, 2)
        hidden = nn.functional.silu(self.hidden(seen))
        shapes = self.shapes(hidden).float().reshape(-1, _COUNT, 5)
        sizes = torch.exp(_SIZE + _SIZES * torch.tanh(shapes[:, :, 4:] / _SIZES))
        features = self.features(hidden).reshape(-1, _COUNT, sum(self.channels))
        # Slices, as the exporter names two of the splits alike.
        ends = itertools.pairwise([0, *itertools.accumulate(self.channels)])
        return Drawn(places, sizes * shapes[:, :, :4], tuple(features[:, :, first:end] for first, end in ends))

    @staticmethod
    def painted(x: Tensor, blobs: Drawn, number: int) -> Tensor:
        """Maps `[N, C, H, W]` with the blobs' features for map `number` added where the blobs are."""
        seen = opacity(blobs.places, blobs.shapes, *x.shape[2:]).flatten(2).to(x.dtype)
        added: Tensor = blobs.features[number].to(x.dtype).transpose(1, 2) @ seen
        return x + added.view_as(x)


def opacity(places: Tensor, shapes: Tensor, height: int, width: int) -> Tensor:
    """How much is seen of each blob at each place of a map, float `[N, K, height, width]`: half of it at its edge.

    Beyond the edge it falls with the fourth power of the distance: so slowly that training can still move it.

    Args:
        places, shapes: as of `Drawn`.
    """
    rows, columns = (torch.arange(1, 2 * side, 2, device=places.device) / side - 1 for side in (height, width))
    down = (rows - places[:, :, :1])[:, :, :, None]
    right = (columns - places[:, :, 1:])[:, :, None, :]
    a, b, c, d = (shapes[:, :, number, None, None] for number in range(4))
    squared: Tensor = (a * right + b * down).square() + (c * right + d * down).square()
    seen: Tensor = 1 / (1 + squared.square())
    return seen
