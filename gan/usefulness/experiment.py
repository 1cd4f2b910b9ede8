"""All fits of an experiment: tuning on validation photos first, then every arm on every subset with every seed."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan.usefulness.design import ARMS, QUICK, RATIOS, STRENGTHS, TUNED, Arm, RunPlan, planned
from gan.usefulness.detector import Detector, Practice
from gan.usefulness.runs import MAIN, PLAN, TUNING, RunRow, RunTable, Task
from gan.usefulness.statistics import score
from gan.usefulness.teaching import Material, lesson
from models.files import write_atomically
from models.log import log
from models.progress import Progress
from models.stopping import Stop

_TUNING_SEED = 999
"""Of tuning alone; runs have 0 and so on."""


@dataclass(frozen=True)
class Fitting:
    """How every detector is trained.

    Attributes:
        detector: which.
        steps, batch_size: of the optimiser, the same for all arms.
        metric: one of `gan.usefulness.defaults.METRICS`.
        seed: of everything random.
    """

    detector: Detector
    steps: int
    batch_size: int
    metric: str
    seed: int


@dataclass(frozen=True)
class Tuning:
    """What was chosen on validation photos, for one budget.

    Attributes:
        strength: of classical augmentation.
        ratios: by kind of extra images: how many a photo.
    """

    strength: float
    ratios: dict[str, float]

    def of(self, arm: Arm) -> tuple[float, float]:
        """Strength and ratio of an arm; copies and shuffled labels have the ratio of the synthetic images."""
        return self.strength, self.ratios.get(arm.extra, self.ratios["made"])

    def setting(self, arm: Arm) -> str:
        """As the table of runs has it."""
        strength, ratio = self.of(arm)
        parts = [f"strength={strength:g}"] * arm.classical + [f"ratio={ratio:g}"] * (arm.extra not in ("", "more"))
        return ",".join(parts)


@dataclass
class Experiment:
    """One run of the command.

    Attributes:
        material: all images.
        fitting: how detectors are trained.
        table: the runs that are there.
        arms: wanted, the most important first.
        seeds: wanted.
        folder: of the plan.
        limit: seconds to spend, or None.
    """

    material: Material
    fitting: Fitting
    table: RunTable
    arms: Sequence[str]
    seeds: int
    folder: Path
    limit: float | None = None
    chosen: dict[int, Tuning] = field(default_factory=dict)
    _start: float = field(default_factory=time.monotonic)

    def run(self) -> RunPlan | None:
        """Make the fits that are not there yet; None where time ended before the last.

        Raises:
            CommandError: 130, 143 stopped by a signal; what is done is kept.
        """
        with Stop() as stop:
            self._time_some(stop)
            plan = self.plan()
            total = self.wanted(plan)
            with Progress("fits", total, "fits", done=min(total, len(self.table))) as progress:
                for task in self._tasks(plan, stop, progress):
                    if not self._fit(task, stop, progress):
                        return None
        return plan

    def wanted(self, plan: RunPlan) -> int:
        """How many fits a plan has."""
        return len(self.material.subsets) * plan.fits(self.subsets, len(self._ratios("made")))

    def answers(self, budget: int, arm: str, plan: RunPlan) -> NDArray[np.float32]:
        """Of all runs of an arm that a plan has: `[subsets, seeds, N, classes]`."""
        tasks = self._of_arm(budget, ARMS[arm], plan)
        return np.stack([np.stack([self.table.answers(task) for task in row]) for row in tasks])

    def rows(self, budget: int, arm: str, plan: RunPlan) -> list[RunRow]:
        """The rows of these runs."""
        found = [self.table.get(task) for row in self._of_arm(budget, ARMS[arm], plan) for task in row]
        return [row for row in found if row is not None]

    @property
    def subsets(self) -> int:
        """Of each budget."""
        return len(next(iter(self.material.subsets.values())))

    def _of_arm(self, budget: int, arm: Arm, plan: RunPlan) -> list[list[Task]]:
        setting = self.chosen[budget].setting(arm)
        return [
            [Task(budget, MAIN, arm.name, setting, subset, seed) for seed in range(plan.seeds)]
            for subset in range(len(self.material.subsets[budget]))
        ]

    def _tasks(self, plan: RunPlan, stop: Stop, progress: Progress) -> Iterator[Task]:
        """Tuning of every budget, then all runs, seed by seed."""
        for budget in self.material.subsets:
            kinds = {name: kind for name, kind in TUNED.items() if name in plan.arms}
            strength_of = {value: self._tuning(budget, "classical", value, None) for value in STRENGTHS}
            for tasks in strength_of.values():
                yield from tasks
            strength = self._best(strength_of)
            ratios: dict[str, float] = {}
            for name, kind in kinds.items():
                ratio_of = {value: self._tuning(budget, name, strength, value) for value in self._ratios(kind)}
                for tasks in ratio_of.values():
                    yield from tasks
                ratios[kind] = self._best(ratio_of)
            self.chosen[budget] = Tuning(strength, ratios)
        for seed in range(plan.seeds):
            for budget in self.material.subsets:
                for subset in range(len(self.material.subsets[budget])):
                    for name in plan.arms:
                        yield self._of_arm(budget, ARMS[name], plan)[subset][seed]

    def _tuning(self, budget: int, arm: str, strength: float, ratio: float | None) -> list[Task]:
        setting = f"strength={strength:g}" + ("" if ratio is None else f",ratio={ratio:g}")
        return [Task(budget, TUNING, arm, setting, subset, _TUNING_SEED) for subset in range(self.subsets)]

    def _best(self, tasks_of: dict[float, list[Task]]) -> float:
        """The value whose runs are best on validation photos on average; of equals the first."""

        def mean(value: float) -> float:
            found = [self.table.get(task) for task in tasks_of[value]]
            return float(np.mean([row.validation for row in found if row is not None]))

        return max(tasks_of, key=mean)

    def _ratios(self, kind: str) -> list[float]:
        """Those for which at least half of the images that are wanted are there; the smallest in any case."""
        if kind != "made":
            return list(RATIOS)

        def enough(ratio: float) -> bool:
            for budget, subsets in self.material.subsets.items():
                for number, subset in enumerate(subsets):
                    there = self.material.made_for(budget, number).labels.bincount()
                    own = self.material.photos.labels[subset].bincount(minlength=len(there))[: len(there)]
                    wanted = (ratio * own * (there > 0)).round()
                    if bool(2 * wanted.minimum(there).sum() < wanted.sum()):
                        return False
            return True

        return [ratio for ratio in RATIOS if enough(ratio)] or [RATIOS[0]]

    def _time_some(self, stop: Stop) -> None:
        """Make the first fits before the rest is planned, where that depends on their time."""
        if self.limit is None or (self.folder / PLAN).exists():
            return
        budget = next(iter(self.material.subsets))
        with Progress("timing", len(STRENGTHS), "fits") as progress:
            for strength in STRENGTHS:
                self._fit(self._tuning(budget, "classical", strength, None)[0], stop, progress, limited=False)

    def plan(self) -> RunPlan:
        """What is run: once planned, it stays so, as more seeds after a look at the result would bias it."""
        path = self.folder / PLAN
        if path.exists():
            said = json.loads(path.read_bytes())
            return RunPlan(tuple(said["arms"]), int(said["seeds"]))
        plan = RunPlan(tuple(self.arms), self.seeds)
        if self.limit is not None:
            seconds = self.table.seconds / max(1, len(self.table))
            left = self.limit - (time.monotonic() - self._start)
            ratios = len(self._ratios("made"))
            plan = planned(self.arms, self.seeds, self.subsets, len(self.material.subsets), ratios, seconds, left)
            log.info(
                "planned: %d arms of %d, %d seeds of %d, by %.1f s a fit",
                len(plan.arms), len(self.arms), plan.seeds, self.seeds, seconds,
            )  # fmt: skip
            if (needed := self.wanted(plan) * seconds) > left:
                log.warning(
                    "the smallest plan takes about %.1f minutes: the same command again goes on with it",
                    needed / 60,
                )
        text = json.dumps(dataclasses.asdict(plan)) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text))
        return plan

    def _fit(self, task: Task, stop: Stop, progress: Progress, limited: bool = True) -> bool:
        """Make one fit, unless it is there; False where there is no time for it."""
        if self.table.get(task) is not None:
            return True
        if stop:
            raise stop.error("what is done is kept: run the same command again to go on")
        begun = time.monotonic()
        usual = self.table.seconds / max(1, len(self.table))
        if limited and self.limit is not None and begun - self._start + usual > self.limit:
            return False
        arm, fitting, material = ARMS[task.arm], self.fitting, self.material
        said = dict(part.split("=") for part in task.setting.split(",") if part)
        seed = fitting.seed * 1000 + task.seed
        given = lesson(
            material, arm, task.budget, task.subset, seed, float(said.get("strength", 1)), float(said.get("ratio", 0))
        )
        practice = Practice(fitting.steps, seed, fitting.batch_size, given.weights, given.augment)
        judge = fitting.detector.fit(given.images, len(material.class_names), practice)

        def asked(places: Sequence[int]) -> tuple[NDArray[np.float32], float]:
            photos = material.photos.take(places)
            found = judge(photos.images).numpy().astype(np.float32)
            return found, float(score(fitting.metric, found[None], photos.labels.numpy())[0, 0])

        answers, test = (None, float("nan")) if task.stage == TUNING else asked(material.test)
        row = RunRow(len(given.images), asked(material.validation)[1], test, time.monotonic() - begun)
        self.table.add(task, row, answers)
        progress.update(1)
        return True


def arms_for(material: Material, quick: bool) -> list[str]:
    """The arms that can be run with these images, the most important first."""
    if quick:
        return list(QUICK)
    made = set(material.made[0].labels.tolist())
    left = len(material.train) > max(len(subset) for subsets in material.subsets.values() for subset in subsets)
    dropped = {
        "synthetic-only": made != set(range(len(material.class_names))),
        "more-real": not left,
    }
    return [name for name in ARMS if not dropped.get(name)]
