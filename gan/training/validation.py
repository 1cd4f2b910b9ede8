"""How good the generator is while it trains, measured on photos that it is not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from gan.evaluation.features import FeatureNetwork
from gan.evaluation.metrics import kid
from gan.networks.generator import Generator
from gan.networks.pixels import to_pixels
from gan.training.monitor import sample

FAKES = 500
"""More would hardly help: most of the noise comes from the few photos."""
FIRST_LATENT = 1 << 20
"""Far from the latents of the sample grid and from those that a small dataset begins with."""


class Validation:
    """KID against held-out photos, for choosing a snapshot.

    The latents are the same every time, so that only the weights make a difference.

    Args:
        photos: uint8 `[N, C, S, S]`, N ≥ 10, never trained on.
        network: the features to compare in.
        seed: of the latents.
    """

    def __init__(self, photos: Tensor, network: FeatureNetwork, seed: int) -> None:
        self._network, self._seed = network, seed
        self._photos = network(photos)
        self.against = f"{hashlib.sha256(photos.numpy().tobytes()).hexdigest()} in {network.name}"

    def kid_x1000(self, generator: Generator, on_images: Callable[[int], None] = lambda count: None) -> float:
        """KID × 1000 of what the generator makes, in eval mode; `on_images` is called with each number looked at."""
        fakes: list[Tensor] = []
        end = FIRST_LATENT + FAKES
        for start in range(FIRST_LATENT, end, 50):
            images = sample(generator, generator.inputs_at(self._seed, start, min(start + 50, end)))
            fakes.append(to_pixels(images).permute(0, 3, 1, 2))
        return 1000 * kid(self._photos, self._network(torch.cat(fakes), on_images))
