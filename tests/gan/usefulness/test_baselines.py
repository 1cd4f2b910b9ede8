"""Pasted defects change a few pixels of a photo, and their masks say which."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from gan.usefulness.baselines import cutpaste_scar, perlin_defects, perlin_noise
from gan.usefulness.labelled import Labelled
from models.errors import CommandError, ExitCode
from tests.gan.usefulness.surfaces import surfaces

METHODS = pytest.mark.parametrize("method", [cutpaste_scar, perlin_defects])
Method = Callable[[Labelled, int, int, int], Labelled]


@METHODS
@pytest.mark.parametrize("channels", [1, 3])
def test_masks_say_where_pixels_changed_and_they_are_some(method: Method, channels: int) -> None:
    good = surfaces(10, 1, side=64, channels=channels)
    made = method(good, 30, 7, 4)
    assert len(made) == 30
    assert set(made.labels.tolist()) == {4}
    assert made.masks is not None
    for image, name, mask in zip(made.images, made.names, made.masks, strict=True):
        photo = good.images[good.names.index(name.split("+")[0])]
        assert torch.equal((image != photo).any(dim=0), mask > 0)
        assert 0 < (mask > 0).double().mean() < 1
    assert set(made.masks.unique().tolist()) == {0, 255}


@METHODS
def test_seed_decides_and_count_only_ends(method: Method) -> None:
    good = surfaces(6, 1)
    made = method(good, 6, 7, 1)
    assert torch.equal(method(good, 3, 7, 1).images, made.images[:3])
    assert not torch.equal(method(good, 6, 8, 1).images, made.images)
    assert len(method(good, 0, 7, 1)) == 0
    assert len(set(made.names)) == 6
    with pytest.raises(ValueError, match="no photos to paste onto"):
        method(good.take([]), 3, 7, 1)


@METHODS
def test_photo_on_which_nothing_shows_is_named(method: Method) -> None:
    black = dataclasses.replace(surfaces(1, 1), images=torch.zeros(1, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(CommandError, match=r"1-0\.png.*so plain that no defect shows") as caught:
        method(black, 1, 0, 1)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_scars_are_thin_and_short_as_the_paper_says() -> None:
    made = cutpaste_scar(surfaces(10, 1, side=128), 60, 3, 1)
    assert made.masks is not None
    for mask in made.masks:
        places = mask.nonzero()
        assert int((mask > 0).sum()) <= 13 * 8 + 25  # half of 25 by 16, and what turning adds at the border
        assert int((places.amax(dim=0) - places.amin(dim=0)).max()) <= 16


def test_perlin_noise_is_smooth_spans_its_range_and_is_nothing_at_corners() -> None:
    random = np.random.default_rng(1)
    noise = np.stack([perlin_noise(64, 96, 4, 6, random) for _ in range(50)])
    assert noise.shape == (50, 64, 96)
    assert np.abs(noise[:, ::16, ::16]).max() < 1e-12
    assert 0.7 < np.abs(noise).max() <= 1
    assert np.abs(np.diff(noise, axis=1)).max() < 0.25
    assert abs(noise.mean()) < 0.05
