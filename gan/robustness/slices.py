"""The worst slices: bins, and pairs of bins, of whose images most are missed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gan.robustness.bins import LEAST_IMAGES, Bin, Choice
from gan.robustness.rates import Rate

WORST = 10
CHANCE = 0.05
"""Chance, after the correction, up to which a slice is said to be worse than the others."""

_LEAST_GAP = 0.05
"""Recall by which a slice has to be worse than the others to be named."""


@dataclass(frozen=True)
class Slice:
    """Images that have one or two things in common.

    Attributes:
        name: such as `vertical, length under 20 px`.
        rate: its recall.
        others: that of all other images.
        chance: how likely so few hits are among so many images by luck (Fisher's exact test, one-sided), times the
            number of slices that were looked at (Bonferroni), at most 1.
        missed: places of its missed images, those of the lowest score first.
    """

    name: str
    rate: Rate
    others: Rate
    chance: float
    missed: tuple[int, ...]

    @property
    def sure(self) -> bool:
        """Whether it is worse than the others, and not because so many slices were looked at."""
        return self.chance <= CHANCE


def worst_slices(bins: Sequence[Bin], hits: Choice, scores: Sequence[float]) -> tuple[tuple[Slice, ...], int]:
    """The worst of all bins and of all pairs of bins of two attributes, and how many were looked at.

    A slice has `LEAST_IMAGES` images at least. The order is that of the upper end of their interval: of two with the
    same recall the larger one comes first, being surely bad. A slice is not named where most of its missed images are
    in one that is named already, nor where it is found about as often as the others are.

    Args:
        bins: of the images.
        hits, scores: `[N]`.
    """
    looked_at = [(parts, rows) for parts, rows in _candidates(bins) if rows.sum() >= LEAST_IMAGES]
    # A bin comes before pairs with it where they are equally bad.
    ranked = sorted(looked_at, key=lambda each: (Rate.of(hits[each[1]]).interval[1], len(each[0])))
    named: list[tuple[tuple[Bin, ...], Choice]] = []
    for parts, rows in ranked:
        missed = rows & ~hits
        known = any((missed & other).sum() > missed.sum() / 2 for _, other in named)
        if not known and len(named) < WORST and hits[rows].mean() < hits[~rows].mean() - _LEAST_GAP:
            named.append((parts, rows))
    return tuple(_slice(parts, rows, hits, scores, len(looked_at)) for parts, rows in named), len(looked_at)


def _candidates(bins: Sequence[Bin]) -> Iterator[tuple[tuple[Bin, ...], Choice]]:
    for each in bins:
        yield (each,), each.rows
    for one, other in itertools.combinations(bins, 2):
        if one.attribute != other.attribute:
            yield (one, other), one.rows & other.rows


def _slice(parts: tuple[Bin, ...], rows: Choice, hits: Choice, scores: Sequence[float], looked_at: int) -> Slice:
    from scipy.stats import hypergeom

    rate, others = Rate.of(hits[rows]), Rate.of(hits[~rows])
    luck = float(hypergeom.cdf(rate.hits, len(hits), int(hits.sum()), rate.count))
    missed = sorted(np.flatnonzero(rows & ~hits).tolist(), key=lambda place: scores[place])
    return Slice(", ".join(part.name for part in parts), rate, others, min(1.0, luck * looked_at), tuple(missed))
