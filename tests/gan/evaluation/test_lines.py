"""Lines are measured as they were drawn, and a kind that is missing is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.evaluation.line_figures import compare_lines
from gan.evaluation.lines import Lines, find_lines

SIDE = 96


def plate(*drawn: tuple[float, float, float, float, float, float], channels: int = 1, seed: int = 0) -> Tensor:
    """A grainy plate uint8 `[1, C, 96, 96]` with lines of direction, deviation, contrast, length, and centre x, y."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = 110 + np.random.default_rng(seed).normal(0, 4, (SIDE, SIDE))
    for degrees, deviation, contrast, length, right, down in drawn:
        angle = np.deg2rad(degrees)
        along = (x - right) * np.cos(angle) - (y - down) * np.sin(angle)
        across = (x - right) * np.sin(angle) + (y - down) * np.cos(angle)
        image += contrast * np.exp(-(across**2) / (2 * deviation**2)) * (np.abs(along) < length / 2)
    return torch.from_numpy(image.clip(0, 255).astype(np.uint8))[None, None].repeat(1, channels, 1, 1)


def found(images: Tensor) -> Lines:
    lines = find_lines(images)
    assert len(lines.count) == len(images)
    return lines


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_direction_is_anticlockwise_from_horizontal(degrees: int) -> None:
    assert found(plate((degrees, 1.5, 50, 70, 48, 48))).direction.tolist() == [degrees]


@pytest.mark.parametrize("contrast", [40, -40])
@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_tone_and_contrast_are_the_lines_own(degrees: int, contrast: int) -> None:
    lines = found(plate((degrees, 1, contrast, 70, 48, 48), channels=3))
    assert lines.bright.tolist() == [contrast > 0]
    assert float(lines.contrast) == pytest.approx(40, rel=0.15)


@pytest.mark.parametrize("length", [30, 60, 90])
@pytest.mark.parametrize("degrees", [0, 40, 90, 130])
def test_length_is_to_where_the_line_ends(degrees: int, length: int) -> None:
    assert float(found(plate((degrees, 1, 60, length, 48, 48))).length) == pytest.approx(length, abs=9)


def test_a_line_beyond_the_border_ends_at_it() -> None:
    assert float(found(plate((90, 1, 60, 500, 20, 48))).length) == pytest.approx(SIDE, abs=5)


@pytest.mark.parametrize("deviation", [1, 2, 4])
def test_width_is_twice_the_deviation_of_the_nearest_filter(deviation: int) -> None:
    assert found(plate((90, deviation, 60, 90, 48, 48))).width.tolist() == [2 * deviation]


def test_lines_are_counted_and_what_belongs_to_a_line_is_not() -> None:
    one, other, across = (90, 1, 60, 90, 24, 48), (90, 1, 50, 90, 70, 48), (0, 1, 55, 90, 48, 70)
    faint = (0, 1, 20, 90, 48, 20)
    images = torch.cat([plate(one), plate(one, other), plate(one, other, across), plate(one, faint)])
    assert found(images).count.tolist() == [1, 2, 3, 1]


def many(directions: list[int], contrast: float = 50, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    return torch.cat([plate((d, 1, contrast, 80, *random.uniform(30, 66, 2)), seed=seed + d) for d in directions])


def test_a_direction_that_the_images_lack_is_named() -> None:
    photos, images = many([0, 90] * 15), many([90] * 58 + [0] * 2, seed=1)
    figures = compare_lines(images, photos, (photos[:15], photos[15:]))
    assert figures.missing == ("horizontal lines: photos 50 %, images 3 %",)
    assert figures.distances["direction"] == pytest.approx(0.47, abs=0.01)
    assert figures.shares["vertical lines"] == pytest.approx(58 / 60)


def test_a_tone_that_the_images_lack_is_named() -> None:
    photos = torch.cat([many([90] * 20), many([90] * 20, -50)])
    assert (
        "dark lines: photos 50 %, images 0 %"
        in compare_lines(many([90] * 40, seed=1), photos, (photos, photos)).missing
    )


def test_images_like_the_photos_miss_nothing_and_are_as_far_as_photos_are() -> None:
    photos, images = many([0, 90, 45] * 10), many([0, 90, 45] * 12, seed=1)
    figures = compare_lines(images, photos, (photos[:15], photos[15:]))
    assert not figures.missing
    assert figures.distances["direction"] == pytest.approx(0, abs=0.01)
    assert figures.distances["contrast"] < 1


def test_a_share_that_chance_explains_is_not_missing() -> None:
    photos, images = many([0] + [90] * 9), many([90] * 12, seed=1)
    assert compare_lines(images, photos, (photos[:5], photos[5:])).missing == ()


def test_fainter_lines_are_farther_away() -> None:
    photos = many([90] * 20)
    near, far = (compare_lines(many([90] * 20, contrast, 1), photos, (photos, photos)) for contrast in (48, 20))
    assert far.distances["contrast"] > 2 * near.distances["contrast"]
    assert far.medians["contrast"] == pytest.approx(20, abs=4)
    assert far.medians_real["contrast"] == pytest.approx(50, abs=6)
    assert near.distances_floor["contrast"] == 0


def test_plates_without_lines_are_measured_too() -> None:
    even = torch.full((20, 1, 64, 64), 90, dtype=torch.uint8)
    assert compare_lines(even, even, (even, even)).distances["contrast"] == 0
