"""Pictures of what lines are like: a small panel each, generated images beside photos, for whoever reads no tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan.evaluation.comparison import Quality, Sets
from gan.evaluation.histograms import Histogram, Samples, of_kinds
from gan.evaluation.lines import LOOKED_AT
from gan.evaluation.places import strongest
from gan.evaluation.strokes import ACROSS
from gan.photos.read import ImageSet
from models.picks import spread

SCALE = 2
"""Pixels drawn for one shown, so that a fine screen has fine letters."""
WIDTH, HEIGHT = 330, 150
"""Shown, of a panel of one column."""
PAPER, INK, FAINT = (255, 255, 255), (60, 60, 60), (218, 218, 218)
PHOTOS, IMAGES = (70, 70, 70), (232, 89, 12)
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 8, 10, 22
_LETTERS = 12
PLACE = 4
"""Pixels that a bar of the positions is wide: half the period of the finest grid that is looked for."""
TITLES = {
    "direction": "Direction",
    "tone": "Tone",
    "contrast": "Contrast",
    "length": "Length",
    "width": "Width",
    "count": "Number",
    "slant": "Slant",
    "edge": "Softness",
    "detail": "Fine detail",
}
_TOPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Panel:
    """A picture, what it is of, in which unit, and how wide it is shown, in pixels."""

    title: str
    unit: str
    picture: Image.Image

    @property
    def width(self) -> int:
        return self.picture.width // SCALE


def panels(quality: Quality, sets: Sets) -> list[Panel]:
    """What the lines are like, how bright it is across them, and where they stand."""
    lines = quality.lines
    drawn = [Panel(TITLES[name], found.unit, bars(found)) for name, found in lines.histograms.items()]
    labels = [f"{at}" if at % 10 == 0 else "" for at in range(-ACROSS, ACROSS + 1)]
    across = curves(lines.profile_real, lines.profile, labels)
    drawn.append(Panel("Across a line", "contrast of the mean line, by pixels from its middle", across))
    return drawn + [Panel(f"Position, {axis}", found.unit, bars(found, 3)) for axis, found in positions(sets).items()]


def positions(sets: Sets) -> dict[str, Histogram]:
    """Where the sharpest column and row of each image stand; the spread is of training photos, or of halves."""
    images, photos = _strongest(sets.fake), _strongest(sets.real)
    known = None if sets.train is None else _strongest(sets.train)
    height, width = sets.real.images.shape[2:]
    found = {}
    for axis, side, end in (("columns", width, "left"), ("rows", height, "top")):
        at = photos[axis]
        samples = Samples(at, images[axis], *((at, known[axis]) if known else (at[::2], at[1::2])))
        found[axis] = of_kinds(
            Samples(*(places // PLACE for places in samples)),
            [f"{start}" for start in range(0, side, PLACE)],
            f"pixels from the {end} to the sharpest of the {axis} of each image",
            begins=True,
        )
    return found


def _strongest(images: ImageSet) -> dict[str, Tensor]:
    return strongest(images.images[spread(len(images.images), LOOKED_AT)])


def bars(histogram: Histogram, columns: int = 1) -> Image.Image:
    """Two bars a value: photos on the left, generated images on the right; behind them the spread of photos."""
    spread = histogram.spread
    highest = max(*histogram.photos, *histogram.images, *spread[0], *spread[1])
    top = next(share for share in _TOPS if share >= highest - 1e-9)
    picture, draw, (left, high, right, low) = _paper(columns)
    for share in (0.0, top / 2, top):
        level = low - share / top * (low - high)
        draw.line([left, level, right, level], FAINT if share else INK, SCALE)
        _write(draw, left - 5 * SCALE, level, f"{100 * share:g} %", "rm")
    slot = (right - left) / len(histogram.bars)
    pairs = zip(*spread, histogram.photos, histogram.images, strict=True)
    for bar, (one, other, photos, images) in enumerate(pairs):
        start = left + bar * slot
        for begin, end, shares, colour in (
            (0.02, 0.98, (one, other), FAINT),
            (0.12, 0.5, (0.0, photos), PHOTOS),
            (0.5, 0.88, (0.0, images), IMAGES),
        ):
            ends = [low - share / top * (low - high) for share in (max(shares), min(shares))]
            if ends[1] - ends[0] >= 1:
                draw.rectangle([round(start + begin * slot), ends[0], round(start + end * slot) - 1, ends[1]], colour)
    _label(draw, histogram.bars, left if histogram.begins else left + slot / 2, slot, low)
    return picture


def curves(photos: Sequence[float], images: Sequence[float], labels: Sequence[str]) -> Image.Image:
    """Two curves on one scale: photos below, generated images upon them."""
    picture, draw, (left, high, right, low) = _paper(1)
    least, most = min(0.0, *photos, *images), max(1.0, *photos, *images)
    slot = (right - left) / len(photos)
    for value in (0.0, 1.0):
        level = low - (value - least) / (most - least) * (low - high)
        draw.line([left, level, right, level], FAINT, SCALE)
        _write(draw, left - 5 * SCALE, level, f"{100 * value:g} %", "rm")
    for values, colour in ((photos, PHOTOS), (images, IMAGES)):
        points = [
            (left + (at + 0.5) * slot, low - (value - least) / (most - least) * (low - high))
            for at, value in enumerate(values)
        ]
        draw.line(points, colour, 2 * SCALE, "curve")
    _label(draw, labels, left + slot / 2, slot, low)
    return picture


def _paper(columns: int) -> tuple[Image.Image, ImageDraw.ImageDraw, tuple[int, int, int, int]]:
    """An empty panel, and where on it things are drawn: left, top, right, bottom."""
    width, height = columns * WIDTH * SCALE, HEIGHT * SCALE
    picture = Image.new("RGB", (width, height), PAPER)
    area = _LEFT * SCALE, _TOP * SCALE, width - _RIGHT * SCALE, height - _BOTTOM * SCALE
    return picture, ImageDraw.Draw(picture), area


def _label(draw: ImageDraw.ImageDraw, labels: Sequence[str], first: float, slot: float, low: float) -> None:
    """Write as many of the labels below the bars as have room, evenly spaced; where some are empty, all the others."""
    widest = max(draw.textlength(label, _font()) for label in labels) + 6 * SCALE
    every = max(1, -int(-widest // slot)) if all(labels) else 1
    for bar in range(0, len(labels), every):
        _write(draw, first + bar * slot, low + 4 * SCALE, labels[bar], "mt")


def _write(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, anchor: str) -> None:
    draw.text((x, y), text, INK, _font(), anchor)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_LETTERS * SCALE)
