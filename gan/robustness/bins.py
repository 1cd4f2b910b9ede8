"""Defects sorted into bins by what they are like: long or short, faint or strong, upright or lying, and where."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan.robustness.rates import Rate
from models.attributes import Attributes

LEAST_IMAGES = 10
"""Images in a bin of a number, and in a slice: of fewer, recall says next to nothing."""
_MOST_BINS = 5
UNITS = {"length": "px", "width": "px", "contrast": "gray levels"}
_DIRECTIONS = ("horizontal", "rising", "vertical", "falling")
"""The middle of each is 45° further, anticlockwise."""
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
_MANY = 3
Found = Sequence[Attributes]
Choice = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Bin:
    """Some of the images.

    Attributes:
        attribute: by which they were sorted.
        name: what they have in common, such as `length 12 to 20 px`.
        rows: bool `[N]`, which images.
        middle: geometric mean of their values, of `length`, `width` and `contrast`; None of all else.
    """

    attribute: str
    name: str
    rows: Choice
    middle: float | None = None


@dataclass(frozen=True)
class BinRate:
    """A bin's recall; name and middle as of `Bin`."""

    name: str
    rate: Rate
    middle: float | None = None


def sorted_into_bins(found: Found, size: tuple[int, int], classes: Sequence[str] | None = None) -> list[Bin]:
    """The bins of all attributes that tell images apart, those of an attribute next to each other; none is empty.

    Args:
        found: of each image.
        size: width and height of the images in pixels.
        classes: of each image, where there are any.
    """
    return [
        Bin(attribute, name, rows, _middle(attribute, found, rows))
        for attribute, parted in _parted(found, size, classes)
        if sum(bool(rows.any()) for _, rows in parted) > 1
        for name, rows in parted
        if rows.any()
    ]


def rates_of(bins: Sequence[Bin], hits: Choice) -> dict[str, tuple[BinRate, ...]]:
    """The recall of each bin, by attribute; `hits` bool `[N]`."""
    found: dict[str, list[BinRate]] = {}
    for each in bins:
        found.setdefault(each.attribute, []).append(BinRate(each.name, Rate.of(hits[each.rows]), each.middle))
    return {attribute: tuple(rates) for attribute, rates in found.items()}


def _parted(
    found: Found, size: tuple[int, int], classes: Sequence[str] | None
) -> Iterator[tuple[str, list[tuple[str, Choice]]]]:
    for attribute, unit in UNITS.items():
        yield attribute, _numbers(attribute, unit, column(found, attribute))
    direction = column(found, "direction")
    turned = np.floor(((direction + 22.5) % 180) / 45)
    yield (
        "direction",
        [(name, turned == place) for place, name in enumerate(_DIRECTIONS)]
        + [("without a direction", np.isnan(direction))],
    )
    across, down = (_third(column(found, name), side) for name, side in zip("xy", size, strict=True))
    yield (
        "position",
        [
            (f"{row} {name}", (down == at_row) & (across == at))
            for at_row, row in enumerate(_ROWS)
            for at, name in enumerate(_COLUMNS)
        ],
    )
    words = np.array([each.polarity for each in found])
    yield "polarity", [(word, words == word) for word in ("bright", "dark")]
    count = column(found, "count")
    named: Mapping[str, Callable[[NDArray[np.float64]], Choice]] = {
        "no defect seen": lambda of: of == 0,
        "one defect": lambda of: of == 1,
        "two defects": lambda of: of == 2,
        f"{_MANY} or more defects": lambda of: of >= _MANY,
    }
    yield "count", [(name, fits(count)) for name, fits in named.items()]
    if classes is not None:
        told = np.array(classes)
        yield "class", [(name, told == name) for name in sorted(set(classes))]


def column(found: Found, attribute: str) -> NDArray[np.float64]:
    """One number of all images, float64 `[N]`."""
    return np.array([getattr(each, attribute) for each in found], np.float64)


def names_of_attributes() -> tuple[str, ...]:
    """Of `Attributes`, in their order."""
    return tuple(field.name for field in dataclasses.fields(Attributes))


def _numbers(attribute: str, unit: str, values: NDArray[np.float64]) -> list[tuple[str, Choice]]:
    """Bins of about equally many images, with edges that can be read."""
    known = values[np.isfinite(values)]
    count = min(_MOST_BINS, len(known) // LEAST_IMAGES)
    if count < 2:
        return []
    edges = sorted({_short(float(edge)) for edge in np.quantile(known, np.arange(1, count) / count)})
    edges = [edge for edge in edges if known.min() < edge <= known.max()]
    places = np.where(np.isfinite(values), np.searchsorted(edges, values, "right"), -1)
    names = [f"{attribute} under {edges[0]:g} {unit}"] if edges else []
    names += [f"{attribute} {low:g} to {high:g} {unit}" for low, high in itertools.pairwise(edges)]
    names += [f"{attribute} from {edges[-1]:g} {unit}"] if edges else []
    return [(name, places == place) for place, name in enumerate(names)]


def _middle(attribute: str, found: Found, rows: Choice) -> float | None:
    if attribute not in UNITS:
        return None
    values = column(found, attribute)[rows]
    values = values[values > 0]
    return float(np.exp(np.log(values).mean())) if values.size else None


def _short(edge: float) -> float:
    return float(f"{edge:.2g}")


def _third(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    return np.minimum(np.floor(3 * values / side), 2)
