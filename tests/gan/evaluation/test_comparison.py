"""The comparison as a whole, with a small feature network: fresh photos, noise, one image again and again."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from gan.evaluation.comparison import Quality, Sets, Sources, compare
from gan.evaluation.copying import Pair
from gan.evaluation.features import FeatureNetwork
from gan.evaluation.summary import table
from gan.photos.read import ImageSet
from tests.gan.evaluation.conftest import SMALL, compared, of, plates


def test_fresh_photos_score_about_as_the_floor_and_are_no_copies(fresh: tuple[Quality, list[Pair]]) -> None:
    found, pairs = fresh
    assert (found.n_real, found.n_fake, found.n_train, found.image_size, found.channels) == (60, 80, 60, 64, 1)
    assert found.floor_of == "training photos against real ones"
    assert found.kid_x1000_interval[0] < 0 < found.kid_x1000_interval[1]
    assert found.density == pytest.approx(1, abs=0.4)
    assert found.coverage == pytest.approx(found.coverage_ideal, abs=0.1)
    assert found.ms_ssim == pytest.approx(found.ms_ssim_real, abs=0.05)
    assert found.spectrum_distance_db < 2
    assert len(found.spectrum_real_db) == len(found.spectrum_fake_db) == 32
    assert found.copying is not None
    assert found.copying.verdict == found.copying_verdict == "none found"
    assert len(pairs) == 16
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


def test_noise_is_far_from_the_photos_and_no_copy(train: ImageSet) -> None:
    noise = torch.randint(256, (60, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    found, _ = compared(of(noise), train)
    assert found.kid_x1000_interval[0] > found.kid_x1000_floor_interval[1]
    assert (found.density, found.coverage) == (0, 0)
    assert found.spectrum_distance_db > 5 * found.spectrum_floor_db
    assert found.copying is not None
    assert found.copying.verdict == "none found"


def test_one_image_again_and_again_has_no_diversity(train: ImageSet) -> None:
    found, _ = compared(of(plates(1, 3).images.expand(40, -1, -1, -1)), train)
    assert found.ms_ssim == pytest.approx(1)
    assert found.ms_ssim_real < 0.8
    assert found.coverage < 0.5


def test_without_training_images_the_floor_is_of_halves_and_copies_are_not_looked_for() -> None:
    found, pairs = compared(plates(40, 3))
    assert found.floor_of == "two random halves of the real photos"
    assert (found.n_train, found.copying, found.copying_verdict, pairs) == (0, None, None, [])
    assert found.kid_x1000_floor_interval[0] < 0 < found.kid_x1000_floor_interval[1]


def test_same_images_and_seed_give_the_same_numbers(fresh: tuple[Quality, list[Pair]], train: ImageSet) -> None:
    assert compared(plates(80, 3), train)[0] == fresh[0]


def test_images_of_different_shapes_are_refused() -> None:
    small = of(torch.zeros(20, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="different shapes"):
        compared(small)


@pytest.mark.parametrize("train", [None, plates(20, 2)], ids=["halves", "training photos"])
def test_a_second_network_gives_what_it_would_as_the_first(train: ImageSet | None) -> None:
    sets, sources = Sets(plates(24, 1), plates(16, 3), train), Sources("real", "fake", "train" if train else None)
    coarse = FeatureNetwork("coarse", lambda images: adaptive_avg_pool2d(images[:, :1], 4).flatten(1))
    both, _ = compare(sets, sources, SMALL, 0, coarse)
    alone, _ = compare(sets, sources, coarse, 0)
    assert both.second is not None
    assert dataclasses.asdict(both.second).items() <= dataclasses.asdict(alone).items()
    assert both.features == "small"
    assert both.kid_x1000 != both.second.kid_x1000
    assert "in the eyes of coarse" in table(both)
    assert alone.second is None
