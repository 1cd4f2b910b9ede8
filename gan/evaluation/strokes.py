"""What strokes are like up close: how far they lean, how soft their edges are, and whether ripples run beside them.

A strip of the image along the line is laid straight: the line is followed pixel by pixel, in strips ever longer and
narrower, and a straight line laid through what was found. What is the same all along the strip stands out of grain.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

ACROSS = 20
"""Pixels to each side of a line that are looked at."""
RIPPLES = {"8 px": 2, "5.3 px": 3, "4 px": 4, "3.2 px": 5, "2.7 px": 6}
"""Periods of ripples, as cycles in `_SIDE` pixels."""
_SIDE, _BESIDE = 16, 4
"""Pixels beside a line in which ripples are looked for, and from where on."""
_ALONG = 32
"""Pixels along a line in both directions, of its strip."""
_ROUNDS = ((12, 8), (24, 6), (40, 5))
"""Pixels along and across in which a line is followed, one round after the other."""
_PIECE = 8
"""Pixels along a line in which its edge is measured: few enough that its wandering does not blur it."""


def follow(gray: Tensor, y: Tensor, x: Tensor, angle: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
    """Find the exact direction of lines and lay their strips straight.

    Args:
        gray: images, float `[N, H, W]`.
        y, x: a place on each line, `[N]`.
        angle: its direction within 8°, radians from horizontal, anticlockwise.
        sign: 1 where it is brighter than what is around it, else -1.

    Returns:
        The exact angles `[N]`, and strips `[N, 2 · _ALONG, 2 · ACROSS + 1]`, the line in the middle and bright; NaN
        outside of the image.
    """
    aside = torch.zeros_like(angle)
    for far, near in _ROUNDS:
        along, across = torch.arange(-far, far + 1.0), torch.arange(-near, near + 1.0)
        strip = _strip(gray, y, x, angle, along, across + aside[:, None]) * sign[:, None, None]
        weight = (strip - strip.nanquantile(0.3, dim=2, keepdim=True)).clamp_min(0).nan_to_num()
        weight = weight * torch.exp(-2 * (across / near).square())  # what is beside shall not pull
        mass = weight.sum(dim=2)
        middle = (weight * across).sum(dim=2) / mass.clamp_min(1e-6)
        total = mass.sum(dim=1).clamp_min(1e-6)
        mean_along, mean_middle = (mass * along).sum(dim=1) / total, (mass * middle).sum(dim=1) / total
        off = along - mean_along[:, None]
        slope = (mass * off * middle).sum(dim=1) / (mass * off.square()).sum(dim=1).clamp_min(1e-6)
        aside = aside + mean_middle - slope * mean_along
        angle = angle - slope.atan()
    along, across = torch.arange(-_ALONG, float(_ALONG)), torch.arange(-ACROSS, ACROSS + 1.0)
    return angle, _strip(gray, y, x, angle, along, across + aside[:, None]) * sign[:, None, None]


def slant(angle: Tensor) -> Tensor:
    """Degrees between lines and the pixels' rows or columns, whichever are nearer: 0 to 45."""
    return ((angle.rad2deg() + 45) % 90 - 45).abs()


def edge(strips: Tensor) -> Tensor:
    """Pixels from the dark to the bright side of a line, at its steepest: `[N]`, the median along it."""
    pieces = strips.reshape(len(strips), -1, _PIECE, strips.shape[2]).nanmean(dim=2)
    pieces = pieces[..., ACROSS - 8 : ACROSS + 9].nan_to_num()
    contrast = pieces.amax(dim=2) - pieces.quantile(0.25, dim=2)
    steepest = pieces.diff(dim=2).abs().amax(dim=2)
    on_line = contrast >= contrast.amax(dim=1, keepdim=True) / 2  # beyond a line's end is only grain
    return torch.where(on_line, contrast / steepest.clamp_min(1e-6), torch.nan).nanmedian(dim=1).values


def profile(strips: Tensor) -> Tensor:
    """The mean across all lines `[2 · ACROSS + 1]`: 0 is what is around them, 1 each line's own contrast."""
    across = strips.nanmean(dim=1)
    around = across.nanmedian(dim=1, keepdim=True).values
    height = across[:, ACROSS - 2 : ACROSS + 3].nan_to_num().amax(dim=1, keepdim=True) - around
    return ((across - around) / height.clamp_min(1.0)).nanmean(dim=0).nan_to_num()


def ripples(strips: Tensor) -> Tensor:
    """How far the power of each of `RIPPLES` rises above its neighbours' beside each line, dB: `[N, periods]`."""
    across = strips.nanmean(dim=1)
    start = ACROSS + _BESIDE + 1
    sides = torch.stack([across[:, start : start + _SIDE], across.flip(1)[:, start : start + _SIDE]], dim=1)
    inside = ~sides.isnan().any(dim=2)
    window = torch.hann_window(_SIDE)
    sides = (sides - sides.mean(dim=2, keepdim=True)).nan_to_num()
    power = torch.fft.rfft(sides * window).abs().square().sum(dim=1) / inside.sum(dim=1, keepdim=True).clamp_min(1)
    level = 10 * (power + 0.1).log10()
    return torch.stack([level[:, k] - (level[:, k - 1] + level[:, k + 1]) / 2 for k in RIPPLES.values()], dim=1)


def _strip(gray: Tensor, y: Tensor, x: Tensor, angle: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Pixels `along` `[T]` lines and `across` `[A]` or `[N, A]` them: `[N, T, A]`, NaN outside of the image."""
    height, width = gray.shape[1:]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = along[None, :, None], across.reshape(-1, 1, across.shape[-1])
    right = x[:, None, None] + along * cosine + across * sine
    down = y[:, None, None] - along * sine + across * cosine
    places = torch.stack([2 * right / (width - 1) - 1, 2 * down / (height - 1) - 1], dim=-1)
    strip = grid_sample(gray[:, None], places, align_corners=True, padding_mode="border")[:, 0]
    return strip.masked_fill((places.abs() > 1).any(dim=-1), torch.nan)
