"""What is measured of each image for the quality gate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.dataset.measure import Measure, measure
from tests.jobs.small_models import SIZE


def pictures() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images of all kinds with what the generator would say of each: whether it is finite."""
    random = np.random.RandomState(3)
    noise = random.randint(1, 255, (16, SIZE, SIZE, 1)).astype(np.uint8)
    noise[1] = 0
    noise[2] = 128
    noise[3] = 128
    noise[3, 5, 5] = 129
    noise[4, :20] = 255
    noise[5, :1] = 0  # suspect
    noise[9, 0, :3] = 0  # under the share from which an image is suspect
    finite = np.ones(16, bool)
    finite[[1, 5, 9]] = False
    return noise, finite


@pytest.mark.parametrize("size", [1, 7])
def test_measures_do_not_depend_on_the_batch_size(size: int) -> None:
    pixels, finite = pictures()

    def measured(size: int) -> list[Measure]:
        starts = range(0, len(pixels), size)
        return [
            one
            for start in starts
            for one in measure(start, pixels[start : start + size], lambda at=start: finite[at : at + size])
        ]

    assert measured(size) == measured(len(pixels))


def test_measures_are_what_they_are_said_to_be() -> None:
    pixels, finite = pictures()
    found = measure(100, pixels, lambda: finite)
    assert [one.index for one in found] == list(range(100, 116))
    assert [place for place, one in enumerate(found) if one.contrast == 0] == [1, 2]
    assert 0 < found[3].contrast < 0.1
    assert found[0].contrast == pytest.approx(pixels[0].std(), rel=0.1)
    assert [round(one.clipped, 3) for one in found[:6]] == [0, 1, 0, 0, round(20 / 32, 3), round(1 / 32, 3)]
    assert [place for place, one in enumerate(found) if not one.finite][:2] == [1, 5]


def test_stripes_are_not_blank() -> None:
    pixels = np.full((1, 40, 40, 1), 100, np.uint8)
    pixels[:, :, 3::5] = 200  # what every fifth value would miss
    assert measure(0, pixels, lambda: np.ones(1, bool))[0].contrast > 10


def test_flat_colour_is_constant_and_not_contrast_between_channels() -> None:
    beige = np.broadcast_to(np.array([200, 180, 140], np.uint8), (1, SIZE, SIZE, 3))
    assert measure(0, beige, lambda: np.ones(1, bool))[0].contrast == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_not_measured(channels: int) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (4, SIZE, SIZE, channels)).astype(np.uint8)
    opaque = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    assert measure(0, opaque, lambda: np.ones(4, bool)) == measure(0, pixels, lambda: np.ones(4, bool))
