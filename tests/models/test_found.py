"""Lines that are drawn are found and measured, and on surfaces without one nothing is."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from models.attributes import MEASURE, attributes_of, found_mask

FINE = 4
"""Parts of a pixel's side in which a line is drawn."""


def plate(seed: int = 0, deviation: float = 3.0, side: int = 128) -> NDArray[np.float64]:
    """A plate with grain."""
    return np.random.default_rng(seed).normal(110, deviation, (side, side))


def image(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return levels.clip(0, 255).round().astype(np.uint8)


def line(degrees: float, length: float, width: float, x: float = 64, y: float = 64) -> NDArray[np.float64]:
    """The part of each pixel, 0 to 1, that a line covers; its middle is at x, y."""
    down, right = (np.mgrid[: 128 * FINE, : 128 * FINE] + 0.5) / FINE - 0.5
    angle = math.radians(degrees)
    along = (right - x) * math.cos(angle) - (down - y) * math.sin(angle)
    across = (right - x) * math.sin(angle) + (down - y) * math.cos(angle)
    inside = (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)
    return np.asarray(inside.reshape(128, FINE, 128, FINE).mean(axis=(1, 3)))


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 130])
@pytest.mark.parametrize(
    ("length", "width", "contrast"), [(60, 4, 40), (20, 3, -30), (60, 3, 15), (80, 8, -40), (40, 3, 90)]
)
def test_drawn_line_is_measured(degrees: float, length: float, width: float, contrast: float) -> None:
    found = attributes_of(image(plate() + contrast * line(degrees, length, width, 60, 70)))
    assert found.count == 1
    assert found.length == pytest.approx(length, abs=max(6, 0.08 * length))
    assert found.width == pytest.approx(width, abs=1.3)
    assert abs((found.direction - degrees + 90) % 180 - 90) < 3
    assert found.contrast == pytest.approx(abs(contrast), rel=0.2)
    assert found.polarity == ("bright" if contrast > 0 else "dark")
    assert (found.x, found.y) == pytest.approx((60, 70), abs=1.5)


def test_line_of_a_pixel_is_found_with_its_contrast() -> None:
    found = attributes_of(image(plate() + 30 * line(90, 50, 1)))
    assert found.width < 2.5
    assert found.contrast == pytest.approx(30, abs=6)


def test_largest_of_several_lines_is_the_main_one() -> None:
    found = attributes_of(image(plate() + 40 * line(0, 30, 3, 40, 30) - 40 * line(90, 60, 3, 90, 70)))
    assert (found.count, found.polarity) == (2, "dark")
    assert found.x == pytest.approx(90, abs=1)


def test_nothing_is_found_in_noise() -> None:
    assert not any(found_mask(image(plate(seed, deviation))).any() for seed in range(5) for deviation in (0, 2, 12))


def test_nothing_is_found_on_a_brushed_and_shaded_surface() -> None:
    for seed in range(5):
        brushed = gaussian_filter1d(plate(seed, 20), 12, axis=0) + plate(seed, 2) - 110
        assert not found_mask(image(brushed + np.linspace(-40, 40, 128))).any()


def test_scratch_across_the_brushing_is_found() -> None:
    brushed = gaussian_filter1d(plate(1, 20), 12, axis=0) + plate(1, 2) - 110
    found = attributes_of(image(brushed + 25 * line(10, 60, 3)))
    assert found.direction == pytest.approx(10, abs=4)
    assert found.length == pytest.approx(60, abs=8)


def test_an_edge_is_no_line() -> None:
    stepped = plate()
    stepped[:, 70:] += 60
    assert not found_mask(image(stepped)).any()


def test_images_of_any_size_are_asked() -> None:
    for shape in ((1, 1), (5, 200), (64, 40), (32, 32)):
        flat = np.full(shape, 90, np.uint8)
        assert found_mask(flat).shape == shape
        assert attributes_of(flat).count == 0


def test_the_same_image_gets_the_same_mask_for_good() -> None:
    """Who has asked for images by a wish gets them again: another digest needs another `MEASURE`."""
    levels = np.add.outer(np.arange(128) * 7 % 11, np.arange(128) * 5 % 13)  # whole numbers, as on any machine
    levels[30:33, 20:90] += 60
    levels[range(40, 100), range(20, 80)] -= 10
    mask = found_mask((levels + 90).astype(np.uint8))
    assert mask[31, 25:85].all()
    digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    assert (MEASURE, digest[:16]) == (1, "ff5f70244ffcc0bf")
