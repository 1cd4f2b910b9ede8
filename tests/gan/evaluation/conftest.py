"""What the tests of evaluation share: plates, a small feature network, and a comparison that is made once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan.evaluation.comparison import Quality, Sets, Sources, compare
from gan.evaluation.copying import Pair
from gan.evaluation.features import FeatureNetwork
from gan.photos.read import ImageSet
from tests.conftest import scratch

SMALL = FeatureNetwork("small", lambda images: adaptive_avg_pool2d(images[:, :1], 8).flatten(1))
"""64 means of places: in its eyes an image and its mirror image differ."""


def plates(count: int, seed: int) -> ImageSet:
    """Plates of 64×64 with a scratch each."""
    random = np.random.default_rng(seed)
    images = np.stack([scratch(random, 64, 64) for _ in range(count)])
    return ImageSet(torch.from_numpy(images)[:, None], [f"{seed}-{number}.png" for number in range(count)])


def of(images: Tensor, name: str = "fake") -> ImageSet:
    """Images with names."""
    return ImageSet(images, [f"{name}-{number}.png" for number in range(len(images))])


def compared(
    fake: ImageSet, train: ImageSet | None = None, network: FeatureNetwork = SMALL
) -> tuple[Quality, list[Pair]]:
    """A comparison with 60 plates."""
    sources = Sources("real", "fake", "train" if train else None)
    return compare(Sets(plates(60, 1), fake, train), sources, network, 0)


@pytest.fixture(scope="session")
def train() -> ImageSet:
    """Plates that a generator might have copied."""
    return plates(60, 2)


@pytest.fixture(scope="session")
def fresh(train: ImageSet) -> tuple[Quality, list[Pair]]:
    """Of fakes that are photos of the same source, which neither set holds."""
    return compared(plates(80, 3), train)
