"""Windows that hold part of a defect, and those that hold none of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gan.photos.spots import Windows, spots

SIZE = (32, 48)
"""Width and height."""


def mask_of(*places: tuple[int, int, int, int], height: int = 150, width: int = 100) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    for top, left, down, across in places:
        mask[top : top + down, left : left + across] = 255
    return mask


def drawn(mask: NDArray[np.uint8], count: int = 2000) -> list[tuple[int, int]]:
    windows, random = Windows(mask, SIZE), np.random.default_rng(0)
    return [windows.draw(random) for _ in range(count)]


def held(mask: NDArray[np.uint8], top: int, left: int) -> NDArray[np.uint8]:
    window = mask[top : top + SIZE[1], left : left + SIZE[0]]
    assert window.shape == SIZE[::-1]
    return window


@pytest.mark.parametrize(
    "places",
    [[(70, 50, 1, 1)], [(0, 0, 1, 1)], [(149, 99, 1, 1)], [(0, 0, 150, 3), (80, 90, 2, 2)], [(10, 10, 120, 80)]],
    ids=str,
)
def test_every_window_of_a_photo_with_a_defect_holds_some_of_it(places: list[tuple[int, int, int, int]]) -> None:
    mask = mask_of(*places)
    assert all(held(mask, *place).any() for place in drawn(mask, 500))


def test_a_defect_comes_at_all_places_of_the_window_but_its_rim() -> None:
    mask = mask_of((70, 50, 1, 1))
    places = {(70 - top, 50 - left) for top, left in drawn(mask, 20_000)}
    rows, columns = ({place[axis] for place in places} for axis in (0, 1))
    assert rows == set(range(3, 45))
    assert columns == set(range(2, 30))
    assert len(places) > 0.99 * len(rows) * len(columns)


def test_small_spots_are_drawn_as_often_as_large_ones() -> None:
    mask = mask_of((5, 5, 60, 60), (140, 90, 1, 1))
    small = sum(bool(held(mask, *place)[-20:].any() and place[0] > 80) for place in drawn(mask))
    assert 0.45 < small / 2000 < 0.55
    assert spots(mask).max() == 2
    assert spots(mask_of((5, 5, 1, 1), (6, 6, 1, 1))).max() == 1


def test_without_a_defect_all_windows_are_drawn() -> None:
    places = drawn(mask_of(height=51, width=35), 1000)
    assert {top for top, _ in places} == set(range(4))
    assert {left for _, left in places} == set(range(4))


def test_clear_windows_hold_nothing_of_a_defect_and_lie_in_all_the_room_that_it_leaves() -> None:
    mask = mask_of((60, 40, 30, 60))
    windows, random = Windows(mask, SIZE), np.random.default_rng(0)
    places = [windows.draw_clear(random) for _ in range(3000)]
    assert not any(held(mask, *place).any() for place in places)
    rows, columns = ([place[axis] for place in places] for axis in (0, 1))
    assert (min(rows), max(rows), min(columns), max(columns)) == (0, 150 - 48, 0, 100 - 32)
    assert windows.has_clear
    assert not Windows(mask_of((40, 20, 70, 60)), SIZE).has_clear


def test_the_same_random_numbers_give_the_same_windows_of_an_array_or_a_tensor() -> None:
    mask = mask_of((30, 20, 9, 9), (100, 70, 3, 3))
    tensor = torch.from_numpy(mask)
    for seed in range(20):
        one, other = (np.random.default_rng(seed) for _ in range(2))
        assert Windows(mask, SIZE).draw(one) == Windows(tensor[None], SIZE).draw(other)


def test_a_mask_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="a mask of 20×40 holds no window of 32×48"):
        Windows(mask_of(height=40, width=20), SIZE)
