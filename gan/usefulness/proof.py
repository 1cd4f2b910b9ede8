"""One call from photos and generated images to a verdict: do these images help a detector?"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan.evaluation.refusals import AS_MADE, CommonShape, refuse_shape
from gan.evaluation.runs import model_sha256
from gan.photos.find import printable
from gan.photos.labels import Classes
from gan.photos.read import to_picture
from gan.photos.split_file import TEST, TRAIN, VALIDATION, Split
from gan.photos.traces import trace_of_image, traces
from gan.photos.which import ALL_PHOTOS, Which
from gan.usefulness import defaults
from gan.usefulness.design import ALL, RATIOS, shared, subsets_of
from gan.usefulness.detectors import detector as detector_of
from gan.usefulness.experiment import Experiment, Fitting, arms_for
from gan.usefulness.groundwork import groundwork, known_classes, split_of
from gan.usefulness.leaks import places_of, refuse_leaks, refuse_shown
from gan.usefulness.masked import disagreements, refuse_unfit
from gan.usefulness.outcome import Outcome, finished, unfinished
from gan.usefulness.page import write_page
from gan.usefulness.runs import RunTable, owned
from gan.usefulness.sources import MOST_MADE, Generated, Photos, find_good, read_photos, read_synthetic
from gan.usefulness.statistics import apart
from gan.usefulness.teaching import Material
from gan.usefulness.verdict import verdicts
from gan.users_program import source_sha256
from models.errors import CommandError, ExitCode
from models.files import write_atomically, write_probe
from models.log import log

MUCH_SHARED = 0.5
"""Of the photos of two subsets, on average: of more the reader has to know."""
REPORT, FIGURES, SPLIT = "report.html", "usefulness.json", "split.json"


@dataclass(frozen=True)
class _Asked:
    """The arguments of `usefulness` that say which images are meant."""

    real: Path
    synthetic: tuple[Path, ...]
    models: tuple[Path, ...]
    class_name: str | None
    good: str | None
    budgets: tuple[int, ...]
    which: Which
    shape: CommonShape


def usefulness(
    real: Path,
    synthetic: Sequence[Path] = (),
    *,
    out: Path = defaults.OUT,
    model: Sequence[Path] = (),
    class_name: str | None = None,
    which: Which = ALL_PHOTOS,
    good_class: str | None = None,
    split: Path | None = None,
    budget: Sequence[int] = (),
    detector: str = defaults.DETECTOR,
    metric: str = defaults.METRICS[0],
    subsets: int = defaults.SUBSETS,
    seeds: int = defaults.SEEDS,
    steps: int | None = None,
    batch_size: int = defaults.BATCH_SIZE,
    quick: bool = False,
    minutes: float | None = None,
    seed: int = 0,
    shape: CommonShape = AS_MADE,
    words: Callable[[str], str] = str,
) -> Outcome | None:
    """Say whether generated images help a detector of the photos' classes, and leave a report in `out`.

    Args:
        real: folder or `.zip` of photos; its sub-folders are their classes.
        synthetic: runs of gan-batch or folders of class folders: one, or one a subset, in the order of budgets and
            subsets; each subset then is the photos that the generator of its run was trained on. None: the split and
            the subsets are written, for `gan-train`, and nothing else is done.
        out: folder of all that is kept: the split, the table of runs, the report. A run goes on where it ended.
        model: the ONNX files that made the runs, one or as many as these; as of `gan.evaluate`.
        class_name: the class of all generated images, where nothing tells theirs.
        which: photos of `real` to take, and what is told of them; masks are for detectors that learn from them.
        good_class: the class of photos without a defect; by default the one that is called good, ok or normal.
        split: a `split.json` of these photos; one of two parts keeps its part `validation` for testing.
        budget: photos a class, one number a question; the verdict is about the first. None: all of the part train.
        detector: as of `gan.usefulness.detectors.detector`.
        metric: one of `gan.usefulness.defaults.METRICS`, decided on before the result is known.
        subsets, seeds: how many; `subsets` where `synthetic` does not tell.
        steps: of the optimiser, for every arm; None: those of the detector.
        batch_size: images a step.
        quick: three arms and the controls, three seeds.
        minutes: to spend: the largest plan that fits is run.
        seed: of everything random.
        shape: that all images are brought to.
        words: what the page says for an argument that it names between backticks, as of `gan.evaluate`.

    Returns:
        What came out; None where there are no generated images yet.

    Raises:
        CommandError: 2 arguments that cannot be meant; 65 unusable images, or a generator that saw photos that are kept
            from it; 66 nothing there; 73, 74 `out` cannot be written; 75 another run is at work there; 78 it belongs to
            one of other settings or images; 130, 143 stopped by a signal.
    """
    asked = _Asked(
        real, tuple(synthetic), tuple(model), class_name, good_class, tuple(budget) or (ALL,), which, shape
    )  # fmt: skip
    which.check()
    refuse_shape(shape)
    _refuse_values(asked, metric, subsets, seeds, minutes)
    _refuse_overlap(asked, out)
    write_probe(out)
    if not synthetic:
        groundwork(real, out / SPLIT, split, which, asked.budgets, subsets, seed)
        return None
    chosen = detector_of(detector)
    known = known_classes(real, which)
    _refuse_class(class_name, known.names)
    refuse_unfit(chosen, detector, which, known.names, find_good(known.names, good_class))
    made, photos = _images(asked, known)
    parts = split_of(real, out / SPLIT, split, photos.class_of, photos.traces, seed, which)
    notes = _refuse_leaks(photos, parts, made)
    material = _material(asked, photos, parts, made, subsets, seed)
    notes += _saw_more(photos, made, material) + _overlap(material)
    if chosen.needs_masks:
        for images, place in zip((material.photos, *material.made), (real, *asked.synthetic), strict=True):
            notes += disagreements(images, material.class_names, str(place))
    usual = chosen.steps or defaults.STEPS
    fitting = Fitting(chosen, usual if steps is None else steps, batch_size, metric, seed)
    settings = {
        "format": 2 if chosen.needs_masks else 1,  # 1 shuffled labels without their masks
        "detector": detector, "metric": metric, "steps": fitting.steps, "batch_size": batch_size,
        "seeds": seeds, "quick": quick, "seed": seed, "budgets": list(asked.budgets),
        "good_class": None if material.good is None else photos.class_names[material.good],
        "detector_source": source_sha256(detector) if ":" in detector else "", **_digests(photos, parts, material),
    }  # fmt: skip
    with owned(out, settings):
        parts.write(out / SPLIT)
        experiment = Experiment(
            material, fitting, RunTable(out), arms_for(material, quick), min(seeds, defaults.QUICK_SEEDS) if quick
            else seeds, out, None if minutes is None else 60 * minutes,
        )  # fmt: skip
        plan = experiment.run()
        if plan is None:
            outcome = unfinished(experiment, notes)
        else:
            outcome = finished(experiment, plan, verdicts(experiment, plan), notes)
        text = json.dumps(outcome.to_dict(), indent=1) + "\n"
        write_atomically(out / FIGURES, lambda temporary: temporary.write_text(text))
        write_page(out / REPORT, outcome, material, words)
    return outcome


def _refuse_values(asked: _Asked, metric: str, subsets: int, seeds: int, minutes: float | None) -> None:
    if metric not in defaults.METRICS:
        raise CommandError(ExitCode.USAGE, f"`metric={metric}` is none of {', '.join(defaults.METRICS)}")
    if subsets < 1 or seeds < 1:
        raise CommandError(ExitCode.USAGE, "`subsets` and `seeds` are at least 1")
    if any(each < 0 for each in asked.budgets) or len(set(asked.budgets)) < len(asked.budgets):
        raise CommandError(ExitCode.USAGE, "`budget` is a number of photos a class, each number once")
    if minutes is not None and not minutes > 0:
        raise CommandError(ExitCode.USAGE, f"`minutes={minutes:g}` is not above 0")
    count = len(asked.synthetic)
    if count > 1 and count % len(asked.budgets):
        raise CommandError(
            ExitCode.USAGE, f"{count} of `synthetic` are not as many for each of {len(asked.budgets)} of `budget`"
        )
    if len(asked.models) > 1 and len(asked.models) != count:
        raise CommandError(
            ExitCode.USAGE, f"{len(asked.models)} of `model` for {count} of `synthetic`: one, or as many"
        )


def _refuse_overlap(asked: _Asked, out: Path) -> None:
    """One folder in another would make its images count as both."""
    folders = [(f"`real` {asked.real}", asked.real), *((f"`synthetic` {each}", each) for each in asked.synthetic)]
    for (name, one), (other_name, other) in itertools.permutations([*folders, (f"`out` {out}", out)], 2):
        if one.resolve().is_relative_to(other.resolve()) and (other is not out or one == out):
            raise CommandError(ExitCode.USAGE, f"{name} lies in {other_name}: images would be taken for others")


def _refuse_class(name: str | None, classes: Sequence[str]) -> None:
    if name is not None and name not in classes:
        told = ", ".join(map(printable, classes))
        raise CommandError(ExitCode.USAGE, f"`class_name={name}` is none of {told}")


def _images(asked: _Asked, known: Classes) -> tuple[list[Generated], Photos]:
    """Generated images, then photos in their shape."""
    good = find_good(known.names, asked.good)
    largest = max(len(known.class_of) if each == ALL else each * len(known.names) for each in asked.budgets)
    count = min(MOST_MADE, max(200, round(max(RATIOS) * min(largest, len(known.class_of)))))
    shape, made = asked.shape, []
    for number, place in enumerate(asked.synthetic):
        model = asked.models[number % len(asked.models)] if asked.models else None
        found, shape = read_synthetic(place, model, asked.class_name, known.names, count, shape)
        made.append(found)
    photos = read_photos(asked.real, asked.which, shape, good)
    return made, photos


def _refuse_leaks(photos: Photos, parts: Split, made: Sequence[Generated]) -> list[str]:
    """What the reader has to know of where the images come from."""
    notes: list[str] = []
    fitted = None
    for each in made:
        if each.trained_on is not None and each.generator is not None:
            refuse_leaks(photos.traces, parts, each.trained_on, each.generator.measured_on, str(each.place))
            if model_sha256(each.place):  # else only the user says that this generator made them
                continue
        if fitted is None:
            pairs = zip(photos.labelled.names, photos.labelled.images, strict=True)
            fitted = traces(trace_of_image(name, to_picture(image)) for name, image in pairs)
        notes.append(refuse_shown(fitted, parts, each.looks(), str(each.place)))
        log.warning("%s", notes[-1])
    return notes


def _saw_more(photos: Photos, made: Sequence[Generated], material: Material) -> list[str]:
    """That one generator for all subsets saw more photos than each of them has."""
    if len(made) > 1 or made[0].trained_on is None:
        return []
    seen = len(set(places_of(photos.traces, made[0].trained_on)) & set(material.train))
    largest = max(len(subset) for subsets in material.subsets.values() for subset in subsets)
    if seen <= largest:
        return []
    return [
        f"the generator of {made[0].place} was trained on {seen} photos, a subset has {largest}: a part of the gain "
        "may be these photos (a generator for each subset would tell)"
    ]


def _overlap(material: Material) -> list[str]:
    """That the subsets are nearly one."""
    notes = []
    for budget, subsets in material.subsets.items():
        if MUCH_SHARED < (mean := shared(subsets)) < 1:
            size = "all photos" if budget == ALL else f"{budget} a class"
            notes.append(
                f"at {size} two subsets share {100 * mean:.0f} % of their photos on average: how far they differ "
                f"counts {apart(len(subsets), mean):.1f} times in the interval (a smaller `budget` tells more)"
            )
    return notes


def _material(
    asked: _Asked, photos: Photos, parts: Split, made: Sequence[Generated], subsets: int, seed: int
) -> Material:
    names = photos.labelled.names
    part = [parts.places[name].part if name in parts.places else "" for name in names]
    groups = [parts.places[name].group if name in parts.places else name for name in names]
    train, validation, test = (
        [place for place, each in enumerate(part) if each == wanted] for wanted in (TRAIN, VALIDATION, TEST)
    )
    place_of = {name: place for place, name in enumerate(names)}
    group_of = dict(zip(names, groups, strict=True))
    each_budget = subsets if len(made) == 1 else len(made) // len(asked.budgets)
    drawn = {
        budget: [
            sorted(place_of[name] for name in subset)
            for subset in subsets_of(
                photos.class_of, group_of, [names[place] for place in train], budget, each_budget, seed
            )
        ]
        for budget in asked.budgets
    }
    if len(made) > 1:
        inside = set(train)
        for number, each in enumerate(made):
            if each.trained_on is not None:
                own = [place for place in places_of(photos.traces, each.trained_on) if place in inside]
                if not own:
                    raise CommandError(
                        ExitCode.BAD_DATA, f"the generator of {each.place} was trained on no photo of {asked.real}"
                    )
                drawn[asked.budgets[number // each_budget]][number % each_budget] = own
        _refuse_equal(drawn, made, each_budget)
    good = find_good(photos.class_names, asked.good)
    return Material(
        photos.labelled, photos.class_names, train, validation, test, groups,
        tuple(each.labelled(photos.class_names) for each in made), drawn,
        None if good is None else photos.class_names.index(good),
    )  # fmt: skip


def _refuse_equal(drawn: dict[int, list[list[int]]], made: Sequence[Generated], each_budget: int) -> None:
    """Refuse generators of one budget that saw the same photos: they tell nothing of how subsets differ."""
    for number, subsets in enumerate(drawn.values()):
        for first, second in itertools.combinations(range(len(subsets)), 2):
            if subsets[first] == subsets[second]:
                places = [made[number * each_budget + which].place for which in (first, second)]
                raise CommandError(
                    ExitCode.BAD_DATA,
                    f"the generators of {places[0]} and {places[1]} were trained on the same photos: train one on each "
                    "of the subset files that are written without synthetic images",
                )


def _digests(photos: Photos, parts: Split, material: Material) -> dict[str, Any]:
    """Of the images and where they belong."""
    of_photos = hashlib.sha256(photos.labelled.images.numpy().tobytes())
    of_photos.update(json.dumps([photos.class_of, photos.traces.sha256]).encode())
    of_photos.update(b"" if photos.labelled.masks is None else photos.labelled.masks.numpy().tobytes())
    of_split = hashlib.sha256(json.dumps({name: asdict(place) for name, place in parts.places.items()}).encode())
    of_made = []
    for made in material.made:
        digest = hashlib.sha256(made.images.numpy().tobytes())
        digest.update(made.labels.numpy().tobytes())
        digest.update(b"" if made.masks is None else made.masks.numpy().tobytes())
        of_made.append(digest.hexdigest())
    return {
        "photos": of_photos.hexdigest(), "split": of_split.hexdigest(), "synthetic": of_made,
        "subsets": {str(budget): subsets for budget, subsets in material.subsets.items()},
    }  # fmt: skip
