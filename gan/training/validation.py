"""How good the generator is while it trains, measured on photos that it is not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan.evaluation.features import FeatureNetwork
from gan.evaluation.metrics import NEIGHBOURS, Manifold, kid, manifold
from gan.evaluation.places import MOST_COMMON_GRAIN, MOST_ECHO, beyond_grid, loudest_echo, places, worst_grid
from gan.networks.generator import Generator
from gan.photos.traces import Traces
from gan.training.figures import made
from models.picks import in_proportion

FAKES = 500
"""More would hardly help: most of the noise comes from the few photos."""
FIRST_LATENT = 1 << 20
"""Far from the latents of the sample grid and from those that a small dataset begins with."""


@dataclass(frozen=True)
class Measured:
    """How far generated images are from held-out photos.

    Attributes:
        kid_x1000: KID × 1000.
        score: the lower the better: KID × 1000, and what it hardly sees, brought to its scale by 100 for each: how much
            more lines keep to a grid and come again at one distance, and how much more fine structure is shared, than
            in the photos; and the shares of images unlike all photos, 1 - precision, and of photos unlike all images,
            1 - coverage; with classes, of images and photos of the same class.
        one_photo: what one held-out photo more among the images takes off the score, as uncertain as it is at least.
    """

    kid_x1000: float
    score: float
    one_photo: float = 0.0


class Validation:
    """A generator's distance from held-out photos, for choosing a snapshot.

    The latents are the same every time, so that only the weights make a difference.

    Args:
        photos: uint8 `[N, C, H, W]`, N ≥ 10, never trained on.
        network: the features to compare in.
        seed: of the latents.
        labels: of the photos, where they have classes: the images have them in the same proportions.
        traces: of the photos, where they come from files.
    """

    def __init__(
        self,
        photos: Tensor,
        network: FeatureNetwork,
        seed: int,
        labels: Sequence[int] = (),
        traces: Traces | None = None,
    ) -> None:
        self.traces = traces
        self._network, self._seed, self._labels = network, seed, labels
        self._photos, self._places = network(photos), places(photos)
        content = photos.numpy().tobytes() + np.array(labels, "<i8").tobytes()
        self.against = f"{hashlib.sha256(content).hexdigest()} in {network.name}"

    def measure(self, generator: Generator, on_images: Callable[[int], None] = lambda count: None) -> Measured:
        """Measure what the generator makes, in eval mode; `on_images` is called with each number looked at."""
        fakes, _ = made(generator, self._seed, FIRST_LATENT, FAKES, self._labels)
        features = self._network(fakes, on_images)
        kid_x1000 = 1000 * kid(self._photos, features)
        among = self._among(features)
        mine, theirs = places(fakes), self._places
        grid, echo = worst_grid(mine, theirs), loudest_echo(mine, theirs)
        beyond = (
            beyond_grid(mine, theirs, grid),
            mine.echoes[echo] - theirs.echoes[echo] - MOST_ECHO,
            mine.common_grain - max(0.0, theirs.common_grain) - MOST_COMMON_GRAIN,
            1 - among.precision,
            1 - among.coverage,
        )
        score = kid_x1000 + 100 * sum(max(0.0, excess) for excess in beyond)
        return Measured(kid_x1000, score, 100 / len(self._photos))

    def _among(self, features: Tensor) -> Manifold:
        """How images lie among the photos; with classes each among those of its class, as far as there are enough."""
        if not self._labels:
            return manifold(self._photos, features)
        labels, of_photos = torch.tensor(in_proportion(self._labels, len(features))), torch.tensor(self._labels)
        found = [
            (int(own.sum()), manifold(self._photos[own], features[labels == label]))
            for label in sorted(set(self._labels))
            for own in (of_photos == label,)
            if own.sum() > NEIGHBOURS and (labels == label).any()
        ]
        if not found:
            return manifold(self._photos, features)
        total = sum(count for count, _ in found)
        return Manifold(*(sum(count * each[place] for count, each in found) / total for place in range(3)))
