"""What the lines in images are like: their direction, tone, contrast, length, width, number, slant and edge.

A ridge filter, the second derivative of a Gaussian across and a long Gaussian along (Lindeberg, "Edge Detection and
Ridge Detection with Automatic Scale Selection", IJCV 1998, section 4), looks in twelve directions and at three widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from gan.evaluation import strokes
from models.picks import spread

LOOKED_AT = 300
DIRECTIONS = 12
WIDTHS = (1.0, 2.0, 4.0)
"""Pixels: deviations of the Gaussian across."""
_ALONG = 6.0
_STRONG = 0.5
"""Of the strongest line's contrast: what another line needs to count."""
MOST_LINES = 6
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
        slant: degrees from the pixels' rows or columns, whichever are nearer.
        edge: pixels from dark to bright.
        detail: dB, the power of the whole image's finest structure.
        ripples: see `gan.evaluation.strokes.ripples`, `[N, periods]`.
        profile: see `gan.evaluation.strokes.profile`, of all lines.
    """

    direction: Tensor
    bright: Tensor
    contrast: Tensor
    length: Tensor
    width: Tensor
    count: Tensor
    slant: Tensor
    edge: Tensor
    detail: Tensor
    ripples: Tensor
    profile: Tensor


def find_lines(images: Tensor) -> Lines:
    """Measure images uint8 `[N, C, H, W]`, `LOOKED_AT` of them at most, evenly spaced; of colour their mean counts."""
    gray = images[spread(len(images), LOOKED_AT)].float().mean(dim=1)
    bank = _bank(*(side + 2 * _REACH for side in gray.shape[1:]))
    parts = [_find(part, bank) for part in torch.split(gray, _BLOCK)]
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    y, x, direction, bright, contrast, length, width, count = columns
    angle, strips = strokes.follow(gray, y, x, direction.deg2rad(), torch.where(bright, 1.0, -1.0))
    return Lines(
        direction,
        bright,
        contrast,
        length,
        width,
        count,
        slant=strokes.slant(angle),
        edge=strokes.edge(strips),
        detail=_detail(gray),
        ripples=strokes.ripples(strips),
        profile=strokes.profile(strips),
    )


def _detail(gray: Tensor) -> Tensor:
    around = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    return 10 * ((gray[:, 1:-1, 1:-1] - around / 4).var(dim=(1, 2)) + 0.01).log10()


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
    """Places of the strongest lines, and the first fields of `Lines`, for gray images, float `[N, H, W]`.

    The filters are for images `_REACH` larger all around.
    """
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
        y,
        x,
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
    """How many lines there are in float `[N, DIRECTIONS, H, W]`, up to `MOST_LINES`: each hides what belongs to it."""
    n, _, height, width = strength.shape
    y, x = torch.arange(height)[None, :, None] * _POOL, torch.arange(width)[None, None, :] * _POOL
    count, every = torch.zeros(n), torch.arange(n)
    for _ in range(MOST_LINES):
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
