"""What the lines in images are like: their direction, tone, contrast, length, width and number.

A ridge filter, the second derivative of a Gaussian across and a long Gaussian along (Lindeberg, "Edge Detection and
Ridge Detection with Automatic Scale Selection", IJCV 1998, section 4), looks in twelve directions and at three widths.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from models.picks import spread

LOOKED_AT = 300
DIRECTIONS = 12
WIDTHS = (1.0, 2.0, 4.0)
"""Pixels: deviations of the Gaussian across."""
_ALONG = 6.0
LEAST_SHARE = 0.05
"""Of the photos, for a kind to be missed."""
_STRONG = 0.5
"""Of the strongest line's contrast: what another line needs to count."""
_MOST_LINES = 6
_APART = 12.0
"""Pixels between two lines that are two."""
_REACH = 16
"""Pixels by which an image is mirrored beyond its border."""
_POOL = 4
"""Pixels of the image in one place where lines are counted."""
_BLOCK = 4
"""Images at once: what their filters answer fits into a processor's cache."""


@dataclass(frozen=True)
class Lines:
    """Of each image its strongest line, and how many there are; all `[N]`.

    Attributes:
        direction: degrees from horizontal, 0 to 180, anticlockwise, in steps of 15.
        bright: whether it is brighter than what is around it.
        contrast: grey levels.
        length: pixels along which it has half of its contrast at least.
        width: pixels, twice the deviation of the Gaussian that fits best.
        count: lines of its tone and of at least half its contrast.
    """

    direction: Tensor
    bright: Tensor
    contrast: Tensor
    length: Tensor
    width: Tensor
    count: Tensor


def find_lines(images: Tensor) -> Lines:
    """Measure images uint8 `[N, C, H, W]`, `LOOKED_AT` of them at most, evenly spaced; of colour their mean counts."""
    images = images[spread(len(images), LOOKED_AT)]
    bank = _bank(*(side + 2 * _REACH for side in images.shape[2:]))
    parts = [_find(part.float().mean(dim=1), bank) for part in torch.split(images, _BLOCK)]
    return Lines(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _towards(degrees: int, lines: Lines) -> Tensor:
    """Whether lines run within 22.5° of a direction."""
    return ((lines.direction - degrees + 90) % 180 - 90).abs() < 22.5


DIRECTION_KINDS = {"horizontal lines": 0, "rising lines": 45, "vertical lines": 90, "falling lines": 135}
"""Kinds of lines by their direction, degrees."""
KINDS: dict[str, Callable[[Lines], Tensor]] = {
    **{name: functools.partial(_towards, degrees) for name, degrees in DIRECTION_KINDS.items()},
    "bright lines": lambda lines: lines.bright,
    "dark lines": lambda lines: ~lines.bright,
}
"""Kinds of images by their strongest line: whether each is one, bool `[N]`."""
ATTRIBUTES = {"contrast": "grey levels", "length": "pixels", "width": "pixels", "count": "lines in an image"}
"""Numbers that each image's lines have, with their units."""


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
    """

    shares: dict[str, float]
    shares_real: dict[str, float]
    medians: dict[str, float]
    medians_real: dict[str, float]
    distances: dict[str, float]
    distances_floor: dict[str, float]
    missing: tuple[str, ...]


def compare_lines(fakes: Tensor, photos: Tensor, floor: tuple[Tensor, Tensor]) -> LineFigures:
    """Compare the lines of images uint8 `[N, C, H, W]` with those of photos; `floor`: two sets of photos."""
    fake, real, one, other = (find_lines(images) for images in (fakes, photos, *floor))
    shares, shares_real = (
        {name: float(of(lines).double().mean()) for name, of in KINDS.items()} for lines in (fake, real)
    )
    medians, medians_real = (
        {name: float(getattr(lines, name).median()) for name in ATTRIBUTES} for lines in (fake, real)
    )
    missing = tuple(
        f"{name}: photos {100 * share:.0f} %, images {100 * shares[name]:.0f} %"
        for name, share in shares_real.items()
        if _is_missing(share, len(real.count), shares[name], len(fake.count))
    )
    return LineFigures(
        shares, shares_real, medians, medians_real, _distances(fake, real), _distances(one, other), missing
    )


def _is_missing(photos: float, n_photos: int, images: float, n_images: int) -> bool:
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


def _bank(height: int, width: int) -> Tensor:
    """Spectra of the filters, two in one, `[DIRECTIONS · WIDTHS / 2, height, width]`; each gives a contrast in levels.

    The second of a pair is imaginary: so is its answer, and one complex transform brings both.
    """
    y, x = (torch.fft.fftfreq(side, 1 / side) for side in (height, width))
    y, x = y[:, None], x[None, :]
    filters = []
    for step in range(DIRECTIONS):
        angle = math.pi * step / DIRECTIONS
        along, across = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        for sigma in WIDTHS:
            ridge = (1 - across.square() / sigma**2) * torch.exp(-across.square() / (2 * sigma**2))
            kernel = ridge * torch.exp(-along.square() / (2 * _ALONG**2))
            kernel = kernel - kernel.mean()
            # A line of this very width and of contrast 1, at the middle of the filter, shall answer with 1.
            line = torch.exp(-across.square() / (2 * sigma**2))
            filters.append(kernel / (kernel * line).sum())
    spectra: Tensor = torch.fft.fft2(torch.complex(torch.stack(filters[::2]), torch.stack(filters[1::2])))
    return spectra


def _find(gray: Tensor, bank: Tensor) -> tuple[Tensor, ...]:
    """The fields of `Lines` for gray images, float `[N, H, W]`, by filters for images `_REACH` larger all around."""
    n, height, width = gray.shape
    mirrored = pad(gray[:, None], (_REACH,) * 4, mode="reflect")[:, 0]
    pairs = torch.fft.ifft2(torch.fft.fft2(mirrored)[:, None] * bank)[..., _REACH:-_REACH, _REACH:-_REACH]
    answers = torch.view_as_real(pairs).movedim(-1, 2).reshape(n, DIRECTIONS, len(WIDTHS), height, width)
    at = answers.abs().flatten(1).argmax(dim=1)
    step, _, y, x = torch.unravel_index(at, answers.shape[1:])
    angle = step * (math.pi / DIRECTIONS)
    every = torch.arange(n)
    # To a line of deviation t a filter of deviation s answers as s²t / (s² + t²)^1.5 does: over √s it is most at s = t.
    wide = (answers[every, step, :, y, x].abs() / torch.tensor(WIDTHS).sqrt()).argmax(dim=1)
    best = answers[every, step, wide, y, x]
    peak, sign = best.abs(), best.sign()
    same = answers[every, :, wide] * sign[:, None, None, None]  # what is beside a line answers with the other sign
    strong = same.amax(dim=1) >= _STRONG * peak[:, None, None]
    return (
        step * (180 / DIRECTIONS),
        sign > 0,
        peak,
        _length(strong, y, x, angle),
        2 * torch.tensor(WIDTHS)[wide],
        _count(max_pool2d(same, _POOL), peak),
    )


def _length(strong: Tensor, y: Tensor, x: Tensor, angle: Tensor) -> Tensor:
    """How far a line goes on from a place in both directions: of bool `[N, H, W]` at `y`, `x` `[N]`, float `[N]`."""
    height, width = strong.shape[1:]
    strong = max_pool2d(strong.float()[:, None], 5, 1, 2)[:, 0]  # directions are up to 7.5° off
    far = torch.arange(1, height + width)
    length = torch.ones(len(y))
    for way in (1, -1):
        down = (y[:, None] - way * far * angle.sin()[:, None]).round().long()
        right = (x[:, None] + way * far * angle.cos()[:, None]).round().long()
        inside = (down >= 0) & (down < height) & (right >= 0) & (right < width)
        met = strong[torch.arange(len(y))[:, None], down.clamp(0, height - 1), right.clamp(0, width - 1)] * inside
        length = length + met.cumprod(dim=1).sum(dim=1)
    return length


def _count(strength: Tensor, peak: Tensor) -> Tensor:
    """How many lines there are in float `[N, DIRECTIONS, H, W]`, up to `_MOST_LINES`: each hides what belongs to it."""
    n, _, height, width = strength.shape
    y, x = torch.arange(height)[None, :, None] * _POOL, torch.arange(width)[None, None, :] * _POOL
    count, every = torch.zeros(n), torch.arange(n)
    for _ in range(_MOST_LINES):
        highest, at = strength.flatten(1).max(dim=1)
        count += highest >= _STRONG * peak
        step, place = at // (height * width), at % (height * width)
        angle = (step * (math.pi / DIRECTIONS))[:, None, None]
        down, right = y - (place // width * _POOL)[:, None, None], x - (place % width * _POOL)[:, None, None]
        strength = strength * (right.square() + down.square() >= _APART**2)[:, None]
        aside = (right * angle.sin() + down * angle.cos()).abs() >= _APART
        for turn in (-2, -1, 0, 1, 2):
            strength[every, (step + turn) % DIRECTIONS] *= aside
    return count
