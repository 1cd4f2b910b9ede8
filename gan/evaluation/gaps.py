"""Gaps: kinds of defects of which there are few photos beside kinds of which there are enough, and wishes for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.attributes import WORDS, Attributes

FEW = 5
"""Photos: fewer of a kind are a gap, and so is less than a quarter of what equal shares would be."""
_QUARTER = 0.25
NEIGHBOURS = 4
"""Photos of the kinds beside a gap that are shown."""
_NOWHERE = -1


@dataclass(frozen=True)
class Axis:
    """An attribute in bins.

    Attributes:
        name: of a number or of words in `Attributes`.
        edges: of a number: where the second bin and all others begin; of words none.
        around: whether the last bin lies beside the first, as with directions.
    """

    name: str
    edges: tuple[float, ...] = ()
    around: bool = False

    @property
    def count(self) -> int:
        """How many bins."""
        return len(self.edges) + 1 if self.edges else len(WORDS[self.name])

    def bins(self, found: Sequence[Attributes]) -> NDArray[np.int64]:
        """The bin of each; -1 where it has no such attribute."""
        values = [getattr(of, self.name) for of in found]
        if not self.edges:
            words = WORDS[self.name]
            return np.array([words.index(value) if value in words else _NOWHERE for value in values], np.int64)
        numbers = np.array(values, float)
        return np.where(np.isnan(numbers), _NOWHERE, np.digitize(numbers, self.edges)).astype(np.int64)

    def wish(self, at: int) -> str:
        """The conditions that make a bin, as gan-batch reads them."""
        if not self.edges:
            return f"{self.name}={WORDS[self.name][at]}"
        low = [f"{self.name}>={self.edges[at - 1]:g}"] if at > 0 else []
        high = [f"{self.name}<{self.edges[at]:g}"] if at < len(self.edges) else []
        return " and ".join(low + high)

    def apart(self, one: int, other: int) -> int:
        """How many bins two bins lie apart."""
        steps = abs(one - other)
        return min(steps, self.count - steps) if self.around else steps


@dataclass(frozen=True)
class Gap:
    """A kind of defect of which there are few photos.

    Attributes:
        wish: what makes this kind, as gan-batch reads it.
        photos: how many have such a main defect.
        of: how many photos have these attributes at all.
        synthetic: how many synthetic images have such a main defect; None without any.
        neighbours: the places of some photos of the kinds beside it.
    """

    wish: str
    photos: int
    of: int
    synthetic: int | None
    neighbours: tuple[int, ...]

    @property
    def command(self) -> str:
        """What asks gan-batch for such images; each wish needs a folder of its own."""
        folder = self.wish.replace(" and ", "-").replace(">=", "-from-").replace("<", "-to-").replace("=", "-")
        return f"gan-batch --want '{self.wish}' --count 500 --out synthetic/{folder}"


def grids(width: int, height: int) -> list[tuple[Axis, ...]]:
    """What is asked of images of that size in pixels: one attribute in bins, or two against each other."""
    side = min(width, height)
    return [
        (Axis("length", tuple(side / part for part in (8, 4, 2))), Axis("contrast", (8, 16, 32))),
        (Axis("width", (2, 4, 8)),),
        (Axis("direction", (45, 90, 135), around=True),),
        (Axis("polarity"),),
        (Axis("x", _thirds(width)), Axis("y", _thirds(height))),
    ]


def gaps(axes: tuple[Axis, ...], photos: Sequence[Attributes], synthetic: Sequence[Attributes] | None) -> list[Gap]:
    """Bins with few photos that lie beside one with enough, also across a corner; the emptiest first.

    A bin far from all that was seen may be one that no defect of this kind is ever in: it is no gap. Where no bin has
    enough photos, there is none either.
    """
    places = _places(axes, photos)
    known = places[(places != _NOWHERE).all(axis=1)]
    every = list(itertools.product(*(range(axis.count) for axis in axes)))
    counts = {at: int((known == at).all(axis=1).sum()) for at in every}
    enough = max(FEW, _QUARTER * len(known) / len(every))
    full = [at for at in every if counts[at] >= enough]
    made = None if synthetic is None else _places(axes, synthetic)
    found = []
    for at in every:
        beside = [other for other in full if _beside(axes, at, other)]
        if counts[at] < enough and beside:
            found.append(
                Gap(
                    wish=" and ".join(axis.wish(place) for axis, place in zip(axes, at, strict=True)),
                    photos=counts[at],
                    of=len(known),
                    synthetic=None if made is None else int((made == at).all(axis=1).sum()),
                    neighbours=_some(places, beside),
                )
            )
    return sorted(found, key=lambda gap: gap.photos)


def _thirds(side: int) -> tuple[float, ...]:
    return tuple(round(side * part / 3) for part in (1, 2))


def _places(axes: tuple[Axis, ...], found: Sequence[Attributes]) -> NDArray[np.int64]:
    """The bins of each image: `[N, axes]`."""
    return np.stack([axis.bins(found) for axis in axes], axis=1)


def _beside(axes: tuple[Axis, ...], one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(axis.apart(*both) for axis, *both in zip(axes, one, other, strict=True)) == 1


def _some(places: NDArray[np.int64], beside: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Photos of the bins in turn, so that each is seen."""
    by_bin = [np.nonzero((places == at).all(axis=1))[0].tolist() for at in beside]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*by_bin))
    return tuple(itertools.islice((place for place in in_turn if place is not None), NEIGHBOURS))
