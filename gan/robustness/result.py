"""What was found of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gan.robustness.bins import BinRate
from gan.robustness.pod import PodCurve, PodPlane
from gan.robustness.rates import Rate
from gan.robustness.slices import CHANCE, Slice

SHARE_THAT_COUNTS = 0.1
"""A fall of recall, or rise of false alarms, from which on a change is named in the verdict, where it is no chance."""


@dataclass(frozen=True)
class ChangeRate:
    """Recall of images that were changed with one strength.

    Attributes:
        strength: in the unit of the change; 0: as they are.
        recall: of photos with a defect.
        lost, gained: defects that were found as they are and are missed now, and the other way round.
        chance: how likely so many are lost by luck (McNemar's exact test, one-sided), times the number of changes that
            were looked at, at most 1.
        false_alarms: of photos without a defect; None where there are none.
    """

    strength: float
    recall: Rate
    lost: int
    gained: int
    chance: float
    false_alarms: Rate | None


@dataclass(frozen=True)
class Robustness:
    """How well a detector finds defects, by what they are like, and where images change.

    Attributes:
        data, good, detector: where the photos were, and who was asked.
        image_size: width and height in pixels.
        found_by: how defects were measured: `masks`, or `ridge filter`.
        threshold: from which on a score is a hit.
        threshold_by: in words, where it comes from.
        recall: of photos with a defect.
        false_alarms: of photos without one; None where there are none.
        bins: recall by attribute.
        pod: curves over `length` and `contrast`.
        plane: over both.
        changes: by the name of the change, in the order of strengths, 0 first; empty where none was asked for.
        slices: the worst, the worst first.
        slices_looked_at: of how many.
        notes: what to know of it.
    """

    data: str
    good: str | None
    detector: str
    image_size: tuple[int, int]
    found_by: str
    threshold: float
    threshold_by: str
    recall: Rate
    false_alarms: Rate | None
    bins: Mapping[str, tuple[BinRate, ...]]
    pod: Mapping[str, PodCurve]
    plane: PodPlane
    changes: Mapping[str, tuple[ChangeRate, ...]]
    slices: tuple[Slice, ...]
    slices_looked_at: int
    notes: tuple[str, ...]

    @property
    def weakest_change(self) -> tuple[str, ChangeRate] | None:
        """The change, and its least strength, with which recall surely falls, that has the greatest fall."""
        found = []
        for name, rates in self.changes.items():
            falls = (rate for rate in rates if rate.chance <= CHANCE)
            first = next((rate for rate in falls if self._fall(rate) >= SHARE_THAT_COUNTS), None)
            if first is not None:
                found.append((name, first))
        return max(found, key=lambda each: self._fall(each[1]), default=None)

    @property
    def loudest_change(self) -> tuple[str, ChangeRate] | None:
        """The change, and its least strength, with which false alarms surely rise, that has the greatest rise."""
        found = []
        for name, rates in self.changes.items():
            first = next((rate for rate in rates if self._is_loud(rate)), None)
            if first is not None:
                found.append((name, first))
        return max(found, key=lambda each: each[1].false_alarms.share if each[1].false_alarms else 0.0, default=None)

    def _is_loud(self, rate: ChangeRate) -> bool:
        """Whether false alarms rise by as much as counts, and the intervals do not meet."""
        usual, now = self.false_alarms, rate.false_alarms
        if usual is None or now is None:
            return False
        return now.share - usual.share >= SHARE_THAT_COUNTS and now.interval[0] > usual.interval[1]

    def _fall(self, rate: ChangeRate) -> float:
        return self.recall.share - rate.recall.share

    def as_json(self) -> dict[str, Any]:
        """For a JSON object."""
        return {
            "data": self.data, "good": self.good, "detector": self.detector, "image_size": self.image_size,
            "defects_measured_by": self.found_by, "threshold": self.threshold, "threshold_by": self.threshold_by,
            "recall": self.recall.as_json(),
            "false_alarms": None if self.false_alarms is None else self.false_alarms.as_json(),
            "recall_by_attribute": {
                name: [{"bin": each.name, **each.rate.as_json()} for each in rates] for name, rates in self.bins.items()
            },
            "probability_of_detection": {
                **{name: asdict(curve) for name, curve in self.pod.items()}, "length_and_contrast": asdict(self.plane),
            },
            "changes": {
                name: [
                    {
                        "strength": rate.strength, "recall": rate.recall.as_json(), "lost": rate.lost,
                        "gained": rate.gained, "chance": rate.chance,
                        "false_alarms": None if rate.false_alarms is None else rate.false_alarms.as_json(),
                    }
                    for rate in rates
                ]
                for name, rates in self.changes.items()
            },
            "worst_slices": [
                {"slice": each.name, **each.rate.as_json(), "recall_of_others": each.others.share,
                 "chance": each.chance}
                for each in self.slices
            ],
            "slices_looked_at": self.slices_looked_at,
            "notes": list(self.notes),
        }  # fmt: skip
