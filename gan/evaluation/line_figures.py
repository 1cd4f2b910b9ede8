"""The lines of generated images beside those of photos, in numbers, histograms, and in words where they differ."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.evaluation import strokes
from gan.evaluation.histograms import Histogram, Samples, of_kinds, of_values
from gan.evaluation.lines import DIRECTIONS, MOST_LINES, WIDTHS, Lines, find_lines

LEAST_SHARE = 0.05
"""Of the photos, for a kind to be missed."""
MOST_SHIFT = 0.33
"""How often more images than fewer may exceed the photos in something: a medium effect (Cliff, "Dominance statistics",
Psychological Bulletin 1993). What photos score among themselves is added."""
MOST_RIPPLE = 2.0
"""dB."""
ALONG = 0.5
"""Degrees between a line and the pixels' rows or columns that nobody sees: a pixel in 115."""
_SURE = 3.0
"""Standard errors of a difference that is no chance: one of 370, of more or less."""


def _towards(degrees: int, lines: Lines) -> Tensor:
    """Whether lines run within 22.5° of a direction."""
    return ((lines.direction - degrees + 90) % 180 - 90).abs() < 22.5


ALIGNED = "lines exactly along the pixels' rows or columns"
DIRECTION_KINDS = {"horizontal lines": 0, "rising lines": 45, "vertical lines": 90, "falling lines": 135}
"""Kinds of lines by their direction, degrees."""
KINDS: dict[str, Callable[[Lines], Tensor]] = {
    **{name: functools.partial(_towards, degrees) for name, degrees in DIRECTION_KINDS.items()},
    "bright lines": lambda lines: lines.bright,
    "dark lines": lambda lines: ~lines.bright,
    ALIGNED: lambda lines: lines.slant < ALONG,
}
"""Kinds of images by their strongest line: whether each is one, bool `[N]`."""
ATTRIBUTES = {
    "contrast": "grey levels",
    "length": "pixels",
    "width": "pixels",
    "count": "lines in an image",
    "slant": "degrees from the pixels' rows or columns",
    "edge": "pixels from dark to bright",
    "detail": "dB of the finest structure",
}
"""Numbers that each image has, with their units."""
_LESS_AND_MORE = {
    "contrast": ("fainter lines", "stronger lines"),
    "length": ("shorter lines", "longer lines"),
    "width": ("thinner lines", "broader lines"),
    "count": ("fewer lines", "more lines"),
    "slant": ("straighter lines", "more slanted lines"),
    "edge": ("harder edges", "softer edges"),
    "detail": ("less fine detail", "more fine detail"),
}


@dataclass(frozen=True)
class LineFigures:
    """The lines of generated images beside those of photos.

    Attributes:
        shares, shares_real: of each of `KINDS`, among the images and among the photos.
        medians, medians_real: of each of `ATTRIBUTES`.
        distances: of the images' distribution from the photos': for each of `ATTRIBUTES` how far a value has to move
            on average (Wasserstein), in standard deviations of the photos', of one unit at least; for `direction` the
            share of lines that would have to turn.
        distances_floor: the same between photos alone.
        missing: kinds that are rare among the images and not among the photos, in words.
        shifts: for each of `ATTRIBUTES` how much more often an image has more of it than a photo has, than less: 1 is
            always, -1 never, 0 as often.
        shifts_floor: the same between photos alone.
        ripples: for each period of `gan.evaluation.strokes.RIPPLES` how many dB they rise above the photos'.
        ripples_floor: the same between photos alone.
        apart: what sets the images' lines apart from the photos' beyond that, in words.
        profile, profile_real: brightness across the lines, the mean of all, 1 at the line and 0 around it.
        histograms: of all the attributes, of direction and tone.
    """

    shares: dict[str, float]
    shares_real: dict[str, float]
    medians: dict[str, float]
    medians_real: dict[str, float]
    distances: dict[str, float]
    distances_floor: dict[str, float]
    missing: tuple[str, ...]
    shifts: dict[str, float]
    shifts_floor: dict[str, float]
    ripples: dict[str, float]
    ripples_floor: dict[str, float]
    apart: tuple[str, ...]
    profile: tuple[float, ...]
    profile_real: tuple[float, ...]
    histograms: dict[str, Histogram]


def compare_lines(fakes: Tensor, photos: Tensor, floor: tuple[Tensor, Tensor]) -> LineFigures:
    """Compare the lines of images uint8 `[N, C, H, W]` with those of photos; `floor`: two sets of photos."""
    fake, real = find_lines(fakes), find_lines(photos)
    one, other = (real if images is photos else find_lines(images) for images in floor)
    shares, shares_real = (
        {name: float(of(lines).double().mean()) for name, of in KINDS.items()} for lines in (fake, real)
    )
    medians, medians_real = (
        {name: float(getattr(lines, name).median()) for name in ATTRIBUTES} for lines in (fake, real)
    )
    missing = tuple(
        f"{name}: photos {100 * share:.0f} %, images {100 * shares[name]:.0f} %"
        for name, share in shares_real.items()
        if is_missing(share, len(real.count), shares[name], len(fake.count))
    )
    ripples, _ = _ripples(fake, real)
    return LineFigures(
        shares=shares,
        shares_real=shares_real,
        medians=medians,
        medians_real=medians_real,
        distances=_distances(fake, real),
        distances_floor=_distances(one, other),
        missing=missing,
        shifts={name: _shift(name, fake, real) for name in ATTRIBUTES},
        shifts_floor={name: _shift(name, one, other) for name in ATTRIBUTES},
        ripples=ripples,
        ripples_floor=_ripples(one, other)[0],
        apart=(*_aligned_or_shifted(fake, real, one, other), *_rippled(fake, real)),
        profile=tuple(fake.profile.tolist()),
        profile_real=tuple(real.profile.tolist()),
        histograms=_histograms(real, fake, one, other),
    )


def _shift(name: str, lines: Lines, of: Lines) -> float:
    """How much more often an attribute is more than that `of` others, than less."""
    return float((getattr(lines, name)[:, None] - getattr(of, name)[None]).sign().mean())


def _shifted(fake: Lines, real: Lines, one: Lines, other: Lines) -> Iterator[str]:
    """The attributes of which the images have more or less than the photos, in words.

    Seven attributes, each by chance once in 370 times (Mann and Whitney's deviation): once in fifty times any of them.
    """
    n, m = len(fake.count), len(real.count)
    chance = _SURE * math.sqrt((n + m + 1) / (3 * n * m))
    for name, words in _LESS_AND_MORE.items():
        shift = _shift(name, fake, real)
        if abs(shift) > max(chance, MOST_SHIFT + abs(_shift(name, one, other))):
            yield f"{words[shift > 0]}: {_both(getattr(real, name), getattr(fake, name))} {ATTRIBUTES[name]}"


def _aligned_or_shifted(fake: Lines, real: Lines, one: Lines, other: Lines) -> list[str]:
    """Of the slant one sentence is enough."""
    aligned = list(_aligned(fake, real))
    slant = _LESS_AND_MORE["slant"][0]
    return aligned + [words for words in _shifted(fake, real, one, other) if not (aligned and words.startswith(slant))]


def _both(photos: Tensor, images: Tensor) -> str:
    """The middle values of photos and of images; where these are the same, their means."""
    middle = [f"{values.median():.1f}" for values in (photos, images)]
    if middle[0] == middle[1]:
        middle = [f"{values.double().mean():.2f}" for values in (photos, images)]
    return f"photos {middle[0]}, images {middle[1]}"


def _aligned(fake: Lines, real: Lines) -> Iterator[str]:
    """Whether too many lines run exactly along the pixels: far more than the photos', or hardly any does not."""
    images, photos = (float(KINDS[ALIGNED](lines).double().mean()) for lines in (fake, real))
    n, m = len(fake.count), len(real.count)
    if is_missing(images, n, photos, m) or is_missing(1 - photos, m, 1 - images, n):
        yield f"too many {ALIGNED}: photos {100 * photos:.0f} %, images {100 * images:.0f} %"


def _ripples(lines: Lines, of: Lines) -> tuple[dict[str, float], Tensor]:
    """How many dB ripples of each period rise above those `of` others, and the standard errors."""
    excess = lines.ripples.mean(dim=0) - of.ripples.mean(dim=0)
    errors = [found.ripples.std(dim=0) / math.sqrt(len(found.ripples)) for found in (lines, of)]
    return dict(zip(strokes.RIPPLES, excess.tolist(), strict=True)), torch.hypot(*errors)


def _rippled(fake: Lines, real: Lines) -> Iterator[str]:
    """Whether ripples run beside the lines, more than beside the photos': by chance once in 150 times."""
    ripples, errors = _ripples(fake, real)
    period = max(ripples, key=ripples.__getitem__)
    if ripples[period] > max(MOST_RIPPLE, _SURE * float(errors[list(ripples).index(period)])):
        yield f"ripples beside lines, one every {period}: {ripples[period]:.0f} dB above the photos'"


def _histograms(photos: Lines, images: Lines, one: Lines, other: Lines) -> dict[str, Histogram]:
    sets = photos, images, one, other

    def samples(of: Callable[[Lines], Tensor]) -> Samples:
        return Samples(*(of(lines) for lines in sets))

    directions = [{0: "lie", 45: "rise", 90: "stand", 135: "fall"}.get(step * 15, "") for step in range(DIRECTIONS)]
    widths, counts = [f"{2 * width:g}" for width in WIDTHS], [f"{count}" for count in range(1, MOST_LINES + 1)]
    turns = samples(lambda lines: (lines.direction / (180 / DIRECTIONS)).round())
    kinds = {
        "direction": of_kinds(turns, directions, f"in steps of {180 // DIRECTIONS} degrees"),
        "tone": of_kinds(samples(lambda lines: lines.bright), ["dark", "bright"], "line beside what is around it"),
        "width": of_kinds(samples(lambda lines: (lines.width / (2 * WIDTHS[0])).log2()), widths, ATTRIBUTES["width"]),
        "count": of_kinds(samples(lambda lines: lines.count - 1), counts, ATTRIBUTES["count"]),
    }
    values = {
        name: of_values(samples(operator.attrgetter(name)), unit, ALONG if name == "slant" else None)
        for name, unit in ATTRIBUTES.items()
        if name not in kinds
    }
    found = kinds | values
    return {name: found[name] for name in ("direction", "tone", *ATTRIBUTES)}


def is_missing(photos: float, n_photos: int, images: float, n_images: int) -> bool:
    """Whether a share that photos have is below half of it among the images, and not by chance (three deviations)."""
    both = (photos * n_photos + images * n_images) / (n_photos + n_images)
    deviation = math.sqrt(both * (1 - both) * (1 / n_photos + 1 / n_images))
    return photos >= LEAST_SHARE and images < photos / 2 and photos - images > 3 * deviation


def _distances(lines: Lines, of: Lines) -> dict[str, float]:
    """How far each attribute's distribution is from that `of` others."""
    turned = [
        found.direction.div(180 / DIRECTIONS).round().long().bincount(minlength=DIRECTIONS) for found in (lines, of)
    ]
    shares = [counts.double() / counts.sum() for counts in turned]
    result = {"direction": float((shares[0] - shares[1]).abs().sum() / 2)}
    levels = torch.linspace(0.005, 0.995, 100, dtype=torch.float64)
    for name in ATTRIBUTES:
        mine, theirs = getattr(lines, name).double(), getattr(of, name).double()
        apart = (mine.quantile(levels) - theirs.quantile(levels)).abs().mean()
        result[name] = float(apart / theirs.std().clamp_min(1.0))
    return result
