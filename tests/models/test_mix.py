"""Which class each image shows: every beginning of the sequence keeps to the mix."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.mix import MOST_PARTS, Mix, names_fault, rounded

SKEWED = (1, 1, 2, 2, 3, 3, 3, 4, 5, 6, 7, 11, 16, 20, 26, 31, 49, 385, 400, 400)
"""Twenty classes on which giving each image to the class that lacks most goes wrong."""
SHARES = [(1,), (3, 2), (1, 1, 1), (333, 333, 334), (1, 0, 9), (1, 999), tuple(range(1, 25)), SKEWED]
FIRST = {(3, 2): "0101001010", (1, 1, 1): "012012", (1, 0, 9): "2222022222", (5, 3, 1): "010100210"}
"""A contract: a run that is extended years later goes on with the same classes. Never change these labels."""


def mix_of(shares: tuple[int, ...]) -> Mix:
    return Mix(tuple(f"class {number}" for number in range(len(shares))), shares)


def prefix_counts(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How many of the first 1, 2, … images show each class: `[N, classes]`."""
    return np.cumsum(labels[:, None] == np.arange(classes), axis=0)


def within(counts: NDArray[np.int64], shares: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which counts are the floor or the ceiling of the share of the first 1, 2, … images."""
    exact = np.arange(1, len(counts) + 1)[:, None] * np.array(shares)
    parts = sum(shares)
    found: NDArray[np.bool_] = (counts == exact // parts) | (counts == -(-exact // parts))
    return found


@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_every_beginning_has_the_floor_or_the_ceiling_of_each_share(shares: tuple[int, ...]) -> None:
    counts = prefix_counts(mix_of(shares).labels(0, 2 * sum(shares) + 7), len(shares))
    assert within(counts, shares).all()


def test_that_holds_for_mixes_of_many_kinds_as_near_as_tijdeman_proves() -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        classes = int(random.integers(2, 25))
        shares = (1, *(int(share) for share in (3 * random.pareto(0.5, classes - 1)).clip(0, 500)))
        counts = prefix_counts(mix_of(shares).labels(0, sum(shares)), classes)
        present = sum(share > 0 for share in shares)
        exact = np.arange(1, len(counts) + 1)[:, None] * np.array(shares) / sum(shares)
        assert np.abs(counts - exact).max() <= max(0, 1 - 1 / max(2 * present - 2, 1)) + 1e-9, shares


def test_giving_each_image_to_the_class_that_lacks_most_does_not_keep_to_it() -> None:
    shares = np.array(SKEWED)
    counts, wrong = np.zeros(20, np.int64), 0
    for number in range(1, shares.sum() + 1):
        counts[(number * shares - shares.sum() * counts).argmax()] += 1
        exact = number * shares
        wrong += int(((counts < exact // shares.sum()) | (counts > -(-exact // shares.sum()))).any())
    assert wrong > 0, "this is no test of the rule above"


@pytest.mark.parametrize("shares", FIRST)
def test_first_labels_are_those_agreed_for_good(shares: tuple[int, ...]) -> None:
    assert "".join(map(str, mix_of(shares).labels(0, len(FIRST[shares])))) == FIRST[shares]


@pytest.mark.parametrize("start_and_stop", [(0, 1), (950, 1010), (5 * 1375 - 3, 5 * 1375 + 4), (10**12, 10**12 + 50)])
def test_any_part_is_known_without_what_comes_before_it(start_and_stop: tuple[int, int]) -> None:
    start, stop = start_and_stop
    mix = mix_of(SKEWED)
    whole = mix.labels(0, mix.parts)
    expected = whole[np.arange(start, stop) % mix.parts]
    np.testing.assert_array_equal(mix.labels(start, stop), expected)
    assert [mix.label(index) for index in range(start, stop)] == expected.tolist()


def test_labels_are_whole_numbers_of_64_bits_that_nobody_can_change_for_others() -> None:
    labels = mix_of((3, 2)).labels(0, 5)
    assert labels.dtype == np.int64
    labels[:] = 0
    assert mix_of((3, 2)).labels(0, 5).tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("count", [0, 1, 17, 1375, 4000])
def test_counts_are_those_of_the_labels(count: int) -> None:
    labels = mix_of(SKEWED).labels(0, count)
    assert list(mix_of(SKEWED).counts(count)) == np.bincount(labels, minlength=20).tolist()


@pytest.mark.parametrize("shares", [(3, 2), (1, 0, 9), (333, 333, 334), tuple(range(1, 25)), SKEWED], ids=str)
def test_counts_of_a_hundred_beginnings_are_those_of_the_labels_and_of_the_shares(shares: tuple[int, ...]) -> None:
    mix, random = mix_of(shares), np.random.default_rng(sum(shares))
    labels = mix.labels(0, 50_000)
    for count in random.integers(1, len(labels), 100).tolist():
        counts = mix.counts(count)
        assert list(counts) == np.bincount(labels[:count], minlength=len(shares)).tolist()
        assert sum(counts) == count
        for share, number in zip(shares, counts, strict=True):
            assert number in (share * count // mix.parts, -(-share * count // mix.parts))


def test_images_of_a_class_are_found_in_order() -> None:
    mix = mix_of(SKEWED)
    labels = mix.labels(0, 3 * mix.parts)
    for label in (0, 6, 19):
        expected = np.flatnonzero(labels == label)
        assert [mix.image(label, number) for number in range(len(expected))] == expected.tolist()


def test_a_mix_with_the_most_parts_is_reckoned() -> None:
    shares = (MOST_PARTS - 12, 5, 7)
    labels = mix_of(shares).labels(0, MOST_PARTS)
    assert np.bincount(labels).tolist() == list(shares)


def test_shares_lose_what_divides_them_all() -> None:
    assert Mix.of("ab", (600, 400)) == Mix(("a", "b"), (3, 2))


def test_mix_is_read_as_it_is_written() -> None:
    mix = Mix(("rolled in scale", "Kratzer", "洞"), (3, 0, 2))
    assert str(mix) == "rolled in scale=3,Kratzer=0,洞=2"
    assert Mix.parse(str(mix)) == mix


@pytest.mark.parametrize("text", ["", "a", "a=", "a=1,", "a=2", "a=2,b=4", "a=1,a=1", "a=0", "a=1, b=1", "a=01,b=1"])
def test_what_is_not_written_so_is_no_mix(text: str) -> None:
    with pytest.raises(ValueError, match=r"mix|share|class"):
        Mix.parse(text)


@pytest.mark.parametrize("shares", [(0, 0), (1,), (1, -1), (MOST_PARTS, 1)])
def test_impossible_shares_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="share"):
        Mix.of("ab", shares)


@pytest.mark.parametrize("name", ["", " a", "a,b", "a=1", "a/b", 'a"', "a\nb", "..", ".a", "a\x85", "Kratz\udce4r", 3])
def test_names_that_would_break_a_table_or_a_folder_are_refused(name: str) -> None:
    assert "no name" in names_fault(["good", name])


def test_names_must_differ() -> None:
    assert names_fault(["a", "b"]) == ""
    assert "'a'" in names_fault(["a", "b", "a"])
    assert names_fault([]) != ""


@pytest.mark.parametrize("shares", [(3 * 10**6, 1, 5 * 10**6), (10**7, 10**7, 10**7 - 1), (0, 10**9, 1, 1, 1), (5, 3)])
def test_large_shares_are_rounded_to_parts_and_none_to_nothing(shares: tuple[int, ...]) -> None:
    found = rounded(shares)
    assert sum(found) == min(MOST_PARTS, sum(shares))
    for share, part in zip(shares, found, strict=True):
        assert (part > 0) == (share > 0)
        assert abs(part - share * sum(found) / sum(shares)) < len(shares)
