"""What is run: arms, subsets of the photos, seeds, and how many of them fit a budget of minutes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BASELINE, OURS, CONTROL, OTHER = "baseline", "ours", "control", "other"
STRENGTHS = (0.5, 1.0, 2.0)
"""Of classical augmentation, of which one is chosen on validation photos."""
RATIOS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Extra images a real photo, of which one is chosen on validation photos, for each kind of extra images."""
LEAST_SUBSETS = 3
"""Under which no verdict is given: nothing is known of how subsets differ."""
QUICK_SEEDS = 3
ALL = 0
"""The budget of all photos of the part train."""
_OF_ALL = 0.8
"""Of them in a subset, which would else be the same every time."""


@dataclass(frozen=True)
class Arm:
    """One way to teach a detector.

    Attributes:
        name: in the table of runs.
        title: for people.
        role: baseline, ours, control or other.
        extra: images beside the photos: made, shuffled, duplicated, cutpaste, perlin, more; or none.
        classical: with classical augmentation.
        balanced: photos are drawn so that each class comes equally often.
        real: with the photos.
    """

    name: str
    title: str
    role: str
    extra: str = ""
    classical: bool = True
    balanced: bool = False
    real: bool = True


_ARMS = (
    Arm("real", "real photos", BASELINE, classical=False),
    Arm("classical", "real + classical augmentation", BASELINE),
    Arm("ours-classical", "real + synthetic + classical", OURS, "made"),
    Arm("shuffled-labels", "control: synthetic with shuffled labels", CONTROL, "shuffled"),
    Arm("duplicated-photos", "control: as many copies of real photos", CONTROL, "duplicated"),
    Arm("ours", "real + synthetic", OURS, "made", classical=False),
    Arm("balanced", "class-balanced sampling", BASELINE, balanced=True),
    Arm("cutpaste", "CutPaste-Scar", BASELINE, "cutpaste"),
    Arm("perlin", "Perlin defects", BASELINE, "perlin"),
    Arm("synthetic-only", "synthetic alone", OTHER, "made", real=False),
    Arm("more-real", "more real photos (ceiling)", OTHER, "more"),
)
ARMS = {arm.name: arm for arm in _ARMS}
"""By name, the most important first. All but two have the classical augmentation, so that they compare with ours."""
QUICK = tuple(ARMS)[:5]
"""The three arms of a quick run, and the two controls, which are run every time."""
TUNED = {"ours-classical": "made", "cutpaste": "cutpaste", "perlin": "perlin"}
"""Arms by which the ratio of a kind of extra images is chosen."""


@dataclass(frozen=True)
class RunPlan:
    """What of the design is run.

    Attributes:
        arms: names.
        seeds: of each subset.
    """

    arms: tuple[str, ...]
    seeds: int

    def fits(self, subsets: int, ratios: int) -> int:
        """How many detectors are trained for one budget of photos, with tuning; `ratios` are of synthetic images."""
        tuned = sum(ratios if kind == "made" else len(RATIOS) for name, kind in TUNED.items() if name in self.arms)
        return subsets * (len(STRENGTHS) + tuned + len(self.arms) * self.seeds)


def planned(
    arms: Sequence[str], seeds: int, subsets: int, budgets: int, ratios: int, seconds: float, limit: float
) -> RunPlan:
    """The largest plan that takes at most `limit` seconds, or the smallest where none does.

    Arms go first, the last first, then seeds.

    Args:
        arms: wanted, the most important first.
        seeds: wanted.
        subsets, budgets: of photos.
        ratios: how many are tried.
        seconds: of one fit.
        limit: seconds.
    """
    least = [name for name in arms if name in QUICK]
    plans = [RunPlan(tuple(arms[:count]), seeds) for count in range(len(arms), len(least) - 1, -1)]
    plans += [RunPlan(tuple(least), fewer) for fewer in range(seeds - 1, QUICK_SEEDS - 1, -1)]
    return next((plan for plan in plans if budgets * plan.fits(subsets, ratios) * seconds <= limit), plans[-1])


def subsets_of(
    class_of: Mapping[str, str], group_of: Mapping[str, str], names: Iterable[str], budget: int, count: int, seed: int
) -> list[list[str]]:
    """Subsets of photos, drawn by group: so many a class, or 80 % of a class where that is less.

    Each begins where the one before it ended, so that they share as few photos as they can.

    Args:
        class_of, group_of: of photos, by name.
        names: those of the part train.
        budget: photos a class, or `ALL`.
        count: how many subsets.
        seed: of the order.
    """
    found: list[list[str]] = [[] for _ in range(count)]
    of_class: dict[str, list[str]] = {}
    for name in sorted(names):
        of_class.setdefault(class_of[name], []).append(name)
    for each, own in sorted(of_class.items()):
        groups = sorted({group_of[name] for name in own})
        order = np.random.default_rng([seed, *each.encode()]).permutation(len(groups)).tolist()
        rank = {groups[number]: at for at, number in enumerate(order)}
        own.sort(key=lambda name: (rank[group_of[name]], name))
        most = max(1, round(_OF_ALL * len(own)))
        size = most if budget == ALL else min(budget, most)
        step = size if count * size <= len(own) else len(own) / count
        for number in range(count):
            first = round(number * step)
            found[number] += [own[(first + at) % len(own)] for at in range(size)]
    return [sorted(subset) for subset in found]


def shared(subsets: Sequence[Sequence[Any]]) -> float:
    """How much of their photos two subsets share, on average over all pairs of them: 0 to 1, where all are the same."""
    pairs = list(itertools.combinations(map(set, subsets), 2))
    return sum(len(one & other) / math.sqrt(len(one) * len(other)) for one, other in pairs) / max(1, len(pairs))
