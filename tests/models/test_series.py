"""Photos that were taken one after the other: runs and blocks, by number and by time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.series import blocks, natural, runs, same_minute


def numbers(*ranges: range, prefix: str = "scratch_") -> list[str]:
    """Names with these numbers."""
    return [f"{prefix}{number}.png" for several in ranges for number in several]


def test_numbers_are_ordered_as_numbers_and_folder_by_folder() -> None:
    names = ["a/b10.png", "a/b9.png", "a/b9_2.png", "b1.png", "a/c/1.png", "a1.png", "²5.png"]
    ordered = sorted(names, key=natural)
    assert ordered.index("a/b9.png") < ordered.index("a/b9_2.png") < ordered.index("a/b10.png")


@pytest.mark.parametrize(("count", "sizes"), [(9, [9]), (14, [14]), (16, [8, 8]), (25, [12, 13]), (40, [10] * 4)])
def test_a_run_is_cut_into_blocks_of_about_ten(count: int, sizes: list[int]) -> None:
    assert [len(block) for block in blocks(numbers(range(count)))] == sizes


def test_a_leap_of_the_numbers_begins_another_run() -> None:
    assert list(map(len, runs(numbers(range(1, 6), range(100, 104))))) == [5, 4]


def test_a_photo_that_was_taken_out_does_not_end_a_run() -> None:
    assert len(runs(numbers(range(1, 6), range(8, 14)))) == 1


def test_a_leap_is_measured_by_the_usual_step() -> None:
    assert len(runs(numbers(range(0, 5000, 50)))) == 1


def test_another_folder_or_another_prefix_begins_another_run() -> None:
    names = [*numbers(range(5)), *numbers(range(5, 9), prefix="b/scratch_"), *numbers(range(9, 12), prefix="dent_")]
    assert sorted(map(len, runs(names))) == [3, 4, 5]


def test_names_without_a_number_are_one_run_by_name() -> None:
    assert runs(["c.png", "a.png", "b.png"]) == [["a.png", "b.png", "c.png"]]


def test_series_that_count_on_together_are_one() -> None:
    tile, other = ([f"exp{light}_num_{start + 15 * light}.png" for light in range(1, 7)] for start in (0, 5000))
    assert runs([*tile, *other]) == [tile, other]


def test_series_that_count_for_themselves_stay_apart() -> None:
    assert len(runs([f"part{part}_{number}.png" for part in (1, 2) for number in range(5)])) == 2


def test_days_are_no_series_that_count_on_together() -> None:
    assert len(runs(["20241122_101010.png", "20241122_101020.png", "20241123_101015.png"])) == 2


def test_numbers_of_any_length_are_read() -> None:
    assert len(runs([f"{10**30 + number}.png" for number in range(20)])) == 1


# By time


def times(*seconds: float, prefix: str = "a/") -> dict[str, float]:
    return {f"{prefix}{number:03d}.png": second for number, second in enumerate(seconds)}


def test_photos_of_all_folders_that_tell_their_time_are_one_series() -> None:
    taken = {"a/1.png": 0.0, "b/9.png": 5.0, "a/2.png": 10.0, "b/8.png": 15.0}
    assert runs(taken, taken) == [["a/1.png", "b/9.png", "a/2.png", "b/8.png"]]


def test_a_pause_begins_another_run_but_not_within_a_minute() -> None:
    short, long = times(0, 1, 2, 40, 41), times(0, 1, 2, 120, 121)
    assert list(map(len, runs(short, short))) == [5]
    assert list(map(len, runs(long, long))) == [3, 2]


def test_photos_without_a_time_go_by_their_numbers_beside_those_with_one() -> None:
    taken = times(0, 10, 20)
    assert runs([*taken, *numbers(range(4))], taken) == [numbers(range(4)), sorted(taken)]


@pytest.mark.parametrize("step", [1, 7, 13, 30, 61])
def test_no_block_ends_within_a_minute(step: int) -> None:
    taken = times(*(number * step for number in range(100)))
    for one, other in itertools.pairwise(blocks(taken, times=taken)):
        assert taken[one[-1]] // 60 < taken[other[0]] // 60


def test_a_block_ends_where_the_pause_is_longest() -> None:
    starts = np.cumsum([0, 400, 300, 500])
    taken = times(*(start + 61 * number / 10 for start in starts for number in range(9)))
    assert list(map(len, blocks(taken, times=taken))) == [9, 9, 9, 9]


def test_a_block_of_numbers_ends_at_a_leap_near_its_end() -> None:
    names = numbers(range(0, 12), range(16, 25))
    assert len(runs(names)) == 1
    assert list(map(len, blocks(names))) == [12, 9]


def test_photos_of_one_minute_are_a_group_whatever_their_folders() -> None:
    taken = {"a/1.png": 59.0, "b/1.png": 60.0, "a/2.png": 119.5, "a/3.png": 120.0}
    assert same_minute(taken) == [["b/1.png", "a/2.png"]]
