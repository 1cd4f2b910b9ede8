"""What the runs say: does it help, by how much, and what the controls say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan.usefulness.design import ALL, ARMS, BASELINE, CONTROL, LEAST_SUBSETS, OURS, RunPlan, shared
from gan.usefulness.experiment import Experiment
from gan.usefulness.statistics import LEVEL, Interval, holm, interval

HELPS, NOTHING, HURTS, NOT_YET = "HELPS", "NO EFFECT SHOWN", "HURTS", "NO VERDICT YET"
_REAL_CONTROL = "classical"
"""What the controls are compared with: they have its augmentation, and what is added should be nothing."""
_LEARNED_NOTHING = (
    "every fit of both names one class for all test photos, so the detector has learned nothing, and nothing is known "
    "of the images: give it more steps"
)


@dataclass(frozen=True)
class Result:
    """Of one arm.

    Attributes:
        arm: name.
        images: it learned from, in the largest subset.
        validation: mean of the metric on validation photos.
        score: the metric on test photos.
        gain: over the baseline; None for the baseline itself.
        adjusted: p of the gain by Holm, over all arms but the baseline and the controls, which have none.
    """

    arm: str
    images: int
    validation: float
    score: Interval
    gain: Interval | None
    adjusted: float | None


@dataclass(frozen=True)
class BudgetVerdict:
    """Of one budget of photos.

    Attributes:
        budget: photos a class, or 0 for all.
        verdict: one of the four.
        reason: why it is not what the interval says, or empty.
        ours, baseline: the arms that were best on validation photos, with and without synthetic images.
        gain: ours minus baseline on test photos.
        adjusted: its p by Holm, over the budgets.
        controls: by name: verdict and gain over real photos with classical augmentation.
        results: of all arms.
        photos: of real ones in a subset.
        synthetic: images used beside them.
        strength, ratio: chosen on validation photos.
        changed: test photos, as places in the test part: those that ours names rightly more often than the baseline in
            most runs, and those where it is the other way.
    """

    budget: int
    verdict: str
    reason: str
    ours: str
    baseline: str
    gain: Interval
    adjusted: float
    controls: dict[str, tuple[str, Interval]]
    results: tuple[Result, ...]
    photos: int
    synthetic: int
    strength: float
    ratio: float
    changed: tuple[list[int], list[int]]


def judged(gain: Interval, adjusted: float) -> str:
    """The verdict of an interval: the whole of it above or below 0, also where several questions are asked at once."""
    if adjusted > 1 - LEVEL or gain.low <= 0 <= gain.high:
        return NOTHING
    return HELPS if gain.low > 0 else HURTS


def verdicts(experiment: Experiment, plan: RunPlan) -> list[BudgetVerdict]:
    """Of each budget, in their order; all fits of the plan must be there."""
    found = [_Budget(experiment, plan, budget) for budget in experiment.material.subsets]
    adjusted = holm([each.gain.p for each in found])
    return [each.verdict(value) for each, value in zip(found, adjusted, strict=True)]


class _Budget:
    def __init__(self, experiment: Experiment, plan: RunPlan, budget: int) -> None:
        self._experiment, self._plan, self._budget = experiment, plan, budget
        material = experiment.material
        self._labels = material.photos.labels[list(material.test)].numpy()
        self._groups = [material.groups[place] for place in material.test]
        self._answers = {arm: experiment.answers(budget, arm, plan) for arm in plan.arms}
        self.validation = {
            arm: float(np.mean([row.validation for row in experiment.rows(budget, arm, plan)])) for arm in plan.arms
        }
        self._shared = shared(material.subsets[budget])
        self._baseline, self._ours = self._best(BASELINE), self._best(OURS)
        self.gain = self._interval(self._ours, self._baseline)

    def verdict(self, adjusted: float) -> BudgetVerdict:
        controls = {
            name: (judged(gain, gain.p), gain)
            for name in self._plan.arms
            if ARMS[name].role == CONTROL
            for gain in (self._interval(name, _REAL_CONTROL),)
        }
        said, reason = judged(self.gain, adjusted), ""
        subsets = self._answers[self._ours].shape[0]
        if subsets < LEAST_SUBSETS:
            said = NOT_YET
            reason = f"there are {subsets} subsets of the photos, and a verdict needs {LEAST_SUBSETS}"
        elif self._shared == 1:
            said, reason = NOT_YET, "all subsets are the same photos, and nothing is known of how others would differ"
        elif said == HELPS and (helping := [name for name, (each, _) in controls.items() if each == HELPS]):
            said = NOTHING
            reason = f"{ARMS[helping[0]].title} helps as well, so what the images show is not what helps"
        elif self._learned_nothing():
            reason = _LEARNED_NOTHING
        chosen = self._experiment.chosen[self._budget]
        strength, ratio = chosen.of(ARMS[self._ours])
        photos = max(map(len, self._experiment.material.subsets[self._budget]))
        results = self._results()
        synthetic = next(each.images for each in results if each.arm == self._ours) - photos
        return BudgetVerdict(
            self._budget, said, reason, self._ours, self._baseline, self.gain, adjusted, controls, results, photos,
            synthetic, strength, ratio, self._changed(),
        )  # fmt: skip

    def _best(self, role: str) -> str:
        return max((arm for arm in self._plan.arms if ARMS[arm].role == role), key=self.validation.__getitem__)

    def _learned_nothing(self) -> bool:
        """Whether the metric is of the classes that are named, and all photos are given the same one."""
        if self._experiment.fitting.metric == "average-precision":
            return False
        named = [self._answers[arm].argmax(axis=3) for arm in (self._ours, self._baseline)]
        return all(bool((each == each[..., :1]).all()) for each in named)

    def _interval(self, ours: str, theirs: str | None) -> Interval:
        fitting = self._experiment.fitting
        return interval(
            fitting.metric, self._answers[ours], None if theirs is None else self._answers[theirs], self._labels,
            self._groups, fitting.seed, shared=self._shared if self._shared < 1 else 0.0,
        )  # fmt: skip

    def _results(self) -> tuple[Result, ...]:
        asked = [arm for arm in self._plan.arms if arm != self._baseline]
        gains = {arm: self._interval(arm, self._baseline) for arm in asked}
        compared = [arm for arm in asked if ARMS[arm].role != CONTROL]
        adjusted = dict(zip(compared, holm([gains[arm].p for arm in compared]), strict=True))
        return tuple(
            Result(
                arm, max(row.images for row in self._experiment.rows(self._budget, arm, self._plan)),
                self.validation[arm], self._interval(arm, None), gains.get(arm), adjusted.get(arm),
            )
            for arm in self._plan.arms
        )  # fmt: skip

    def _changed(self) -> tuple[list[int], list[int]]:
        ours, theirs = (self._right(self._answers[arm]) for arm in (self._ours, self._baseline))
        order = np.argsort(theirs - ours, kind="stable")
        better = [int(place) for place in order if ours[place] > 0.5 >= theirs[place]]
        worse = [int(place) for place in order[::-1] if theirs[place] > 0.5 >= ours[place]]
        return better, worse

    def _right(self, answers: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of each test photo the share of the runs that name it rightly."""
        shares: NDArray[np.float64] = (answers.argmax(axis=3) == self._labels).mean(axis=(0, 1))
        return shares


def photos_saved(found: Sequence[BudgetVerdict]) -> dict[int, tuple[float, bool]]:
    """By budget: how many more real photos a class the baseline needs to be as good as ours, by its own curve.

    Between two budgets the curve is linear in the logarithm of the photos; True: at least so many, as it ends there.
    """
    told = sorted((each for each in found if each.budget != ALL), key=lambda each: each.budget)
    curve = [
        (each.budget, next(result.score.value for result in each.results if result.arm == each.baseline), each)
        for each in told
    ]
    if len(curve) < 2:
        return {}
    saved: dict[int, tuple[float, bool]] = {}
    for budget, value, each in curve:
        reached = value + each.gain.value
        later = [(number, height) for number, height, _ in curve if number >= budget]
        if reached <= value or len(later) < 2:
            continue
        for (few, low), (many, high) in itertools.pairwise(later):
            if low <= reached <= high and high > low:
                share = (reached - low) / (high - low)
                saved[budget] = (few * (many / few) ** share - budget, False)
                break
        else:
            saved[budget] = (float(later[-1][0] - budget), True)
    return saved
