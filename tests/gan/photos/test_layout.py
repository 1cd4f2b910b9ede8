"""How much of what photos show stands at the same place in all of them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.photos.layout import LAID_OUT, common
from gan.photos.read import ImageSet
from gan.photos.which import ALL_PHOTOS
from gan.training.prepare import Known, prepare
from gan.training.processes import Processes
from tests.conftest import scratch


def plates(count: int, bars: float) -> torch.Tensor:
    """Scratches anywhere on plates with dark bars of one place and that depth, uint8 `[N, 1, 64, 64]`."""
    random = np.random.default_rng(0)
    images = np.stack([scratch(random, 64, 64) for _ in range(count)]).astype(float)
    images[:, 15:18] -= bars
    images[:, 45:48] -= bars
    return torch.from_numpy(images.clip(0, 255).astype(np.uint8))[:, None]


@pytest.mark.parametrize("count", [8, 60])
def test_scratches_anywhere_share_nothing_and_bars_do(count: int) -> None:
    assert abs(common(plates(count, 0))) < 0.05
    assert common(plates(count, 60)) > LAID_OUT
    assert common(plates(count, 60).expand(-1, 3, -1, -1)) == pytest.approx(common(plates(count, 60)))


def test_one_photo_and_photos_of_one_gray_say_nothing() -> None:
    assert common(plates(1, 60)) == 0
    assert common(torch.full((5, 1, 32, 96), 7, dtype=torch.uint8)) == 0
    assert common(plates(1, 60).repeat(5, 1, 1, 1)) == pytest.approx(1)


@pytest.mark.parametrize(("bars", "warned"), [(0, False), (60, True)])
def test_training_on_whole_parts_warns(caplog: pytest.LogCaptureFixture, bars: int, warned: bool) -> None:
    images = ImageSet(plates(12, bars), [f"{number}.png" for number in range(12)])
    with caplog.at_level(logging.WARNING, "gan"):
        prepare(images, None, TrainConfig(image_size=64), "cpu", Known(ALL_PHOTOS), Processes())
    assert ("stands at the same place in all of them" in caplog.text) is warned
