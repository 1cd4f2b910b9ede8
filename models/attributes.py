"""What the defects in an image are like: how large, long and broad, where, which way, how visible.

By its mask, or where there is none by one that a ridge filter finds. Neither a network nor PyTorch is needed: whoever
has an image can ask. SciPy and scikit-image measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.found import Mask
from models.found import found_mask as found_mask

MEASURE = 1
"""Version of `attributes_of`: it rises whenever an image may get another answer, and runs with a wish record it."""
NUMBERS = ("count", "area", "length", "width", "direction", "contrast", "x", "y")
"""Names of the numbers in `Attributes`."""
UNITS = {
    "count": "defects", "area": "pixels", "length": "pixels, along the defect", "width": "pixels, across the defect",
    "direction": "degrees from horizontal, anticlockwise", "contrast": "gray levels", "x": "pixels from the left",
    "y": "pixels from the top",
}  # fmt: skip
"""Of `NUMBERS`, in words."""
WORDS = {"polarity": ("bright", "dark"), "defect": ("none", "any")}
"""What is told in words, and the words; `defect` is `none` where `Attributes.count` is 0."""
LEAST_AREA = 4
"""Pixels: what is smaller counts as a defect, and has no length, width or direction worth the name."""
MOST_MEASURED = 20
"""Defects of a mask, the largest, that are measured; dust has thousands, and says no more."""
RING = (1.0, 6.0)
"""Pixels from a defect's edge to where the ring around it begins and ends: masks of photos are off by one."""
_WAYS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
_ELONGATED = 2.0
"""Major over minor axis, from which on a defect has a direction."""


@dataclass(frozen=True)
class MaskedDefect:
    """One connected part of a mask; pixels that touch at a corner are connected.

    All but area, place and border is NaN where it is smaller than `LEAST_AREA` or not among the largest.

    Attributes:
        area: pixels.
        length: pixels along its skeleton from end to end, the longest way.
        width: pixels across, twice the mean distance from its skeleton to its edge; of lines right within a pixel.
        direction: degrees from horizontal, 0 to 180, anticlockwise; NaN where it is hardly longer than broad.
        x, y: of its centre, pixels from the left and from the top.
        on_border: whether it touches the image's border.
        contrast: grey levels between the medians of its pixels and of a ring around it; NaN where no ring is left.
        polarity: `bright` where its pixels are brighter than the ring, `dark` where darker, else empty.
        stands_out: of up to eight places beside it the share where a defect of its shape would have less contrast; NaN
            where there is no such place. A mask that lies beside its defect has some half, one that fits nearly 1.
    """

    area: int
    length: float
    width: float
    direction: float
    x: float
    y: float
    on_border: bool
    contrast: float
    polarity: str
    stands_out: float


@dataclass(frozen=True)
class Attributes:
    """What an image shows: how many defects, and what the main one, the largest by area, is like.

    Attributes:
        count: connected parts of the mask.
        area, length, width, direction, contrast, polarity, x, y: see `MaskedDefect`; NaN and empty where count is 0.
    """

    count: int
    area: float
    length: float
    width: float
    direction: float
    contrast: float
    polarity: str
    x: float
    y: float


_NONE = Attributes(0, math.nan, math.nan, math.nan, math.nan, math.nan, "", math.nan, math.nan)


def attributes_of(gray: NDArray[np.uint8], mask: Mask | None = None) -> Attributes:
    """Measure an image.

    Args:
        gray: the image uint8 `[H, W]`.
        mask: bool `[H, W]`, True where the defect is; None: where `found_mask` finds one.
    """
    found = masked_defects(found_mask(gray) if mask is None else mask, gray, most=1)
    if not found:
        return _NONE
    main = found[0]
    return Attributes(
        count=len(found),
        area=float(main.area),
        length=main.length,
        width=main.width,
        direction=main.direction,
        contrast=main.contrast,
        polarity=main.polarity,
        x=main.x,
        y=main.y,
    )


def masked_defects(mask: Mask, gray: NDArray[Any], most: int = MOST_MEASURED) -> list[MaskedDefect]:
    """Every connected part of a mask, the largest first.

    Args:
        mask: `[H, W]`, True where the defect is.
        gray: the image `[H, W]`, 0 to 255.
        most: how many, the largest, are measured.
    """
    from skimage.measure import label, regionprops

    height, width = mask.shape
    labelled = label(mask, connectivity=2)
    found = []
    for place, part in enumerate(sorted(regionprops(labelled), key=lambda part: -part.area)):
        top, left, bottom, right = part.bbox
        length = across = direction = contrast = stands_out = math.nan
        if part.area >= LEAST_AREA and place < most:
            length, across = _extent(part.image)
            direction = _direction(part)
            contrast, stands_out = _contrasts(labelled, part, gray, across)
        found.append(
            MaskedDefect(
                area=int(part.area),
                length=length,
                width=across,
                direction=direction,
                x=float(part.centroid[1]),
                y=float(part.centroid[0]),
                on_border=top == 0 or left == 0 or bottom == height or right == width,
                contrast=abs(contrast),
                polarity="bright" if contrast > 0 else "dark" if contrast < 0 else "",
                stands_out=stands_out,
            )
        )
    return found


def _extent(part: Mask) -> tuple[float, float]:
    """Length and width in pixels of a connected part that fills its frame `[H, W]`."""
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    padded = np.pad(part, 1)
    # From the middle of a pixel to that of the nearest outside: half a pixel more than to the edge.
    inside = distance_transform_edt(padded) - 0.5
    skeleton = skeletonize(padded)
    # The middle of an even width lies between pixels: a quarter of a pixel on each side is what that costs on average.
    width = 2 * float(inside[skeleton].mean()) + 0.5
    ends, length = _longest_way(skeleton)
    return length + sum(float(inside[end]) for end in ends), width  # a skeleton ends half a width before the defect


def _longest_way(skeleton: Mask) -> tuple[list[tuple[int, ...]], float]:
    """Both ends of the longest of all shortest ways within a skeleton, and how long it is in pixels.

    The farthest place from any place is an end of it, and the farthest from there the other one: exact where the
    skeleton has no loop (Handler, "Minimax location of a facility in an undirected tree graph", 1973).
    """
    from skimage.graph import MCP_Geometric

    costs = np.where(skeleton, 1.0, -1.0)  # what is negative cannot be walked on
    end: tuple[int, ...] = tuple(int(at[0]) for at in np.nonzero(skeleton))
    ends = [end]
    farthest = 0.0
    for _ in range(2):
        ways, _ = MCP_Geometric(costs).find_costs([end])
        ways = np.where(np.isfinite(ways) & skeleton, ways, -1.0)
        end = tuple(map(int, np.unravel_index(int(ways.argmax()), ways.shape)))
        ends = [ends[-1], end]
        farthest = float(ways[end])
    return ends, farthest


def _direction(part: Any) -> float:
    """Of the major axis of scikit-image's `RegionProperties`, which tells it from the rows' axis."""
    minor = max(part.axis_minor_length, 1.0)
    if part.axis_major_length < _ELONGATED * minor:
        return math.nan
    return float((math.degrees(part.orientation) + 90) % 180)


def _contrasts(labelled: NDArray[Any], part: Any, gray: NDArray[Any], width: float) -> tuple[float, float]:
    """`MaskedDefect.contrast`, negative where the defect is darker, and `stands_out`."""
    from scipy.ndimage import distance_transform_edt

    reach = math.ceil(RING[1])
    framed = np.pad(part.image, reach)
    away = distance_transform_edt(~framed)
    corner = np.array(part.bbox[:2])[:, None] - reach
    inside, ring = (np.array(np.nonzero(of)) + corner for of in (framed, (away > RING[0]) & (away <= RING[1])))
    free = labelled == 0
    around = ring[:, _within(ring, free)]
    if not around.size:
        return math.nan, math.nan
    contrast = _between(gray, inside, around)
    weaker = []
    step = round(width) + 2 * reach
    for down, right in _WAYS:
        by = np.array([[down * step], [right * step]])
        moved, moved_ring = (at[:, _within(at, free)] for at in (inside + by, ring + by))
        if moved.shape[1] >= inside.shape[1] / 2 and moved_ring.shape[1] >= ring.shape[1] / 2:
            weaker.append(abs(_between(gray, moved, moved_ring)) < abs(contrast))
    return contrast, float(np.mean(weaker)) if weaker else math.nan


def _within(places: NDArray[Any], free: Mask) -> Mask:
    """Which of places `[2, P]` lie in the image, where it is `free`."""
    sides = np.array(free.shape)[:, None]
    there: Mask = np.all((places >= 0) & (places < sides), axis=0)
    there[there] = free[tuple(places[:, there])]
    return there


def _between(gray: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.median(gray[tuple(one)]) - np.median(gray[tuple(other)]))
