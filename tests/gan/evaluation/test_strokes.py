"""Slant, softness and ripples are those that were drawn, in words where photos have them otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.evaluation.line_figures import LineFigures, compare_lines
from gan.evaluation.lines import find_lines

HEIGHT, WIDTH = 72, 88


def strokes(
    degrees: list[float], soft: float = 0.8, ripple: float = 0.0, noise: float = 4.0, seed: int = 0, tone: int = 1
) -> Tensor:
    """Grainy plates uint8 `[N, 1, 72, 88]` with a line each: its direction, deviation, and waves of 4 px beside it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = []
    for angle in np.deg2rad(degrees):
        right, down = random.uniform(0.4, 0.6, 2) * (WIDTH, HEIGHT)
        across = (x - right) * np.sin(angle) + (y - down) * np.cos(angle)
        line = np.exp(-(across**2) / (2 * soft**2))
        waves = np.cos(np.pi * across / 2) * np.exp(-np.abs(across) / 12) * (np.abs(across) > 3)
        image = 120 + random.normal(0, noise, (HEIGHT, WIDTH)) + tone * 60 * (line + ripple * waves)
        images.append(image.round().clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(images))[:, None]


def slanted(count: int, seed: int, least: float = 0.0, most: float = 6.0) -> list[float]:
    random = np.random.default_rng(seed)
    return list(90 + random.choice([-1, 1], count) * random.uniform(least, most, count))


def judged(images: Tensor, photos: Tensor) -> LineFigures:
    return compare_lines(images, photos, (photos, photos))


@pytest.mark.parametrize("degrees", [0, 1.2, 3.5, 7, 30, 88, 91, 93.5, 135, 172])
@pytest.mark.parametrize("tone", [1, -1])
def test_slant_is_to_the_nearest_of_rows_and_columns(degrees: float, tone: int) -> None:
    found = float(find_lines(strokes([degrees], tone=tone)).slant)
    assert found == pytest.approx(min(degrees % 90, 90 - degrees % 90), abs=0.35)


def test_edges_are_as_soft_as_drawn() -> None:
    edges = [float(find_lines(strokes(slanted(8, 1), soft=soft)).edge.median()) for soft in (0.6, 1.0, 1.5, 2.5)]
    assert edges == sorted(edges)
    assert edges[1] > 1.15 * edges[0]
    # the steepest slope of a Gaussian of deviation s is exp(-1/2) / s
    assert edges[3] == pytest.approx(2.5 * np.exp(0.5), rel=0.15)


def test_a_broad_line_with_hard_edges_is_not_soft() -> None:
    plates = strokes([90] * 4, soft=0.01)
    plates[..., 40:48] = 200
    assert float(find_lines(plates).edge.max()) < 2  # a line of this width with the softest edges has 6.6


def test_lines_all_along_the_pixels_are_named_where_those_of_photos_lean() -> None:
    photos = strokes(slanted(32, 2) + [90.0] * 8)
    figures = judged(strokes([90.0] * 32 + slanted(4, 3), seed=4), photos)
    (told,) = (words for words in figures.apart if "rows or columns" in words)  # of the slant one sentence is enough
    assert told.startswith("too many lines exactly along the pixels' rows or columns: photos ")
    assert figures.shares["lines exactly along the pixels' rows or columns"] > 0.85


def test_slanted_lines_are_named_where_those_of_photos_run_along_the_pixels() -> None:
    figures = judged(strokes([93.0] * 20, seed=5), strokes([90.0] * 20))
    assert figures.missing == ("lines exactly along the pixels' rows or columns: photos 100 %, images 0 %",)


def test_soft_strokes_are_named_and_hard_ones_are_not() -> None:
    photos = strokes(slanted(40, 6))
    soft = judged(strokes(slanted(40, 7), soft=1.4, seed=8), photos)
    assert any(told.startswith("softer edges: photos 1.") for told in soft.apart)
    assert judged(strokes(slanted(40, 9), seed=10), photos).apart == ()


def test_less_grain_is_less_fine_detail() -> None:
    figures = judged(strokes(slanted(40, 7), noise=2.5, seed=8), strokes(slanted(40, 6)))
    assert any(told.startswith("less fine detail: ") for told in figures.apart)


@pytest.mark.parametrize("tone", [1, -1])
def test_ripples_beside_lines_are_named_with_their_period(tone: int) -> None:
    photos = strokes(slanted(40, 11), tone=tone)
    figures = judged(strokes(slanted(40, 12), ripple=0.12, seed=13, tone=tone), photos)
    assert [told for told in figures.apart if told.startswith("ripples beside lines, one every 4 px: ")]
    assert figures.ripples["4 px"] > 3
    assert figures.ripples_floor["4 px"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_photos_beside_photos_are_told_nothing(seed: int) -> None:
    some, others = (strokes(slanted(40, 20 + seed + at), seed=30 + seed + at) for at in (0, 10))
    figures = judged(some, others)
    assert (figures.missing, figures.apart) == ((), ())


def test_images_hardly_larger_than_a_line_are_measured_too() -> None:
    even = torch.full((12, 1, 32, 40), 90, dtype=torch.uint8)
    figures = judged(even, even)
    assert (figures.missing, figures.apart) == ((), ())
    assert all(np.isfinite(list(figures.shifts.values())))
