"""Metrics of many runs under resampling, the interval of a difference, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
DRAWS = 2000
LEVEL = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A number with its uncertainty.

    Attributes:
        value: of all subsets, seeds and photos.
        low, high: its 95 % interval.
        p: two-sided, of the number being 0.
        smallest: the smallest true value that a design like this one would have shown, four times in five.
    """

    value: float
    low: float
    high: float
    p: float
    smallest: float


def score(metric: str, answers: NDArray[Any], labels: NDArray[np.int64], weights: Floats | None = None) -> Floats:
    """A metric of R runs on N images that count by their weights.

    Balanced accuracy is the mean recall of the classes, macro F1 the mean F1, average precision the mean over classes
    of the area below precision over recall, in steps (ties are one step). Classes of weight 0 are left out.

    Args:
        metric: one of `gan.usefulness.defaults.METRICS`.
        answers: probabilities `[R, N, classes]`.
        labels: `[N]`.
        weights: `[B, N]`, not negative; None: one row of ones.

    Returns:
        `[B, R]`, 0 to 1.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    truth = np.eye(answers.shape[2])[labels]
    there = weights @ truth
    found = [_of_run(metric, run, truth, weights, there) for run in answers]
    with np.errstate(invalid="ignore"):
        return np.stack([np.nanmean(np.where(there > 0, each, np.nan), axis=1) for each in found], axis=1)


def _of_run(metric: str, run: NDArray[Any], truth: Floats, weights: Floats, there: Floats) -> Floats:
    """Of each class: `[B, classes]`."""
    if metric == "average-precision":
        classes = range(truth.shape[1])
        return np.stack([_average_precision(run[:, each], truth[:, each], weights) for each in classes], axis=1)
    named = np.eye(truth.shape[1])[run.argmax(axis=1)]
    right = weights @ (named * truth)
    if metric == "balanced-accuracy":
        return _ratio(right, there)
    return _ratio(2 * right, weights @ named + there)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """0 where there is nothing."""
    found: Floats = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return found


def _average_precision(scores: NDArray[Any], truth: Floats, weights: Floats) -> Floats:
    """`[B]`, of the images of one class among all."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    right = np.cumsum((weights * truth)[:, order], axis=1)[:, ends]
    seen = np.cumsum(weights[:, order], axis=1)[:, ends]
    gained = np.diff(right, axis=1, prepend=0)
    return _ratio((gained * _ratio(right, seen)).sum(axis=1), right[:, -1])


def photo_weights(labels: NDArray[np.int64], groups: Sequence[str], draws: int, seed: int) -> Floats:
    """How often each photo counts in each bootstrap sample, `[draws, N]`: groups are drawn whole, within their class.

    Of G groups G - 1 are drawn, which makes the variance unbiased (Rao and Wu, JASA 1988, section 2).
    """
    random = np.random.default_rng([seed, 1])
    first = {group: place for place, group in reversed(list(enumerate(groups)))}
    names = sorted(first)
    place = {name: number for number, name in enumerate(names)}
    stratum = labels[[first[name] for name in names]]
    counts = np.ones((draws, len(names)))
    for each in np.unique(stratum):
        rows = np.flatnonzero(stratum == each)
        if (size := len(rows)) > 1:
            drawn = random.multinomial(size - 1, np.full(size, 1 / size), draws)
            counts[:, rows] = drawn * (size / (size - 1))
    return counts[:, [place[group] for group in groups]]


def interval(
    metric: str,
    ours: NDArray[Any],
    theirs: NDArray[Any] | None,
    labels: NDArray[np.int64],
    groups: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
    shared: float = 0.0,
) -> Interval:
    """A metric's mean over runs, or the difference of two that are paired, with a hierarchical bootstrap interval.

    Subsets are drawn, then seeds within each, then test photos by group, the same for all runs; each level draws one
    fewer than it has. The percentiles are stretched about the value by the quantile of t over that of the normal
    distribution, with the degrees of freedom of Satterthwaite (Biometrics Bulletin 1946) over subsets and photos:
    three subsets tell little of how far subsets differ.

    Args:
        metric: one of `gan.usefulness.defaults.METRICS`.
        ours: probabilities `[subsets, seeds, N, classes]`.
        theirs: as `ours`, of the same subsets and seeds, which are taken off; None: nothing is.
        labels: `[N]`.
        groups: N names; photos that share one are drawn together.
        seed: of the draws.
        draws: how many samples.
        shared: how much of their photos two subsets share, from 0 to below 1.
    """
    weights = photo_weights(labels, groups, draws, seed)
    point, found = (_difference(metric, ours, theirs, labels, each) for each in (None, weights))
    return of_values(point[0], found, len(set(groups)), seed, shared)


def of_values(point: Floats, found: Floats, groups: int, seed: int = 0, shared: float = 0.0) -> Interval:
    """The interval of the mean of `point`, `[subsets, seeds]`, by bootstrap.

    Subsets that share photos differ less than subsets that share none, and what they share errs alike in all. So how
    far they are apart is stretched (see `apart`).

    Args:
        point: a value of each run.
        found: the same under resampled photos, `[draws, subsets, seeds]`.
        groups: how many groups of photos were resampled.
        seed: of the draws of subsets and seeds.
        shared: as of `interval`.
    """
    random = np.random.default_rng([seed, 2])
    subsets, seeds = point.shape
    point, found = (_stretched(values, apart(subsets, shared)) for values in (point, found))
    draws = len(found)
    k = random.integers(subsets, size=(draws, max(1, subsets - 1), 1))
    s = random.integers(seeds, size=(draws, k.shape[1], max(1, seeds - 1)))
    sampled = found[np.arange(draws)[:, None, None], k, s].mean(axis=(1, 2))
    value = float(point.mean())
    between = float(point.mean(axis=1).var(ddof=1)) / subsets if subsets > 1 else 0.0
    of_photos = float(found.mean(axis=(1, 2)).var())
    spread = between**2 / max(1, subsets - 1) + of_photos**2 / max(1, groups - 1)
    freedom = (between + of_photos) ** 2 / spread if spread > 0 else 1e6
    tail = (1 + LEVEL) / 2
    stretched = value + (sampled - value) * (stats.t.ppf(tail, freedom) / stats.norm.ppf(tail))
    low, high = np.quantile(stretched, [1 - tail, tail])
    beyond = min((stretched <= 0).sum(), (stretched >= 0).sum())
    p = min(1.0, 2 * (float(beyond) + 1) / (draws + 1))
    smallest = float(sampled.std()) * float(stats.t.ppf(tail, freedom) + stats.t.ppf(POWER, freedom))
    return Interval(value, float(low), float(high), p, smallest)


def apart(subsets: int, shared: float) -> float:
    """By how much deviations of so many subsets from their mean tell too little of how far that mean may be off.

    Where values of two subsets correlate by the share of the photos that they have in common, which is so where each
    photo adds something of its own, J of them scatter with 1 - s of the variance, and their mean has
    (1 + (J - 1) s) / J of it (Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 2003,
    section 3).
    """
    return math.sqrt((1 + (subsets - 1) * shared) / (1 - shared))


def _stretched(values: Floats, by: float) -> Floats:
    """Values `[…, subsets, seeds]` whose subsets are so many times as far from their mean."""
    means = values.mean(axis=-1, keepdims=True)
    stretched: Floats = values + (by - 1) * (means - means.mean(axis=-2, keepdims=True))
    return stretched


def _difference(
    metric: str,
    ours: NDArray[Any],
    theirs: NDArray[Any] | None,
    labels: NDArray[np.int64],
    weights: Floats | None,
) -> Floats:
    """`[B, subsets, seeds]`."""

    def of(answers: NDArray[Any]) -> Floats:
        runs = answers.reshape(-1, *answers.shape[2:])
        return score(metric, runs, labels, weights).reshape(-1, *answers.shape[:2])

    return of(ours) if theirs is None else of(ours) - of(theirs)


def holm(values: Sequence[float]) -> list[float]:
    """p-values for several questions at once, in their order (Holm, Scandinavian Journal of Statistics 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted
