"""What changes images: shape and type stay, strength 0 does nothing, and each does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gan.robustness.changes import CHANGES, Change

BY_NAME = {change.name: change for change in CHANGES}
NAMES = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)


def images(channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(0).normal(120, 20, (3, 40, 56, channels)).clip(0, 255).astype(np.uint8)


@NAMES
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay_and_nothing_is_changed_in_place(change: Change, channels: int) -> None:
    given = images(channels)
    before = given.copy()
    for strength in change.strengths:
        changed = change(given, strength, range(3))
        assert (changed.shape, changed.dtype) == (given.shape, np.uint8)
        assert not np.array_equal(changed, given)
    assert np.array_equal(given, before)


@NAMES
def test_strength_0_is_the_identity(change: Change) -> None:
    assert np.array_equal(change(images(), 0, range(3)), images())


@NAMES
def test_more_strength_changes_more(change: Change) -> None:
    slope = np.linspace(60, 200, 56) + np.linspace(-40, 40, 40)[:, None]
    smooth = np.random.default_rng(1).normal(slope, 3).clip(0, 255).astype(np.uint8)[None, ..., None].repeat(3, 0)
    off = [
        np.abs(change(smooth, strength, range(3)).astype(int) - smooth).mean() for strength in (0, *change.strengths)
    ]
    assert off == sorted(off)


@NAMES
def test_an_image_is_changed_alike_in_any_batch(change: Change) -> None:
    whole, strength = change(images(), change.strengths[1], range(3)), change.strengths[1]
    alone = change(images()[1:2], strength, [1])
    assert np.array_equal(whole[1:2], alone)


def test_light_is_as_strong_as_is_said() -> None:
    gray = np.full((1, 32, 32, 1), 100, np.uint8)
    assert BY_NAME["darker"](gray, 20, [0]).mean() == 80
    assert BY_NAME["brighter"](gray, 50, [0]).mean() == 150
    uneven = BY_NAME["gradient"](gray, 40, [0])
    assert (uneven.min(), uneven.max(), round(uneven.mean())) == (60, 140, 100)


def test_noise_is_as_strong_as_is_said() -> None:
    gray = np.full((1, 128, 128, 1), 100, np.uint8)
    assert BY_NAME["gaussian noise"](gray, 10, [0]).std() == pytest.approx(10, rel=0.05)
    # At white 6 %: 15.3 gray levels; the variance goes with the light.
    assert BY_NAME["shot noise"](gray, 6, [0]).std() == pytest.approx(15.3 * np.sqrt(100 / 255), rel=0.05)


def test_blur_keeps_the_light_and_spreads_a_point_so_far() -> None:
    point = np.zeros((1, 33, 33, 1), np.uint8)
    point[0, 16, 16, 0] = 255
    for name, strength, across in (("defocus", 3, 7), ("motion", 6, 7)):
        lit = np.argwhere(BY_NAME[name](point, strength, [0])[0, ..., 0] > 0)
        widest = max(np.linalg.norm(one - other) for one in lit for other in lit)
        assert across - 2 <= widest <= across + 1.5, name
    flat = np.full((1, 33, 33, 1), 77, np.uint8)
    assert (BY_NAME["defocus"](flat, 3, [0]) == 77).all()
    assert (BY_NAME["motion"](flat, 12, [0]) == 77).all()


def test_a_shift_moves_by_whole_pixels() -> None:
    point = np.zeros((8, 33, 33, 1), np.uint8)
    point[:, 16, 16] = 255
    moved = [tuple(np.argwhere(image[..., 0])[0] - 16) for image in BY_NAME["shift"](point, 4, range(8))]
    assert {tuple(map(abs, by)) for by in moved} == {(0, 4), (4, 0)}
    assert len(set(moved)) > 2
