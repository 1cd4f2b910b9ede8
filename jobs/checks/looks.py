"""A look into a run for people: pictures of each class, and what the defects of some images are like.

Whatever of the run is committed is looked at, so that a run that was cut off can be seen, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.plan import Plan
from jobs.dataset.sheet import indexed_sheet, read_images
from jobs.stores.store import Store
from jobs.workers.drawing import gray
from models.attributes import NUMBERS, attributes_of
from models.picks import spread

MEASURED = 96
"""Images whose defects are measured."""
_SHOWN, _SHOWN_OF_CLASS, _LEAST_SHOWN = 32, 16, 8
_MOST_PIXELS = 6_000_000
"""Of all pictures together: a report is a page that people send to each other."""
_BARS = 12


@dataclass(frozen=True)
class Looks:
    """Pictures of images of a class.

    Attributes:
        label: the class; empty where there are none.
        there: committed images of it.
        shown: how many the picture shows.
        sheet: a PNG; see `jobs.dataset.sheet.contact_sheet`.
        width: of it in pixels.
    """

    label: str
    there: int
    shown: int
    sheet: bytes
    width: int


@dataclass(frozen=True)
class AttributeSpread:
    """One attribute of the largest defects of images.

    Attributes:
        name: see `models.attributes.Attributes`.
        low, middle, high: between `low` and `high` are four of five values.
        bars: the share of the values in each of as many equal steps.
        first, last: where the first step begins and the last ends.
    """

    name: str
    low: float
    middle: float
    high: float
    bars: tuple[float, ...]
    first: float
    last: float


@dataclass(frozen=True)
class DefectSample:
    """What the defects of some images are like.

    Attributes:
        images: that were measured.
        with_defect: of them.
        bright: of these.
        as_wanted: of the images, those that are as the run's wish has it; None where it has none.
        spreads: of each number of which there are values.
    """

    images: int
    with_defect: int
    bright: int
    as_wanted: int | None
    spreads: tuple[AttributeSpread, ...]


class Committed:
    """Which images of a run are safely there.

    Args:
        plan: of the run.
        done: see `jobs.dataset.manifest.committed`.
    """

    def __init__(self, plan: Plan, done: Mapping[int, int]) -> None:
        self._plan = plan
        labels = [None] if plan.mix is None else range(len(plan.mix.names))
        self._ranges: dict[int | None, list[tuple[int, int]]] = {label: [] for label in labels}
        for shard, stop in sorted(done.items()):
            start = shard * plan.shard_size
            if plan.mix is None:
                self._ranges[None].append((start, stop))
                continue
            counts = zip(plan.mix.counts(start), plan.mix.counts(stop), strict=True)
            for label, (first, last) in enumerate(counts):
                self._ranges[label].append((first, last))

    def count(self, label: int | None) -> int:
        """Images of a class, or where it is None of a run without classes."""
        return sum(last - first for first, last in self._ranges[label])

    def picked(self, label: int | None, size: int) -> list[int]:
        """At most `size` of their indices, evenly spread."""
        places = iter(spread(self.count(label), size))
        found, before, place = [], 0, next(places, None)
        for first, last in self._ranges[label]:
            while place is not None and place < before + last - first:
                number = first + place - before
                found.append(number if label is None or not self._plan.mix else self._plan.mix.image(label, number))
                place = next(places, None)
            before += last - first
        return found


def looks(store: Store, plan: Plan, committed: Committed) -> Iterator[Looks]:
    """Pictures of each class that has images.

    Raises:
        CommandError: 76 where an image is not there or damaged.
    """
    labels = [(None, "")] if plan.mix is None else list(enumerate(plan.mix.names))
    size = _SHOWN if plan.mix is None else _SHOWN_OF_CLASS
    pixels = plan.width * plan.height * len(plan.kinds) * len(labels)
    size = max(_LEAST_SHOWN, min(size // len(plan.kinds), _MOST_PIXELS // pixels))
    for label, name in labels:
        if indices := committed.picked(label, size):
            sheet = indexed_sheet(store, plan, indices)
            yield Looks(name, committed.count(label), len(indices), sheet, int.from_bytes(sheet[16:20]))


def measured(store: Store, plan: Plan, committed: Committed) -> DefectSample:
    """Measure the largest defects of some images of all classes, by their masks or else by a ridge filter.

    Raises:
        ImportError: scikit-image is not installed.
        CommandError: 76 where an image is not there or damaged.
    """
    labels = [None] if plan.mix is None else list(range(len(plan.mix.names)))
    indices = sorted(index for label in labels for index in committed.picked(label, -(-MEASURED // len(labels))))
    images = read_images(store, plan.format, map(plan.image, indices))
    masks: Iterator[NDArray[np.uint8] | None] = iter([None] * len(indices))
    if plan.masks is not None:
        masks = read_images(store, plan.masks, [name for index in indices if (name := plan.mask(index))])
    found = [
        attributes_of(gray(image), None if mask is None else mask[..., 0] > 0)
        for image, mask in zip(images, masks, strict=True)
    ]
    defects = [each for each in found if each.count]
    values = {name: np.array([float(getattr(each, name)) for each in defects]) for name in NUMBERS}
    values = {name: of[~np.isnan(of)] for name, of in values.items()}
    spreads = tuple(_spread(name, of) for name, of in values.items() if len(of) > 1)
    bright = sum(each.polarity == "bright" for each in defects)
    as_wanted = None if plan.wish is None else sum(map(plan.wish.accepts, found))
    return DefectSample(len(found), len(defects), bright, as_wanted, spreads)


def _spread(name: str, values: NDArray[Any]) -> AttributeSpread:
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    bars, edges = np.histogram(values, _BARS)
    shares = tuple(float(bar) / len(values) for bar in bars)
    return AttributeSpread(name, float(low), float(middle), float(high), shares, float(edges[0]), float(edges[-1]))
