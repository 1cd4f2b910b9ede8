"""How sizes are told, and sizes in the same proportions."""

from __future__ import annotations

import pytest

from gan.sizes import SIDES, proportioned, sides, told


@pytest.mark.parametrize(
    ("size", "expected"),
    [(128, (128, 128)), ("128", (128, 128)), ("320x128", (320, 128)), ("320X128", (320, 128)), ("32×64", (32, 64))],
)
def test_a_size_is_a_side_or_width_and_height(size: int | str, expected: tuple[int, int]) -> None:
    assert sides(size) == sides(told(*expected)) == expected


@pytest.mark.parametrize("size", [-1, 1.5, "", "x", "32x", "x32", "-32x32", "32x32x32", "32 x 32", "large", "1" * 5000])
def test_what_is_no_size_is_refused_with_what_would_be(size: int | str) -> None:
    with pytest.raises(ValueError, match=r"128, nor width x height, such as 320x128"):
        sides(size)


def test_a_square_is_told_by_its_side() -> None:
    assert (told(64, 64), told(96, 64)) == (64, "96x64")


@pytest.mark.parametrize("to", [16, 64, 260])
def test_a_square_stays_a_square_of_the_very_side(to: int) -> None:
    assert {proportioned(side, side, to) for side in [*SIDES, 100]} == {(to, to)}


def test_proportions_and_the_number_of_pixels_stay() -> None:
    assert proportioned(100, 400, 100) == (50, 200)
    assert proportioned(128, 320, 64, 16) == (48, 96)
    assert proportioned(1024, 32, 64, 16) == (368, 16)
