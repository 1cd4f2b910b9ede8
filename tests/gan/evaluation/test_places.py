"""A grid of places and a common grain are found, and are not found where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.evaluation.places import (
    at_few_places,
    echoes_itself,
    faults,
    loudest_echo,
    on_a_grid,
    places,
    shares_grain,
    worst_grid,
)

COUNT = 200


def plates(
    at: list[int], axis: int = 1, common: float = 0.0, channels: int = 1, seed: int = 0, line: int = 70
) -> Tensor:
    """Grainy plates with one line each, at the given places: uint8 `[N, C, 64, 64]`."""
    random = np.random.default_rng(seed)
    shared = random.normal(0, 6, (64, 64))
    images = []
    for place in at:
        own = random.normal(0, 6, (64, 64))
        plate = 120 + (1 - common) ** 0.5 * own + common**0.5 * shared
        (plate if axis == 1 else plate.T)[:, place] += line
        images.append(plate.clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(images))[:, None].repeat(1, channels, 1, 1)


def anywhere(count: int = COUNT, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(16, 48, count).tolist()


def on(period: int, count: int = COUNT) -> list[int]:
    """Places of a grid, a pixel or two beside it."""
    random = np.random.default_rng(2)
    near = [place for place in range(16, 48) if place % period < 2]
    return [near[index] for index in random.integers(0, len(near), count)]


@pytest.mark.parametrize("axis", [1, 0])
@pytest.mark.parametrize("period", [8, 16, 32])
def test_lines_on_a_grid_are_found_with_its_period_and_axis(period: int, axis: int) -> None:
    found, photos = places(plates(on(period), axis)), places(plates(anywhere(seed=3), axis))
    assert on_a_grid(found, photos)
    grid = worst_grid(found, photos)
    assert found.grids[grid] > 0.8
    named, number, _ = grid.replace(",", "").split()
    assert named == ("columns" if axis == 1 else "rows")
    assert period % int(number) == 0


@pytest.mark.parametrize("seed", range(5))
def test_lines_at_any_place_are_on_no_grid(seed: int) -> None:
    found, photos = places(plates(anywhere(seed=seed))), places(plates(anywhere(seed=seed + 10)))
    assert not on_a_grid(found, photos)
    assert all(length < found.chances[grid] for grid, length in found.grids.items())


def test_a_grid_that_the_photos_have_as_well_is_no_fault() -> None:
    found, photos = places(plates(on(16))), places(plates([16] * COUNT, seed=4))
    assert found.grids["columns, 16 px"] > found.chances["columns, 16 px"]
    assert not on_a_grid(found, photos)


def test_halves_of_photos_that_stand_on_a_grid_are_equally_so() -> None:
    """Each has more of it than the other half the time, which is no fault."""
    near = [place + number % 6 for number, place in enumerate(on(16))]
    photos = plates(near, seed=4)
    for seed in range(20):
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed))
        one, other = places(photos[order[:50]]), places(photos[order[50:]])
        assert other.grids["columns, 16 px"] > other.chances["columns, 16 px"]
        assert not on_a_grid(other, one)


def test_upright_lines_tell_nothing_of_rows() -> None:
    upright = plates(anywhere())
    upright[:, :, 16] = (upright[:, :, 16].int() + 12).clamp(0, 255).byte()  # the sharpest row of all
    found = places(upright)
    assert found.grids["rows, 32 px"] == 0.0
    assert at_few_places(found, places(plates(anywhere(seed=3), seed=3))) == "rows"


def test_commonest_counts_the_images_of_three_columns() -> None:
    assert places(plates([20] * 60 + [30] * 40 + [40] * 50 + list(range(8, 58)))).commonest == pytest.approx(
        0.76, abs=0.06
    )
    assert places(plates(anywhere(1000))).commonest < 0.15


@pytest.mark.parametrize("axis", [1, 0])
def test_lines_at_five_places_of_no_grid_are_at_few(axis: int) -> None:
    few = [(9, 20, 31, 42, 53)[number % 5] for number in range(COUNT)]
    found, photos = places(plates(few, axis)), places(plates(anywhere(40, seed=3), axis, seed=7))
    assert at_few_places(found, photos) == ("columns" if axis == 1 else "rows")
    assert found.same[at_few_places(found, photos)] == pytest.approx(0.2, abs=0.02)
    assert any(fault.startswith("places: ") for fault in faults(found, photos))


@pytest.mark.parametrize("count", [20, 60, 300])
def test_how_many_images_there_are_makes_no_few_places(count: int) -> None:
    found, photos = places(plates(anywhere(count, 8), seed=8)), places(plates(anywhere(100, 9), seed=9))
    assert at_few_places(found, photos) == ""
    assert found.same["columns"] == pytest.approx(1 / 32, abs=0.02)


@pytest.mark.parametrize("common", [0.0, 0.05, 0.34, 1.0])
def test_common_grain_is_the_share_that_is_in_all_images(common: float) -> None:
    found = places(plates(anywhere(), common=common, line=0))
    photos = places(plates(anywhere(seed=5), seed=6, line=0))
    assert found.common_grain == pytest.approx(common, rel=0.25, abs=0.004)
    assert shares_grain(found, photos) == (common > 0)


def test_colour_is_measured_by_its_gray_and_parts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = places(plates(on(8)))
    assert places(plates(on(8), channels=3)) == whole
    monkeypatch.setattr("gan.evaluation.places._BLOCK", 7)
    again = places(plates(on(8)))
    assert again.grids == whole.grids
    assert again.common_grain == pytest.approx(whole.common_grain, abs=1e-5)


def test_plates_without_grain_are_measured_too() -> None:
    assert places(torch.full((20, 1, 64, 64), 90, dtype=torch.uint8)).common_grain <= 0


def pairs(distance: int | None, count: int = COUNT, seed: int = 1) -> Tensor:
    """Plates with two lines: at one distance, or at any."""
    random = np.random.default_rng(seed)
    images = plates([8] * count, line=0, seed=seed)[:, 0].numpy().astype(int)
    for image in images:
        first = random.integers(4, 24)
        image[:, first] += 70
        image[:, first + (distance or random.integers(4, 36))] += 70
    return torch.from_numpy(images.clip(0, 255).astype(np.uint8))[:, None]


@pytest.mark.parametrize("distance", [8, 16, 32])
def test_pairs_of_lines_at_one_distance_are_heard(distance: int) -> None:
    found, photos = places(pairs(distance)), places(pairs(None, seed=2))
    assert echoes_itself(found, photos)
    assert loudest_echo(found, photos) == f"columns, {distance} px"


@pytest.mark.parametrize("seed", range(3))
def test_pairs_at_any_distance_are_no_echo(seed: int) -> None:
    assert not echoes_itself(places(pairs(None, seed=seed)), places(pairs(None, seed=seed + 10)))
