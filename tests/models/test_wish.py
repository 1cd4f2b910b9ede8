"""Wishes: how they are written, what they accept, what cannot be, and what comes nearest."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest

from models.attributes import NUMBERS, WORDS, Attributes, attributes_of
from models.wish import Wish, is_far, nearest, shares

SCRATCH = Attributes(
    count=2, area=40.0, length=18.5, width=2.2, direction=88.0, contrast=6.5, polarity="dark", x=10.0, y=20.0
)
CLEAN = attributes_of(np.full((16, 16), 100, np.uint8), np.zeros((16, 16), bool))


def like(**values: Any) -> Attributes:
    return dataclasses.replace(SCRATCH, **values)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("length<20 and contrast<8", "length<20 and contrast<8"),
        ("  contrast < 8.0  and\tlength<20.50 ", "length<20.5 and contrast<8"),
        ("length<20 and length<20.0", "length<20"),
        ("defect!=any", "defect=none"),
        ("polarity!=bright and count>=02", "count>=2 and polarity=dark"),
        ("length>.000001", "length>0.000001"),
        ("x!=-0", "x!=0"),
    ],
)
def test_equal_wishes_have_one_text_which_reads_as_the_same(text: str, canonical: str) -> None:
    wish = Wish.parse(text)
    assert str(wish) == canonical
    assert Wish.parse(canonical) == wish


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_can_be_asked_for(name: str) -> None:
    value = getattr(SCRATCH, name)
    assert Wish.parse(f"{name}={value}").accepts(SCRATCH)
    assert Wish.parse(f"{name}<={value} and {name}>={value}").accepts(SCRATCH)
    assert not Wish.parse(f"{name}!={value}").accepts(SCRATCH)
    assert not Wish.parse(f"{name}<{value}").accepts(SCRATCH)
    assert not Wish.parse(f"{name}>{value}").accepts(SCRATCH)
    assert Wish.parse(f"{name}<{value + 0.5} and {name}>{value - 0.5:.1f}").accepts(SCRATCH)


def test_words_are_asked_for_by_equality() -> None:
    for attributes, defect, polarity in ((SCRATCH, "any", "dark"), (CLEAN, "none", "")):
        assert [word for word in WORDS["defect"] if Wish.parse(f"defect={word}").accepts(attributes)] == [defect]
        found = [word for word in WORDS["polarity"] if Wish.parse(f"polarity={word}").accepts(attributes)]
        assert "".join(found) == polarity


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "count"])
@pytest.mark.parametrize("sign", ["<", ">", "!=", "<=", ">="])
def test_image_without_a_defect_meets_nothing_that_is_said_of_one(name: str, sign: str) -> None:
    assert not Wish.parse(f"{name}{sign}100").accepts(CLEAN)


def test_defect_without_a_direction_has_none_that_is_asked_for() -> None:
    assert not Wish.parse("direction!=90").accepts(like(direction=math.nan))


def test_all_conditions_count() -> None:
    wish = Wish.parse("length<20 and contrast<8 and polarity=dark")
    assert wish.accepts(SCRATCH)
    assert not any(wish.accepts(other) for other in (like(length=20.0), like(contrast=8.0), like(polarity="bright")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lenght<20", "'lenght', did you mean length?; there are count, area, length"),
        ("Length<20", "did you mean length?"),
        ("defect=non", "defect is never 'non', did you mean none?; it is none or any"),
        ("length", "'length' is no condition: write 'length<20 and contrast<8', in quotes"),
        ("", "'' is no condition"),
        ("length<20px", "'20px' in 'length<20px' is no number"),
        ("length<20 or contrast<8", "is no number"),
        ("length=<20", "'=<' in 'length=<20' is none of < <= > >= = !="),
        ("defect<3", "write defect=none or defect=any"),
        ("length<nan", "'nan' in 'length<nan' is no number"),
    ],
)
def test_what_is_no_wish_is_told_in_one_line_that_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        Wish.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "length<0", "length<=0", "contrast<0", "contrast>255", "direction>=180", "area<1", "count=1.5", "x<-1",
        "length<5 and length>5", "length<5 and length=5", "length=5 and length!=5", "count<2 and count!=0 and count!=1",
        "count>1 and count<2", "area>3.2 and area<3.8", "polarity=bright and polarity=dark",
        "defect=none and count>0", "count=0 and defect=any", "count<1 and length<20", "defect=none and polarity=dark",
        "defect=none and length!=5",
    ],
)  # fmt: skip
def test_what_no_image_can_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no image has|an image without a defect"):
        Wish.parse(text)


@pytest.mark.parametrize(
    "text",
    ["length<=5 and length>=5", "contrast<=255", "count<2 and count!=0", "count=0 and defect=none", "area<=1", "x=0"],
)
def test_what_some_image_can_be_is_not_refused(text: str) -> None:
    Wish.parse(text)


def test_wish_for_clean_surfaces_is_known_as_one() -> None:
    assert Wish.parse("defect=none").is_of_clean
    assert Wish.parse("count<1").is_of_clean
    assert not Wish.parse("count<2").is_of_clean
    assert not Wish.parse("length<20").is_of_clean


def test_nearest_is_the_image_that_misses_one_condition_by_least() -> None:
    seen = [like(length=12.0, contrast=30.0), like(length=19.0, contrast=11.3), like(length=90.0, contrast=2.0), CLEAN]
    assert nearest(Wish.parse("length<20 and contrast<8"), seen) == "the nearest has contrast 11.3 where length<20"
    assert nearest(Wish.parse("contrast<1.5"), seen) == "the nearest has contrast 2"
    assert nearest(Wish.parse("polarity=bright"), seen) == "the nearest has polarity dark"


def test_where_every_image_misses_two_conditions_each_is_told_of() -> None:
    seen = [like(length=50.0, contrast=30.0), like(length=60.0, contrast=20.0)]
    said = nearest(Wish.parse("length<20 and contrast<8"), seen)
    assert said == "none meets length<20, the nearest has length 50; none meets contrast<8, the nearest has contrast 20"
    assert shares(Wish.parse("length<55 and contrast<8"), seen).startswith("50.00% meet length<55; none meets")


def test_far_is_what_lies_farther_off_than_all_that_was_seen_spreads() -> None:
    seen = [like(length=50.0), like(length=80.0), CLEAN]
    assert is_far(Wish.parse("length<19"), seen)
    assert not is_far(Wish.parse("length<21"), seen)
    assert not is_far(Wish.parse("length<60"), seen)
    assert not is_far(Wish.parse("polarity=bright"), seen)
