"""Which kinds of defects are missing among photos, and the wishes for them."""

from __future__ import annotations

import math

from gan.evaluation.gaps import Axis, Gap, gaps, grids
from models.attributes import Attributes

LENGTH, DIRECTION = Axis("length", (16, 32)), Axis("direction", (45, 90, 135), around=True)


def found(
    count: int = 1, length: float = 10, direction: float = 10, polarity: str = "dark", contrast: float = 10
) -> Attributes:
    return Attributes(count, 40, length, 3, direction, contrast, polarity, 64, 64)


NONE = Attributes(0, math.nan, math.nan, math.nan, math.nan, math.nan, "", math.nan, math.nan)


def wishes(of: list[Gap]) -> list[str]:
    return [gap.wish for gap in of]


def test_bin_with_few_photos_beside_a_full_one_is_a_gap() -> None:
    photos = [found(length=10)] * 8 + [found(length=20)] * 4 + [NONE] * 50
    (gap,) = gaps((LENGTH,), photos, None)
    assert (gap.wish, gap.photos, gap.of, gap.synthetic) == ("length>=16 and length<32", 4, 12, None)
    folder = "synthetic/length-from-16-length-to-32"
    assert gap.command == f"gan-batch --want 'length>=16 and length<32' --count 500 --out {folder}"
    assert gap.neighbours == (0, 1, 2, 3)


def test_commands_of_all_gaps_can_be_run_one_after_the_other() -> None:
    """Wishes of one day would else meet in one folder, which the second may not have."""
    axes = [axis for grid in grids(128, 128) for axis in grid]
    commands = [Gap(axis.wish(at), 0, 0, None, ()).command for axis in axes for at in range(axis.count)]
    assert len({command.rpartition(" --out ")[2] for command in commands}) == len(commands) == 24
    assert not any(set("<>='") & set(command.rpartition(" --out ")[2]) for command in commands)


def test_bin_that_is_beside_no_full_one_is_none() -> None:
    assert wishes(gaps((LENGTH,), [found(length=10)] * 8, None)) == ["length>=16 and length<32"]
    assert gaps((LENGTH,), [found(length=10)] * 4, None) == []


def test_enough_is_a_quarter_of_an_equal_share_of_many_photos() -> None:
    photos = [found(length=10)] * 500 + [found(length=20)] * 30 + [found(length=50)] * 90
    assert wishes(gaps((LENGTH,), photos, None)) == ["length>=16 and length<32"]


def test_directions_go_around() -> None:
    photos = [found(direction=10)] * 20
    assert set(wishes(gaps((DIRECTION,), photos, None))) == {"direction>=45 and direction<90", "direction>=135"}


def test_edges_belong_to_the_bin_that_they_begin() -> None:
    assert LENGTH.bins([found(length=15.9), found(length=16), found(length=32), NONE]).tolist() == [0, 1, 2, -1]


def test_words_and_two_attributes_are_asked() -> None:
    photos = [found(polarity="bright")] * 10
    assert wishes(gaps((Axis("polarity"),), photos, None)) == ["polarity=dark"]
    both = gaps((LENGTH, Axis("contrast", (8,))), photos, [found(length=20, contrast=5)] * 3)
    assert set(wishes(both)) == {
        "length<16 and contrast<8",
        "length>=16 and length<32 and contrast<8",
        "length>=16 and length<32 and contrast>=8",
    }
    assert {gap.wish: gap.synthetic for gap in both}["length>=16 and length<32 and contrast<8"] == 3


def test_neighbours_are_of_all_bins_beside_in_turn() -> None:
    photos = [found(length=10)] * 6 + [found(length=50)] * 6
    (gap,) = gaps((LENGTH,), photos, None)
    assert gap.neighbours == (0, 6, 1, 7)


def test_lengths_and_places_are_asked_in_parts_of_the_image() -> None:
    axes = {axis.name: axis.edges for grid in grids(320, 128) for axis in grid}
    assert axes["length"] == (16, 32, 64)
    assert (axes["x"], axes["y"]) == ((107, 213), (43, 85))
