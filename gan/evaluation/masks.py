"""The masks of generated images beside those of photos: are the defects as large, as long, as broad, at such places?

How well a mask fits what the image shows: `gan.evaluation.segmenter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gan.evaluation.histograms import Histogram, Samples, of_kinds, of_values
from gan.evaluation.lines import DIRECTIONS
from gan.evaluation.mask_values import (
    ATTRIBUTES,
    LEAST_VALUES,
    LOOKED_AT,
    Attribute,
    Measured,
    Values,
    measured,
    values_of,
)
from gan.evaluation.segmenter import Agreement, agreement
from gan.photos.read import ImageSet
from models.attributes import LEAST_AREA
from models.picks import spread

Distance = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
MOST_RATIO = 1.5
"""Distance of generated defects from those of photos, over that between photos, up to which they are as good."""
SHOWN_SLENDER = 16
_ROUNDS = 100
_SURE = 4.0
"""Deviations of a distance that is no chance."""
_LEAST_FLOOR = 0.1
"""Deviations: no photos are nearer to each other than this but by luck. Of shares it is one image."""
_UNCHANGED = (0.8, 1.25)
"""Between which two sizes are called the same."""
_TURN = 180.0 / math.sqrt(12)
"""Degrees: the deviation of directions that are all as frequent."""


@dataclass(frozen=True)
class MaskFigure:
    """One thing that a mask says of defects.

    Attributes:
        unit: of the values.
        images, photos: the middle value of generated defects and of those of photos; of shares, numbers and directions
            see `gan.evaluation.mask_values.ATTRIBUTES`.
        distance: how far a value of the generated ones would have to move on average (Wasserstein), in deviations of
            the photos' values; of shares as it is.
        floor: the same between two sets of photos, or by chance alone where that is more.
        ratio: of the two: 1 is as near as photos are to each other.
        apart: in words how they differ; empty where the ratio is at most `MOST_RATIO`, also of the distance from
            photos that were trained on, or where it may be chance.
        histogram: of the values, None of shares.
    """

    unit: str
    images: float
    photos: float
    distance: float
    floor: float
    ratio: float
    apart: str
    histogram: Histogram | None


@dataclass(frozen=True)
class MaskFigures:
    """What the masks of generated images are like beside those of photos.

    Attributes:
        defects, defects_real: how many connected parts were measured, of images and of photos.
        figures: by name, of those that have values enough among images and photos.
        slender, slender_real: the places of those images, and photos, whose defects are longest for their width, the
            longest first; `SHOWN_SLENDER` at most.
        agreement: None where it was not asked.
    """

    defects: int
    defects_real: int
    figures: dict[str, MaskFigure]
    slender: tuple[int, ...]
    slender_real: tuple[int, ...]
    agreement: Agreement | None = None


def compare_masks(
    fake: ImageSet, real: ImageSet, train: ImageSet | None, seed: int, segmenter: str | None = None
) -> MaskFigures:
    """Measure and compare; all have masks.

    Args:
        fake: generated images.
        real: photos that were not trained on.
        train: photos that were trained on, for the floor; None: halves of `real` give it.
        seed: of what is drawn at random.
        segmenter: the device on which one is trained that asks how well masks fit; None: it is not asked.
    """
    images, photos = measured(fake), measured(real)
    known = None if train is None else measured(train)
    figures = {}
    for name, attribute in ATTRIBUTES.items():
        of = [values_of(attribute, found) for found in (images, photos, *([known] if known else []))]
        if all(len(values.values) >= LEAST_VALUES for values in of):
            random = np.random.default_rng(seed)
            figures[name] = _figure(name, attribute, of[0], of[1], of[2] if known else None, random)
    return MaskFigures(
        defects=_count(images),
        defects_real=_count(photos),
        figures=figures,
        slender=_slender(images, len(fake.names)),
        slender_real=_slender(photos, len(real.names)),
        agreement=None if segmenter is None else agreement(fake, real, train, seed, segmenter),
    )


def _slender(found: Measured, count: int) -> tuple[int, ...]:
    rows = spread(count, LOOKED_AT)
    most = {
        row: max(defect.length / defect.width for defect in defects if defect.length > 0)
        for row, defects in zip(rows, found, strict=True)
        if defects and defects[0].area >= LEAST_AREA
    }
    return tuple(sorted(most, key=lambda row: (-most[row], row))[:SHOWN_SLENDER])


def _count(found: Measured) -> int:
    return sum(map(len, found))


def _figure(
    name: str, attribute: Attribute, images: Values, photos: Values, known: Values | None, random: np.random.Generator
) -> MaskFigure:
    all_photos = photos.values if known is None else np.concatenate([photos.values, known.values])
    distance = _distance(attribute, all_photos)
    least = 1 / photos.count if attribute.kind == "share" else _LEAST_FLOOR
    by_chance = list(_between(distance, photos, known, random))
    floor = max(float(np.mean(by_chance)), least)
    if known is not None:
        floor = max(floor, distance(photos.values, known.values))
    apart = distance(images.values, photos.values)
    better = name == "standing out" and images.values.mean() > photos.values.mean()
    of_photos = [photos] if known is None else [photos, known]  # what is like either of them is no fault
    differs = not better and all(_is_apart(distance, images, of, floor, random) for of in of_photos)
    words = _words(name, attribute, images.values, photos.values) if differs else ""
    spread = (photos.values[::2], photos.values[1::2]) if known is None else (photos.values, known.values)
    return MaskFigure(
        unit=attribute.unit,
        images=attribute.middle(images.values),
        photos=attribute.middle(photos.values),
        distance=apart,
        floor=floor,
        ratio=apart / floor,
        apart=words,
        histogram=_histogram(name, attribute, photos.values, images.values, *spread),
    )


def _is_apart(distance: Distance, images: Values, photos: Values, floor: float, random: np.random.Generator) -> bool:
    """Whether they are farther than photos are from each other, and not by chance."""
    apart = distance(images.values, photos.values)
    if apart <= MOST_RATIO * floor:
        return False
    mixed = np.array(list(_between(distance, photos, images, random)))
    return apart > float(mixed.mean() + _SURE * mixed.std())


def _distance(attribute: Attribute, photos: NDArray[np.float64]) -> Distance:
    """How far two sets of values are apart, in deviations of the photos'."""
    if attribute.kind == "direction":
        return lambda one, other: turn_between(one, other) / _TURN
    from scipy.stats import wasserstein_distance

    unit = 1.0 if attribute.kind in ("share", "part") else max(float(photos.std()), attribute.least)
    return lambda one, other: float(wasserstein_distance(one, other)) / unit


def turn_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Degrees by which a direction of `one` has to turn on average to become one of `other`; both 0 to 180.

    The Wasserstein distance on a circle (Rabin, Delon and Gousseau, "Transportation Distances on the Circle", Journal
    of Mathematical Imaging and Vision 2011): the area between both distributions, over the best place to begin.
    """
    places = np.sort(np.concatenate([one, other]))
    steps = np.diff(places, append=places[0] + 180)
    ahead = (np.searchsorted(np.sort(one), places, "right") / len(one)) - (
        np.searchsorted(np.sort(other), places, "right") / len(other)
    )
    order = np.argsort(ahead)
    half = np.searchsorted(np.cumsum(steps[order]), steps.sum() / 2)
    return float((np.abs(ahead - ahead[order][half]) * steps).sum())


def _between(distance: Distance, one: Values, other: Values | None, random: np.random.Generator) -> Iterator[float]:
    """What chance makes of the distance: both sets mixed, image by image, and parted again; halves of one set alone."""
    if other is None:
        values, rows, count, first = one.values, one.rows, one.count, one.count // 2
    else:
        values = np.concatenate([one.values, other.values])
        rows = np.concatenate([one.rows, other.rows + one.count])
        count, first = one.count + other.count, one.count
    for _ in range(_ROUNDS):
        chosen = np.zeros(count, bool)
        chosen[random.permutation(count)[:first]] = True
        inside = chosen[rows]
        if inside.any() and not inside.all():
            yield distance(values[inside], values[~inside])


def _words(name: str, attribute: Attribute, images: NDArray[np.float64], photos: NDArray[np.float64]) -> str:
    """How generated defects differ from those of photos."""
    if attribute.kind in ("share", "part"):
        shares = f"{100 * images.mean():.0f} %", f"{100 * photos.mean():.0f} %"
        return attribute.said.format(*shares)
    if attribute.kind == "direction":
        return _turned_words(images, photos)
    if attribute.kind == "size":
        times = 2 ** float(images.mean() - photos.mean())
        if not _UNCHANGED[0] <= times <= _UNCHANGED[1]:
            return f"generated defects are {times:.1f} × as {attribute.said} as real ones"
        images, photos = 2**images, 2**photos
    ends = [np.quantile(values, (0.1, 0.9)) for values in (images, photos)]
    said = [f"{low:.{attribute.digits}f} to {high:.{attribute.digits}f}" for low, high in ends]
    return f"{name} is mostly {said[0]} {attribute.unit}, of real ones {said[1]}"


def _turned_words(images: NDArray[np.float64], photos: NDArray[np.float64]) -> str:
    words = ("lie", "rise", "stand", "fall")
    shares = [
        np.bincount((values / 45).round().astype(int) % 4, minlength=4) / len(values) for values in (images, photos)
    ]
    most = int(np.abs(shares[0] - shares[1]).argmax())
    return f"{100 * shares[0][most]:.0f} % of long defects {words[most]}, of real ones {100 * shares[1][most]:.0f} %"


def _histogram(name: str, attribute: Attribute, *sets: NDArray[np.float64]) -> Histogram | None:
    samples = Samples(*(torch.from_numpy(values) for values in sets))
    match attribute.kind:
        case "share":
            return None
        case "direction":
            step = 180 / DIRECTIONS
            bars = [
                {0: "lie", 45: "rise", 90: "stand", 135: "fall"}.get(round(bar * step), "") for bar in range(DIRECTIONS)
            ]
            return of_kinds(Samples(*((of / step).round() % DIRECTIONS for of in samples)), bars, attribute.unit)
        case "size":
            low, high = _ends([*sets[:2]])
            bars = [f"{2**bar}" for bar in range(low, high)] + [f"{2**high}+"]
            return of_kinds(Samples(*(of.floor() - low for of in samples)), bars, attribute.unit, begins=True)
        case "number":
            most = 8
            bars = [f"{bar}" for bar in range(1, most)] + [f"{most}+"]
            return of_kinds(Samples(*(of - 1 for of in samples)), bars, attribute.unit)
    return of_values(samples, attribute.unit, 0.1 if attribute.kind == "part" else None)


def _ends(sets: Sequence[NDArray[np.float64]]) -> tuple[int, int]:
    both = np.concatenate(sets)
    return math.floor(both.min()), max(math.floor(both.max()), math.floor(both.min()) + 1)
