"""Photos to train on and photos kept back: what stays together, how many, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest

from models.series import BLOCK, natural, same_minute
from models.split import default_share, expected_leaks, leaks, split, units_of


def numbers(*ranges: range, prefix: str = "scratch_") -> list[str]:
    """Names with these numbers."""
    return [f"{prefix}{number}.png" for several in ranges for number in several]


def random_case(seed: int) -> tuple[list[str], list[list[str]], float]:
    """Names in several series with holes, groups of near-duplicates among them, and a share."""
    random = np.random.default_rng(seed)
    names = [
        f"{folder}/{number}.png"
        for folder in ("a", "b/c", "d")[: random.integers(1, 4)]
        for number in np.flatnonzero(random.random(random.integers(30, 200)) < random.uniform(0.3, 1))
    ]
    groups = [
        [str(name) for name in random.choice(names, random.integers(2, 5), replace=False)]
        for _ in range(random.integers(0, 9))
    ]
    return names, groups, float(random.uniform(0.1, 0.5))


# The rule


@pytest.mark.parametrize("seed", range(60))
def test_every_photo_is_on_one_side_and_no_group_and_no_unit_is_divided(seed: int) -> None:
    names, groups, share = random_case(seed)
    train, validation = split(names, groups, share, seed)
    assert sorted(train + validation) == sorted(names)
    together = [*groups, *units_of(names, groups, share * len(names) / 2)]
    assert [unit for unit in together if set(unit) & set(train) and set(unit) & set(validation)] == []


@pytest.mark.parametrize("seed", range(60))
def test_as_many_are_kept_back_as_is_wished_to_within_the_largest_unit(seed: int) -> None:
    names, groups, share = random_case(seed)
    largest = max(map(len, units_of(names, groups, share * len(names) / 2)))
    validation = split(names, groups, share, seed)[1]
    assert 0 < len(validation) < len(names)
    assert abs(len(validation) - share * len(names)) <= largest


@pytest.mark.parametrize("seed", range(10))
def test_the_same_photos_are_divided_alike_in_whatever_order_they_come(seed: int) -> None:
    names, groups, share = random_case(seed)
    random = np.random.default_rng(seed)
    shuffled = [names[index] for index in random.permutation(len(names))]
    others = [groups[index][::-1] for index in random.permutation(len(groups))]
    assert split(shuffled, others, share, 3) == split(names, groups, share, 3)


def test_another_seed_keeps_others_back() -> None:
    names = numbers(range(240))
    assert len({tuple(split(names, [], 0.25, seed)[1]) for seed in range(20)}) >= 4


def test_what_is_kept_back_is_spread_evenly_over_the_order() -> None:
    validation = split(numbers(range(400)), [], 0.25)[1]
    quarters = np.histogram([int(name[8:-4]) for name in validation], bins=4, range=(0, 400))[0]
    assert all(20 <= count <= 30 for count in quarters)


def test_both_sides_come_in_natural_order() -> None:
    train, validation = split(reversed(numbers(range(50))), [], 0.3)
    assert (train, validation) == (sorted(train, key=natural), sorted(validation, key=natural))


@pytest.mark.parametrize(("count", "expected"), [(30, 10), (99, 33), (180, 60), (235, 60), (240, 60), (1000, 250)])
def test_a_quarter_is_kept_back_but_sixty_where_a_third_allows_it(count: int, expected: int) -> None:
    assert round(default_share(count) * count) == expected


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        split(numbers(range(50)), [], share)


def test_photos_that_all_belong_together_cannot_be_divided() -> None:
    names = numbers(range(50))
    with pytest.raises(ValueError, match="belong together"):
        split(names, [names], 0.25)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        split(["a.png", "b.png", "a.png"], [], 0.5)


def test_a_group_of_strangers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"z\.png"):
        split(numbers(range(50)), [["z.png", "scratch_1.png"]], 0.25)


def test_two_photos_are_one_and_one() -> None:
    assert [len(side) for side in split(["a1.png", "a2.png"], [], 0.5)] == [1, 1]


def test_blocks_that_a_group_joins_stay_together() -> None:
    names = numbers(range(100))
    units = units_of(names, [[names[0], names[99]]], 50)
    assert sorted(map(len, units)) == [BLOCK] * 8 + [2 * BLOCK]


def test_blocks_give_way_where_groups_would_join_all_of_them() -> None:
    names = numbers(range(100))
    chain = [[names[index], names[index + 10]] for index in range(0, 90, 9)]
    assert max(map(len, units_of(names, chain, 100))) > 50, "blocks of ten must be joined to one unit here"
    assert max(map(len, units_of(names, chain, 12))) <= 12
    assert len(split(names, chain, 0.25)[1]) in range(15, 36)


def test_only_a_unit_that_is_too_large_is_made_of_smaller_blocks() -> None:
    names = numbers(range(100))
    chain = [[names[index], names[index + 10]] for index in range(0, 40, 9)]
    units = units_of(names, chain, 12)
    assert max(map(len, units)) <= 12
    assert [unit for unit in units if unit[0] >= "scratch_60.png" and len(unit) == BLOCK]


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_is_divided_and_what_is_told_of_pairs_is_so(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = {f"{number}.png": float(moment) for number, moment in enumerate(np.cumsum(random.exponential(25, 200)))}
    train, validation = split(times, [], 0.25, seed, times)
    minutes = same_minute(times)
    assert {times[name] // 60 for name in train}.isdisjoint(times[name] // 60 for name in validation)
    assert leaks([], minutes, [], validation).same_minute == 0
    drawn = [set(random.permutation(sorted(times))[: len(validation)].tolist()) for _ in range(300)]
    by_chance = np.mean([leaks([], minutes, [], chosen).same_minute for chosen in drawn])
    assert expected_leaks([], minutes, [], 200, len(validation)).same_minute == pytest.approx(by_chance, rel=0.1)


def test_pairs_are_counted_by_their_kind() -> None:
    names = numbers(range(10))
    found = leaks([names[:4]], [names[:3], names[8:]], [names], [names[0], names[9]])
    assert (found.near_duplicates, found.same_minute, found.neighbours) == (3, 3, 2)
