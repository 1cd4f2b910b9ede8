"""A few blobs, each at a place, of a size and in a direction that latents choose.

A defect is one thing at one place. Maps that grow from a grid of cells draw it in every cell that likes it; here the
network says where it is, and how large (Epstein et al., "BlobGAN: Spatially Disentangled Scene Representations", ECCV
2022, section 3.1; there ellipses have angles, here any linear map of the plane makes them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_COUNT = 4
"""Blobs in an image: some photos have several defects, and what is not needed becomes invisible."""
_HIDDEN = 64
_BEYOND = 1.2
"""How far from the middle a blob may be, in halves of the side: those at the border are cut by it."""
_SIZE, _SIZES = 2.0, 1.5
"""Logarithms of halves of the side by a blob's radius: the middle one, and how far from it they go at most. Radii are 2
to 39 pixels of 128, before they are stretched."""
_CELL = 4
"""Pixels of the image between two places of the first map that is painted on."""
_ROUGHNESS = 1.5
"""How much ragged edges come and go at most: a deviation of the logarithm of the distance's square."""
_BLENDED = 32
"""Channels in which a blob and what is around it come together."""


class Drawn(NamedTuple):
    """Blobs of images.

    Attributes:
        places: float `[N, K, 2]`, down and right, -1 and 1 are the borders.
        shapes: float `[N, K, 4]`: the 2×2 map, row by row, that makes a blob a circle of radius 1; of right and down.
        edges: what the square of the distance from a blob's middle is multiplied with, float `[N, K, h, w]`: it makes
            edges ragged.
        features: what they add to each map, float `[N, K, C]` each.
    """

    places: Tensor
    shapes: Tensor
    edges: Tensor
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
        self.shapes = nn.Linear(_HIDDEN, 6 * _COUNT)
        self.features = nn.Linear(_HIDDEN, sum(self.channels) * _COUNT)
        self.blend = nn.Sequential(
            nn.Conv2d(self.channels[0], _BLENDED, 3, padding=1, padding_mode="reflect"),
            nn.LeakyReLU(0.2),
            nn.Conv2d(_BLENDED, self.channels[0], 1),
        )

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with: round blobs anywhere."""
        for layer, gain in ((self.places, 0.9), (self.hidden, 1.4), (self.shapes, 0.7), (self.features, 0.5)):
            nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.in_features), generator=random)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.shapes.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, -1.0]).repeat(_COUNT))
        for blending in self.blend:
            if isinstance(blending, nn.Conv2d) and blending.bias is not None:
                nn.init.kaiming_normal_(blending.weight, 0.2, generator=random)
                nn.init.zeros_(blending.bias)

    def forward(self, seen: Tensor, grain: Tensor, clear: Tensor | None = None) -> Drawn:
        """The blobs of images.

        Args:
            seen: latents, float `[N, seen]`.
            grain: white noise, float `[N, 1, H, W]`, what roughens the edges.
            clear: bool `[N]`: images in which nothing is painted.
        """
        places = _BEYOND * torch.tanh(self.places(seen).float()).reshape(-1, _COUNT, 2)
        hidden = nn.functional.silu(self.hidden(seen))
        shapes = self.shapes(hidden).float().reshape(-1, _COUNT, 6)
        sizes = torch.exp(_SIZE + _SIZES * torch.tanh(shapes[..., 4:5] / _SIZES))
        roughness = _ROUGHNESS * torch.sigmoid(shapes[..., 5, None, None])
        features = self.features(hidden).reshape(-1, _COUNT, sum(self.channels))
        if clear is not None:
            features = torch.where(clear[..., None, None], 0.0, features)
        each = torch.split(features, self.channels, dim=2)
        return Drawn(places, sizes * shapes[..., :4], torch.exp(roughness * unevenness(grain)), each)

    def painted(self, x: Tensor, blobs: Drawn, number: int) -> Tensor:
        """Maps `[N, C, H, W]` with the blobs' features for map `number` added where the blobs are."""
        edges = blobs.edges
        if number:
            edges = F.interpolate(edges, scale_factor=2, mode="nearest")
        height, width = x.shape[2:]
        seen = opacity(blobs.places, blobs.shapes, height, width, edges).flatten(2).to(x.dtype)
        added: Tensor = blobs.features[number].to(x.dtype).transpose(1, 2) @ seen
        x = x + added.view_as(x)
        return x if number else F.leaky_relu(x + self.blend(x), 0.2)


def unevenness(grain: Tensor) -> Tensor:
    """White noise `[N, 1, H, W]` to noise of deviation 1 on the first map that is painted on, a few places wide."""
    noise = F.avg_pool2d(grain.float(), _CELL) * _CELL
    for size in ((3, 1), (1, 3)):
        taps = torch.tensor([1.0, 2.0, 1.0], device=noise.device, dtype=noise.dtype).view(1, 1, *size) / math.sqrt(6)
        noise = F.conv2d(F.pad(noise, (size[1] // 2,) * 2 + (size[0] // 2,) * 2, mode="reflect"), taps)
    return noise


def opacity(places: Tensor, shapes: Tensor, height: int, width: int, edges: Tensor | None = None) -> Tensor:
    """How much is seen of each blob at each place of a map, float `[N, K, height, width]`: half of it at its edge.

    Beyond the edge it falls with the fourth power of the distance: so slowly that training can still move it.

    Args:
        places, shapes, edges: as of `Drawn`; the latter `[N, K, height, width]`.
    """
    rows, columns = (torch.arange(1, 2 * side, 2, device=places.device) / side - 1 for side in (height, width))
    down = (rows - places[..., :1])[..., None]
    right = (columns - places[..., 1:])[..., None, :]
    a, b, c, d = (shapes[..., number, None, None] for number in range(4))
    squared: Tensor = (a * right + b * down).square() + (c * right + d * down).square()
    if edges is not None:
        squared = squared * edges
    seen: Tensor = 1 / (1 + squared.square())
    return seen
