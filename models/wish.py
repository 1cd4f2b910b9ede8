"""What somebody wants of the images of a run: `length<20 and contrast<8`, by what `models.attributes` measures."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.attributes import NUMBERS, WORDS, Attributes
from models.errors import did_you_mean

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_NAMES = (*NUMBERS, *WORDS)
_WHOLE = {"count", "area"}
_LEAST = {"area": 1.0, "length": math.ulp(0), "width": math.ulp(0)}
"""Of a defect; of all else 0."""
_MOST = {"contrast": 255.0, "direction": math.nextafter(180, 0)}
_CONDITION = re.compile(r"\s*(\w+)\s*([<>=!]+)\s*(.*?)\s*", re.DOTALL)
_VALUE = re.compile(r"[+-]?(?:\d{1,9}(?:\.\d{0,6})?|\.\d{1,6})")
_EXAMPLE = "'length<20 and contrast<8'"


@dataclass(frozen=True)
class Condition:
    """One of those that a wish consists of.

    Attributes:
        name: one of `NUMBERS` or `WORDS`.
        sign: one of < <= > >= = !=; of words always =.
        value: a number, or a word.
    """

    name: str
    sign: str
    value: float | str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """See `Wish.parse`."""
        match = _CONDITION.fullmatch(text)
        if not match:
            raise ValueError(
                f"{text.strip()!r} is no condition: write {_EXAMPLE}, in quotes, since the shell has its own < and >"
            )
        name, sign, said = match.groups()
        if name not in _NAMES:
            raise ValueError(
                f"nothing is measured that is called {name!r}{did_you_mean(name, _NAMES)}; there are "
                f"{', '.join(_NAMES)}"
            )
        if sign not in _SIGNS:
            raise ValueError(f"{sign!r} in {text.strip()!r} is none of {' '.join(_SIGNS)}")
        if name in WORDS:
            return cls._of_word(name, sign, said)
        if not _VALUE.fullmatch(said):
            raise ValueError(f"{said!r} in {text.strip()!r} is no number, such as 20 or 7.5")
        return cls(name, sign, float(said) + 0.0)  # no -0

    @classmethod
    def _of_word(cls, name: str, sign: str, said: str) -> Condition:
        words = WORDS[name]
        if sign not in ("=", "!="):
            raise ValueError(f"{name} is told in words: write {' or '.join(f'{name}={word}' for word in words)}")
        if said not in words:
            raise ValueError(f"{name} is never {said!r}{did_you_mean(said, words)}; it is {' or '.join(words)}")
        return cls(name, "=", said if sign == "=" else words[1 - words.index(said)])

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{Decimal(repr(self.value)).normalize():f}"
        return f"{self.name}{self.sign}{value}"

    @property
    def rank(self) -> tuple[int, str, float, str]:
        """By which conditions are in order."""
        value = self.value
        return _NAMES.index(self.name), self.sign, *((0.0, value) if isinstance(value, str) else (value, ""))

    def accepts(self, attributes: Attributes) -> bool:
        """Whether an image meets it. One without a defect, or whose defect is not told by this, does not."""
        found, value = value_of(attributes, self.name), self.value
        if isinstance(found, str) or isinstance(value, str):
            return found == value
        return not math.isnan(found) and _SIGNS[self.sign](found, value)

    def distance(self, attributes: Attributes) -> float:
        """How far an image is from meeting it, in the unit of the number; infinite where that cannot be said."""
        found, value = value_of(attributes, self.name), self.value
        if isinstance(found, str) or isinstance(value, str) or math.isnan(found):
            return 0.0 if self.accepts(attributes) else math.inf
        return 0.0 if self.accepts(attributes) else abs(found - value)


def value_of(attributes: Attributes, name: str) -> float | str:
    """What an image has of what is called so: a number, NaN where there is none, or a word."""
    if name == "defect":
        return "any" if attributes.count else "none"
    value: float | str = getattr(attributes, name)
    return value


@dataclass(frozen=True)
class Wish:
    """Conditions that an image has to meet, all of them.

    Attributes:
        conditions: in the order of their names.
    """

    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, text: str) -> Wish:
        """Read `name OP value (and name OP value)*`.

        OP is one of < <= > >= = !=, for words = or !=. Lengths are in pixels, the contrast in gray levels, the
        direction in degrees. Numbers have at most six digits after the point.

        Raises:
            ValueError: it is not written so, or no image can meet it: one line that says what to do.
        """
        conditions = {Condition.parse(part) for part in re.split(r"\s+and\s+", text.strip())}
        wish = cls(tuple(sorted(conditions, key=lambda condition: condition.rank)))
        wish._refuse_contradiction()
        return wish

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions))

    def accepts(self, attributes: Attributes) -> bool:
        """Whether an image meets all of it."""
        return all(condition.accepts(attributes) for condition in self.conditions)

    @property
    def is_of_clean(self) -> bool:
        """Whether it is for images without a defect."""
        return self._most("count") == 0 or Condition("defect", "=", "none") in self.conditions

    def without(self, condition: Condition) -> Wish:
        """The other conditions."""
        return Wish(tuple(other for other in self.conditions if other != condition))

    def _refuse_contradiction(self) -> None:
        for name in dict.fromkeys(condition.name for condition in self.conditions):
            own = [condition for condition in self.conditions if condition.name == name]
            if name in WORDS:
                possible = len(own) == 1
            else:
                excluded = {condition.value for condition in own if condition.sign == "!="}
                low, high = self._least(name), self._most(name)
                while name in _WHOLE and low in excluded:
                    low += 1
                possible = low < high or (low == high and low not in excluded)
            if not possible:
                raise ValueError(f"no image has {' and '.join(map(str, own))}{_range(name)}")
        of_defect = [one for one in self.conditions if one.name not in ("count", "defect")]
        any_defect = [*of_defect, *(one for one in self.conditions if one == Condition("defect", "=", "any"))]
        if self._least("count") > 0:
            any_defect += [one for one in self.conditions if one.name == "count"]
        if any_defect and self.is_of_clean:
            none = next(one for one in self.conditions if one.name in ("count", "defect") and one not in any_defect)
            raise ValueError(f"an image without a defect, as {none} wants it, has never {any_defect[0]}")

    def _least(self, name: str) -> float:
        """The least number that the conditions leave, so far as they are no !=."""
        least = [_LEAST.get(name, 0.0)]
        for one in self._bounds(name, ">"):
            if name in _WHOLE:
                least.append(float(math.floor(one[1]) + 1 if one[0] == ">" else math.ceil(one[1])))
            else:
                least.append(math.nextafter(one[1], math.inf) if one[0] == ">" else one[1])
        return max(least)

    def _most(self, name: str) -> float:
        """The greatest number that the conditions leave, so far as they are no !=."""
        most = [_MOST.get(name, math.inf)]
        for one in self._bounds(name, "<"):
            if name in _WHOLE:
                most.append(float(math.ceil(one[1]) - 1 if one[0] == "<" else math.floor(one[1])))
            else:
                most.append(math.nextafter(one[1], -math.inf) if one[0] == "<" else one[1])
        return min(most)

    def _bounds(self, name: str, side: str) -> list[tuple[str, float]]:
        signs = (side, f"{side}=", "=")
        return [
            (one.sign, one.value)
            for one in self.conditions
            if one.name == name and one.sign in signs and not isinstance(one.value, str)
        ]


def nearest(wish: Wish, seen: Sequence[Attributes]) -> str:
    """What comes nearest to a wish that no image met, in words for the end of a sentence.

    Args:
        wish: it.
        seen: images, none of which meets it.

    Returns:
        Of images that meet all but one condition, that with the smallest gap, measured by how far the seen ones spread;
        else of each condition how many meet it, or how near it they come.
    """
    gaps = []
    for condition in wish.conditions:
        others = wish.without(condition)
        near = min(filter(others.accepts, seen), key=condition.distance, default=None)
        if near is not None:
            gap = condition.distance(near) / (_spread(condition.name, seen) or 1.0)
            where = f" where {others}" if others.conditions else ""
            gaps.append((gap, f"the nearest has {_said(condition.name, near)}{where}"))
    if gaps:
        return min(gaps)[1]
    return "; ".join(_alone(condition, seen) for condition in wish.conditions)


def shares(wish: Wish, seen: Sequence[Attributes]) -> str:
    """How many of the images that were seen meet each condition of a wish, in words for the end of a sentence."""
    return "; ".join(_alone(condition, seen) for condition in wish.conditions)


def is_far(wish: Wish, seen: Sequence[Attributes]) -> bool:
    """Whether some condition of a wish lies farther from all that was seen than that spreads."""
    return any(
        _spread(condition.name, seen) < min(map(condition.distance, seen)) < math.inf for condition in wish.conditions
    )


def _alone(condition: Condition, seen: Sequence[Attributes]) -> str:
    share = sum(map(condition.accepts, seen)) / len(seen)
    if share:
        return f"{share:.2%} meet {condition}"
    return f"none meets {condition}, the nearest has {_said(condition.name, min(seen, key=condition.distance))}"


def _said(name: str, attributes: Attributes) -> str:
    value = value_of(attributes, name)
    return f"{name} {value or 'unknown'}" if isinstance(value, str) else f"{name} {round(value, 2):g}"


def _spread(name: str, seen: Sequence[Attributes]) -> float:
    """The difference between the greatest and the least number that was seen; 0 of words."""
    values = [value for one in seen if not isinstance(value := value_of(one, name), str) and not math.isnan(value)]
    return max(values) - min(values) if values else 0.0


def _range(name: str) -> str:
    if name in WORDS:
        return f": it is {' or '.join(WORDS[name])}"
    whole, least = ("a whole number, " if name in _WHOLE else ""), _LEAST.get(name, 0)
    low = "above 0" if 0 < least < 1 else f"at least {least:g}"
    high = {"contrast": " and at most 255", "direction": " and below 180"}.get(name, "")
    return f": it is {whole}{low}{high}"
