"""How often each value comes about among photos and among generated images, in numbers that can be drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_MOST_BARS = 14
_ENDS = torch.tensor([0.01, 0.99], dtype=torch.float64)


class Samples(NamedTuple):
    """One value of each image `[N]`: of photos, of generated images, and of two sets of photos for the spread."""

    photos: Tensor
    images: Tensor
    one: Tensor
    other: Tensor


@dataclass(frozen=True)
class Histogram:
    """Shares of the images in each bar, which are all as wide.

    Attributes:
        unit: of the value.
        bars: what each stands for: a word or number, or where it begins. The first and the last also hold what is
            beyond.
        begins: whether it is where they begin.
        photos, images: shares of them in each bar.
        spread: shares of two sets of photos, between which a share is no difference.
    """

    unit: str
    bars: tuple[str, ...]
    begins: bool
    photos: tuple[float, ...]
    images: tuple[float, ...]
    spread: tuple[tuple[float, ...], tuple[float, ...]]


def of_kinds(kinds: Samples, bars: Sequence[str], unit: str, begins: bool = False) -> Histogram:
    """Of whole numbers, which say in which of the bars each image belongs."""

    def shares(kind: Tensor) -> tuple[float, ...]:
        counts = kind.long().clamp(0, len(bars) - 1).bincount(minlength=len(bars))
        return tuple((counts.double() / max(len(kind), 1)).tolist())

    photos, images, one, other = (shares(kind) for kind in kinds)
    return Histogram(unit, tuple(bars), begins, photos, images, (one, other))


def of_values(values: Samples, unit: str, step: float | None = None) -> Histogram:
    """Of any numbers: bars at round numbers, as wide as makes some ten of them, or as asked."""
    ends = torch.stack([found.double().quantile(_ENDS) for found in values[:2]])
    step = step or _round(float(ends.max() - ends.min()) / _MOST_BARS)
    low = math.floor(float(ends.min()) / step)
    count = min(max(math.floor(float(ends.max()) / step) - low + 1, 2), _MOST_BARS)
    bars = [f"{(low + bar) * step:g}" for bar in range(count - 1)] + [f"{(low + count - 1) * step:g}+"]
    return of_kinds(Samples(*((found.double() / step).floor() - low for found in values)), bars, unit, begins=True)


def _round(least: float) -> float:
    """The next of … 0.1, 0.2, 0.5, 1, 2, 5, 10 …; 0.1 at least."""
    least = max(least, 0.1)
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * of for of in (1, 2, 5, 10) if power * of >= least * 0.999)
