"""Which class each image of a run shows: a fixed sequence in which every beginning keeps to the mix.

The sequence is Tijdeman's schedule (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980): of
the first *n* images each of *k* classes has its share of *n* to within 1 - 1 / (2k - 2), so to within less than one
image: the floor or the ceiling. Giving each image to the class that lacks most does not keep to that (a test has
20 classes that break it). It repeats after as many images as the shares, as whole numbers, add up to, so any part of a
run is known without what comes before it.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_PARTS = 2**20
"""That whole shares may add up to: an order of so many is reckoned in about a second, once in each process."""
_BAD = re.compile(r"""[,=/\\"]""")
_SHARE = re.compile(r"(.+)=(\d{1,9})", re.DOTALL)


@dataclass(frozen=True)
class Mix:
    """Classes and their shares.

    Attributes:
        names: of the classes, in the order of their labels.
        shares: of each, as whole numbers without a common divisor; 0 for a class that no image shows.
    """

    names: tuple[str, ...]
    shares: tuple[int, ...]

    def __post_init__(self) -> None:
        if fault := names_fault(self.names):
            raise ValueError(fault)
        if len(self.names) != len(self.shares) or min(self.shares) < 0 or math.gcd(*self.shares) != 1:
            raise ValueError(f"need the smallest whole shares of {len(self.names)} classes, not {self.shares}")
        if self.parts > MOST_PARTS:
            raise ValueError(f"the shares add up to {self.parts:,} parts, at most {MOST_PARTS:,} are possible")

    @classmethod
    def of(cls, names: Iterable[str], shares: Iterable[int]) -> Mix:
        """A mix of whole shares that may have a common divisor.

        Raises:
            ValueError: there is no such mix: no share above 0, or `MOST_PARTS` are too few for them.
        """
        whole = tuple(shares)
        if not any(whole):
            raise ValueError("no class has a share")
        divisor = math.gcd(*whole)
        return cls(tuple(names), tuple(share // divisor for share in whole))

    @classmethod
    def balanced(cls, names: Iterable[str]) -> Mix:
        """Every class alike: labels take turns."""
        known = tuple(names)
        return cls(known, (1,) * len(known))

    @classmethod
    def parse(cls, text: str) -> Mix:
        """The inverse of `str`.

        Raises:
            ValueError: this is none.
        """
        found = [_SHARE.fullmatch(part) for part in text.split(",")]
        pairs = [(match[1], int(match[2])) for match in found if match]
        mix = cls(*zip(*pairs, strict=True)) if len(pairs) == len(found) else None
        if mix is None or str(mix) != text:
            raise ValueError(f"{text!r} is no mix")
        return mix

    def __str__(self) -> str:
        return ",".join(f"{name}={share}" for name, share in zip(self.names, self.shares, strict=True))

    @property
    def parts(self) -> int:
        """What the shares add up to: after so many images the labels begin again."""
        return sum(self.shares)

    def labels(self, start: int, stop: int) -> NDArray[np.int64]:
        """The labels of images `start` to `stop - 1`: int64 `[stop - start]`, 0 to the number of classes - 1."""
        return self.labels_of(np.arange(start, stop))

    def labels_of(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of images int64 `[N]`, by their indices: int64 `[N]`."""
        return _order(self.shares)[images % self.parts]

    def label(self, index: int) -> int:
        """The label of image `index`."""
        return int(_order(self.shares)[index % self.parts])

    def counts(self, count: int) -> tuple[int, ...]:
        """How many of the first `count` images show each class."""
        times, rest = divmod(count, self.parts)
        begun = np.bincount(_order(self.shares)[:rest], minlength=len(self.shares))
        return tuple(times * share + int(more) for share, more in zip(self.shares, begun, strict=True))

    def image(self, label: int, number: int) -> int:
        """The index of image `number`, from 0, among those that show a class."""
        times, rest = divmod(number, self.shares[label])
        return times * self.parts + int(_places(self.shares, label)[rest])


def names_fault(names: Sequence[str]) -> str:
    """Why these cannot be the names of classes; empty where they can.

    They stand in tables, in `--mix`, and as names of folders that are not hidden, so that they hold none of
    `, = / \\ "`, nothing that cannot be printed or is no text, and begin with no dot.
    """
    if not names:
        return "there are no classes"
    for name in names:
        if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
            return f"{name!r} is no name for a class: it is empty, begins or ends blank, or cannot be printed"
        if name.startswith(".") or _BAD.search(name):
            return f'{name!r} is no name for a class: it begins with a dot, or holds , = / \\ or "'
    again = next((name for at, name in enumerate(names) if name in names[:at]), None)
    return "" if again is None else f"two classes are named {again!r}"


def rounded(shares: Sequence[int], parts: int = MOST_PARTS) -> tuple[int, ...]:
    """Whole shares as such that add up to at most so many parts.

    Largest remainders first (Hare and Hamilton), so that each is off by less than one part. A share above 0 stays above
    0, and what raises such small ones to 1 is taken from the others. Shares that are few enough stay as they are.
    """
    total = sum(shares)
    if total <= parts:
        return tuple(shares)
    room = parts - sum(0 < share * parts < total for share in shares)  # which get one part, and may not take it away
    floors = [share * room // total for share in shares]
    rest = sorted(range(len(shares)), key=lambda at: (-(shares[at] * room % total), at))[: room - sum(floors)]
    return tuple(max(floor + (at in rest), int(shares[at] > 0)) for at, floor in enumerate(floors))


@lru_cache(maxsize=8)
def _order(shares: tuple[int, ...]) -> NDArray[np.int64]:
    """The labels of one period: int64 `[sum(shares)]`, 0 to `len(shares) - 1`.

    Image *c* of a class with share *s* of *S* may come from step (c + d) S / s on, with d = 1 / (2k - 2), and must come
    by step (c + 1 - d) S / s. At each step, of those that may come, the one that must come first is taken: this is
    Tijdeman's rule, whose sums for one class do not depend on the others, and so can be reckoned once for all.
    """
    present = [label for label, share in enumerate(shares) if share]
    parts, twice = sum(shares), 2 * len(present) - 2
    if not twice:
        return _frozen(np.full(parts, present[0], np.int64))
    label = np.repeat(np.array(present, np.int64), [shares[at] for at in present])
    share = np.array(shares, np.int64)[label]
    number = np.concatenate([np.arange(shares[at], dtype=np.int64) for at in present])
    # In steps, rounded up; below 2⁶², since parts are few.
    first = -(-(number * twice + 1) * parts // (share * twice))
    # Quotients of whole numbers this small are equal as doubles only where they are equal, so ties fall alike
    # everywhere: to the class that is named first.
    last = (number * twice + twice - 1) / share
    rank = np.empty(parts, np.int64)
    rank[np.lexsort((label, last))] = np.arange(parts)
    by_first = np.argsort(first, kind="stable")
    ends = np.searchsorted(first[by_first], np.arange(1, parts + 1), side="right").tolist()
    ranks, waiting, taken, begin = rank[by_first].tolist(), list[int](), list[int](), 0
    for end in ends:
        for one in ranks[begin:end]:
            heapq.heappush(waiting, one)
        begin = end
        taken.append(heapq.heappop(waiting))
    by_rank = np.empty(parts, np.int64)
    by_rank[rank] = label
    return _frozen(by_rank[np.array(taken)])


@lru_cache(maxsize=64)
def _places(shares: tuple[int, ...], label: int) -> NDArray[np.int64]:
    return _frozen(np.flatnonzero(_order(shares) == label))


def _frozen(values: NDArray[np.int64]) -> NDArray[np.int64]:
    values.flags.writeable = False
    return values
