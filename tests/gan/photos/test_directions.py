"""Whether what photos show lies in some of them and stands in others."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch

from gan.photos.directions import both_ways, lying
from gan.training.trainer import Trainer
from tests.conftest import scratch
from tests.gan.conftest import tiny


@pytest.mark.parametrize(("level", "both"), [(0, False), (3, False), (4, True), (10, True), (16, True), (17, False)])
@pytest.mark.parametrize("shade", [0, 60])
def test_both_directions_are_there_where_a_fifth_has_each(level: int, both: bool, shade: int) -> None:
    """Light from above is no level line."""
    random = np.random.default_rng(0)
    plates = [scratch(random, 64, 64) for _ in range(20)]
    images = np.stack([plate.T if number < level else plate for number, plate in enumerate(plates)]).astype(float)
    images += np.linspace(-shade, shade, 64)[:, None]
    photos = torch.from_numpy(images.clip(0, 255).astype(np.uint8))[:, None]
    assert both_ways(photos) is both
    assert both_ways(photos.expand(-1, 3, -1, -1)) is both
    assert lying(photos) == pytest.approx(level / 20)


@pytest.mark.parametrize(("lying", "both"), [((10, 10), True), ((20, 0), False), ((10, 0), False), ((16, 4), True)])
def test_where_there_are_classes_each_has_both(lying: tuple[int, int], both: bool) -> None:
    plates = scratch(np.random.default_rng(0), 64, 64)
    shown = [plates.T if number < lies else plates for lies in lying for number in range(20)]
    photos = torch.from_numpy(np.stack(shown).astype(np.uint8))[:, None]
    assert both_ways(photos, [number // 20 for number in range(40)]) is both


def test_textures_that_neither_clearly_lie_nor_stand_do_not_count() -> None:
    random = np.random.default_rng(1)
    plates = np.stack([scratch(random, 64, 64).T for _ in range(10)])
    sand = random.integers(100, 140, (30, 64, 64))
    photos = torch.from_numpy(np.concatenate([plates, sand]).astype(np.uint8))[:, None]
    assert lying(photos) == 1
    assert not both_ways(photos)
    assert lying(torch.full((3, 1, 32, 32), 9, dtype=torch.uint8)) == 0.5
    assert not both_ways(photos[10:])


@pytest.mark.parametrize(("level", "transpose", "laid"), [(5, "auto", 0.25), (0, "auto", None), (2, "on", 0.1)])
def test_a_generator_lays_as_many_as_lie_among_the_photos(level: int, transpose: str, laid: float | None) -> None:
    random = np.random.default_rng(0)
    plates = [scratch(random, 64, 64) for _ in range(20)]
    images = np.stack([plate.T if number < level else plate for number, plate in enumerate(plates)])
    config = tiny("shift", transpose=transpose, feature_matching=0.0)
    trainer = Trainer(torch.from_numpy(images.astype(np.uint8))[:, None], config, torch.device("cpu"))
    exceeded = trainer.generator.state_dict().get("turn.lying")
    assert (None if exceeded is None else 1 - NormalDist().cdf(float(exceeded))) == pytest.approx(laid)
