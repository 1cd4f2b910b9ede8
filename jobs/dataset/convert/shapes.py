"""Boxes and polygons of the defects in a mask.

A polygon runs along the edges of pixels, not through their centres: there a line of one pixel would have no area, and
`skimage.measure.find_contours` would give it half of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.convert import FILL, MIN_AREA, SIMPLIFY
from jobs.extras import extra

Points = NDArray[np.float64]
"""Corners `[N, 2]` of a polygon, x and y in pixels from the image's left upper corner; the first is not repeated."""


@dataclass(frozen=True)
class Shaping:
    """How a mask becomes shapes.

    Attributes:
        min_area: pixels that a connected component must have to count as a defect.
        holes: `fill` takes a hole in a defect for a part of it, `keep` leaves it out.
        simplify: by how many pixels a simplified outline may differ from the true one (Douglas and Peucker, 1973).
    """

    min_area: int = MIN_AREA
    holes: str = FILL
    simplify: float = SIMPLIFY


@dataclass(frozen=True)
class Shape:
    """One defect: a connected component of a mask, pixels that touch at a corner being connected.

    Attributes:
        left, top, right, bottom: its box in pixels; `right` and `bottom` are behind the last pixel.
        mask: bool `[bottom - top, right - left]`, with the holes as they were asked for.
        outline: its outer outline.
        holes: the outlines of its holes, where they are kept.
    """

    left: int
    top: int
    right: int
    bottom: int
    mask: NDArray[np.bool_]
    outline: Points
    holes: tuple[Points, ...]

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.mask.sum())

    def one_outline(self) -> Points:
        """A single polygon: holes are joined to the outer outline by a cut of no width."""
        joined = self.outline
        for hole in self.holes:
            distance = ((joined[:, None] - hole[None]) ** 2).sum(axis=2)
            at, to = np.unravel_index(int(distance.argmin()), distance.shape)
            way = np.concatenate([hole[to:], hole[: to + 1]])
            joined = np.concatenate([joined[: at + 1], way, joined[at:]])
        return joined


def shapes_of(mask: NDArray[np.bool_], shaping: Shaping) -> list[Shape]:
    """The defects in a mask bool `[H, W]`, from top to bottom by their first pixel.

    Raises:
        CommandError: 2 where scikit-image is not installed.
    """
    if not mask.any():
        return []
    with extra("convert", "skimage", "boxes and polygons need"):
        from skimage.measure import label, regionprops

    found = []
    for region in regionprops(label(mask, connectivity=2)):
        if region.area >= shaping.min_area:
            top, left, bottom, right = region.bbox
            inside = np.asarray(region.image, np.bool_)
            outer, *holes = _outlines(inside, left, top, shaping.simplify)
            if holes and shaping.holes == FILL:
                # Not skimage's own filling: it fills no hole that is open at a corner.
                around = label(np.pad(~inside, 1, constant_values=True), connectivity=1)
                inside, holes = (around != around[0, 0])[1:-1, 1:-1], []
            found.append(Shape(left, top, right, bottom, inside, outer, tuple(holes)))
    return found


def _outlines(mask: NDArray[np.bool_], left: int, top: int, simplify: float) -> list[Points]:
    """Of one component: its outer outline, then those of its holes."""
    loops = [np.array(loop, np.float64) for loop in _loops(mask)]
    loops.sort(key=_area, reverse=True)  # only the outer one runs clockwise, so only its area is positive
    return [_simplified(loop, simplify) + np.array([left, top]) for loop in loops]


def _loops(mask: NDArray[np.bool_]) -> Iterator[list[tuple[int, int]]]:
    """The edges between inside and outside as closed ways with the inside on their right, corners only.

    Where two pixels touch at a corner, the way goes on along the other one: the component stays one.
    """
    framed = np.pad(mask, 1)
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # Of each side of a pixel that has the outside behind it: where it begins, seen from the pixel, and which way it
    # runs.
    for (down, right), (x, y), step in (
        ((-1, 0), (0, 0), (1, 0)),
        ((0, 1), (1, 0), (0, 1)),
        ((1, 0), (1, 1), (-1, 0)),
        ((0, -1), (0, 1), (0, -1)),
    ):
        outside = ~framed[1 + down : framed.shape[0] - 1 + down, 1 + right : framed.shape[1] - 1 + right]
        for row, column in zip(*(index.tolist() for index in np.nonzero(mask & outside)), strict=True):
            steps.setdefault((column + x, row + y), []).append(step)
    while steps:
        place = start = next(iter(steps))
        loop: list[tuple[int, int]] = []
        before = (0, 0)
        while place in steps:
            ways = steps[place]
            step = next((way for way in ways if way == (before[1], -before[0])), ways[0]) if len(ways) > 1 else ways[0]
            ways.remove(step)
            if not ways:
                del steps[place]
            if step != before:
                loop.append(place)
            before, place = step, (place[0] + step[0], place[1] + step[1])
            if place == start and start not in steps:
                break
        yield loop[1:] if len(loop) > 1 and _is_straight(loop[-1], loop[0], loop[1]) else loop


def _is_straight(before: tuple[int, int], place: tuple[int, int], after: tuple[int, int]) -> bool:
    return (before[0] == place[0] == after[0]) or (before[1] == place[1] == after[1])


def _area(loop: Points) -> float:
    """Of a polygon, by the shoelace formula; negative where it runs anticlockwise as seen on the screen."""
    x, y = loop.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _simplified(loop: Points, tolerance: float) -> Points:
    if not tolerance:
        return loop
    from skimage.measure import approximate_polygon

    closed = np.concatenate([loop, loop[:1]])
    found: Points = approximate_polygon(closed, tolerance)[:-1]
    return found if len(found) >= 3 and abs(_area(found)) > 0 else loop  # what would vanish stays as it is
