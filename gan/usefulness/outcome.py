"""What a proof of use found, in one sentence, in a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gan.usefulness.design import ALL, ARMS, RunPlan
from gan.usefulness.experiment import Experiment
from gan.usefulness.statistics import Interval
from gan.usefulness.verdict import NOT_YET, BudgetVerdict, Result, photos_saved

_CONTROLS = {"shuffled-labels": "shuffled_labels", "duplicated-photos": "duplicated_photos"}


@dataclass(frozen=True)
class Outcome:
    """Of a run of the command.

    Attributes:
        metric, detector, steps: what was asked.
        verdicts: of each budget, the one that was asked for first in front; none where time ended before.
        saved: by budget, see `gan.usefulness.verdict.photos_saved`.
        done, wanted: fits.
        plan: what was run, or None.
        subsets: of each budget.
        parts: photos of the parts train, validation and test.
        minutes: of all fits together.
        notes: what the reader has to know.
    """

    metric: str
    detector: str
    steps: int
    verdicts: tuple[BudgetVerdict, ...]
    saved: dict[int, tuple[float, bool]]
    done: int
    wanted: int
    plan: RunPlan
    subsets: int
    parts: tuple[int, int, int]
    minutes: float
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One of the four."""
        return self.verdicts[0].verdict if self.verdicts else NOT_YET

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict."""
        return self.verdict != NOT_YET

    @property
    def sentence(self) -> str:
        """The verdict for a person."""
        if not self.verdicts:
            return f"{NOT_YET}: {self.done} of {self.wanted} fits are done; run the same command again to go on"
        return self.sentence_of(self.verdicts[0])

    def sentence_of(self, found: BudgetVerdict) -> str:
        """That of one budget."""
        gain = found.gain
        what = f"{found.synthetic} synthetic images beside {found.photos} real photos ({told(found.budget)})"
        said = (
            f"{found.verdict}: with {what}, {self.metric.replace('-', ' ')} of {self.detector} changes by "
            f"{signed(gain)} against the best without them, {ARMS[found.baseline].title}"
        )
        return f"{said}; {found.reason}" if found.reason else said

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; of several budgets the first is told at the top."""
        told_first = {} if not self.verdicts else _verdict(self.verdicts[0], self.saved)
        controls = {_CONTROLS[name]: {"verdict": NOT_YET} for name in _CONTROLS}
        return {
            "verdict": self.verdict, "sentence": self.sentence, "metric": self.metric, "detector": self.detector,
            "steps": self.steps, "subsets": self.subsets, "seeds": self.plan.seeds, "arms": list(self.plan.arms),
            "controls": controls, **told_first, "budgets": [_verdict(each, self.saved) for each in self.verdicts],
            "fits": self.done, "fits_planned": self.wanted, "minutes": round(self.minutes, 2),
            "photos": dict(zip(("train", "validation", "test"), self.parts, strict=True)), "notes": list(self.notes),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The report as text; the first line is the sentence."""
        lines = [self.sentence]
        for each in self.verdicts:
            lines += ["", *_table(each)]
        for each in self.verdicts[1:]:
            lines += ["", self.sentence_of(each)]
        lines += ["", *(f"- {line}" for line in self.remarks())]
        return lines

    def remarks(self) -> list[str]:
        """How it was done, and what to know of it."""
        found = [
            f"{self.subsets} subsets of the photos × {self.plan.seeds} seeds, paired; {self.done} fits of {self.steps} "
            f"steps in {self.minutes:.1f} min; photos for training, tuning and testing: "
            f"{', '.join(map(str, self.parts))}",
            *self.notes,
        ]
        for each in self.verdicts:
            found += _remarks(each, len(self.verdicts))
            if each.budget in self.saved:
                count, more = self.saved[each.budget]
                found.append(f"real photos saved at {told(each.budget)}: {'over ' * more}{count:.0f} a class")
        return found


def told(budget: int) -> str:
    """A budget in words."""
    return "all of the training part" if budget == ALL else f"{budget} a class"


def signed(gain: Interval) -> str:
    """A difference with its interval."""
    return f"{gain.value:+.3f} (95 % interval {gain.low:+.3f} to {gain.high:+.3f})"


def finished(experiment: Experiment, plan: RunPlan, found: Sequence[BudgetVerdict], notes: Sequence[str]) -> Outcome:
    """Where all fits of a plan are there."""
    return _outcome(experiment, plan, tuple(found), notes)


def unfinished(experiment: Experiment, notes: Sequence[str]) -> Outcome:
    """Where time ended before."""
    return _outcome(experiment, experiment.plan(), (), notes)


def _outcome(experiment: Experiment, plan: RunPlan, found: tuple[BudgetVerdict, ...], notes: Sequence[str]) -> Outcome:
    material, fitting = experiment.material, experiment.fitting
    left_out = [ARMS[name].title for name in experiment.arms if name not in plan.arms]
    notes = [*dict.fromkeys(notes)]
    if left_out:
        notes.append(f"there was no time for {', '.join(left_out)}")
    if material.good is None and {"cutpaste", "perlin"} & {*plan.arms}:
        notes.append(
            "no class is without defects, so CutPaste and Perlin defects were put upon photos of other classes"
        )
    for budget, subsets in material.subsets.items():
        labels = material.photos.labels[subsets[0]].tolist()
        counts = [(labels.count(label), name) for label, name in enumerate(material.class_names)]
        if budget != ALL and (fewer := [f"{name} {count}" for count, name in counts if count < budget]):
            notes.append(f"at {told(budget)} there are fewer photos in the training part of: {', '.join(fewer)}")
    return Outcome(
        fitting.metric, fitting.detector.name, fitting.steps, found, photos_saved(found), len(experiment.table),
        experiment.wanted(plan), plan, experiment.subsets,
        (len(material.train), len(material.validation), len(material.test)), experiment.table.seconds / 60,
        tuple(notes),
    )  # fmt: skip


def _remarks(found: BudgetVerdict, budgets: int) -> list[str]:
    times = f"ratio {found.ratio:g}" + (f", augmentation of strength {found.strength:g}" if found.strength else "")
    lines = [
        f"at {told(found.budget)}: {times}, the best arm with synthetic images ({ARMS[found.ours].title}) and without "
        f"({ARMS[found.baseline].title}) were chosen on validation photos",
        f"power: a difference of {found.gain.smallest:.3f} would have been shown four times in five"
        if found.gain.low < found.gain.high
        else "power: unknown, as no fit differs from its pair",
    ]
    for name, (said, gain) in found.controls.items():
        lines.append(f"{ARMS[name].title}: {said}, {signed(gain)} against real photos with classical augmentation")
    if budgets > 1:
        lines.append(f"corrected for {budgets} budgets (Holm): p = {found.adjusted:.3f}")
    lines.append("p in the table is corrected for its comparisons with the best baseline (Holm), without the controls")
    return lines


def _table(found: BudgetVerdict) -> list[str]:
    rows = [("", "images", "score", "95 % interval", "gain", "95 % interval", "p")]
    rows += [cells(each) for each in found.results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def cells(result: Result) -> tuple[str, str, str, str, str, str, str]:
    """Of a row of the table of arms."""
    score, gain = result.score, result.gain
    shown = (ARMS[result.arm].title, str(result.images), f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}")
    if gain is None:
        return (*shown, "best baseline", "", "")
    p = "" if result.adjusted is None else f"{result.adjusted:.3f}"
    return (*shown, f"{gain.value:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}", p)


def _interval(found: Interval) -> dict[str, Any]:
    return {
        "difference": round(found.value, 5), "interval": [round(found.low, 5), round(found.high, 5)],
        "p": round(found.p, 5), "smallest_difference": round(found.smallest, 5) if found.low < found.high else None,
    }  # fmt: skip


def _verdict(found: BudgetVerdict, saved: dict[int, tuple[float, bool]]) -> dict[str, Any]:
    return {
        "budget": "all" if found.budget == ALL else found.budget,
        "verdict": found.verdict,
        "reason": found.reason,
        **_interval(found.gain),
        "p_holm": round(found.adjusted, 5),
        "ours": found.ours,
        "baseline": found.baseline,
        "real_photos": found.photos,
        "synthetic": found.synthetic,
        "ratio": found.ratio,
        "strength": found.strength,
        "photos_saved": round(saved[found.budget][0], 1) if found.budget in saved else None,
        "controls": {
            _CONTROLS[name]: {"verdict": said, **_interval(gain)} for name, (said, gain) in found.controls.items()
        },
        "results": [
            {
                "arm": each.arm, "images": each.images, "validation": round(each.validation, 5),
                "score": round(each.score.value, 5), "interval": [round(each.score.low, 5), round(each.score.high, 5)],
                "gain": None if each.gain is None else _interval(each.gain),
                "p_holm": None if each.adjusted is None else round(each.adjusted, 5),
            }
            for each in found.results
        ],
    }  # fmt: skip
