"""What a shift generator is made of: doublings at an offset, the reading of masks, and filters that are not learned."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SMOOTH = (-1.0, 4.0, 10.0, 4.0, -1.0)
"""Taps of the filter behind the last map."""
_GRAIN = 0.1
"""Strength of the noise in the maps to begin with."""
_MARKED = 16
"""Channels from which a mask is drawn."""


class Stage(nn.Module):
    """A map of n×n to one of 2n×2n, or where it is shifted of (2n-1)×(2n-1), at one of four offsets."""

    def __init__(self, before: int, after: int, seen: int, shifts: bool, gated: bool, refined: bool) -> None:
        super().__init__()
        self.shifts = shifts
        self.up = nn.ConvTranspose2d(before, after, 3, 2, bias=False)
        self.smooth = fixed_filter(after, 4)
        self.norm = nn.BatchNorm2d(after)
        self.grain = nn.Parameter(torch.zeros(1, after, 1, 1))
        self.gate = nn.Sequential(nn.Linear(seen, 64), nn.SiLU(), nn.Linear(64, after)) if gated else None
        self.refine = nn.Conv2d(after, after, 3, padding=1, padding_mode="reflect", bias=False) if refined else None
        self.refine_norm = nn.BatchNorm2d(after) if refined else None

    def initialise(self, random: torch.Generator) -> None:
        """Draw what `stages.initialise` has drawn otherwise."""
        nn.init.constant_(self.grain, _GRAIN)
        draw_filter(self.smooth, (1.0, 3.0, 3.0, 1.0), gain=4)  # every other row and column had been zeros
        if self.gate is not None:
            layers = (layer for layer in self.gate if isinstance(layer, nn.Linear))
            for layer, deviation in zip(layers, (0.1, 0.05), strict=True):
                nn.init.normal_(layer.weight, 0.0, deviation, generator=random)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, seen: Tensor, down: Tensor, right: Tensor, grain: Tensor) -> Tensor:
        # Rows at the border that too little comes to, and zeros around a map, would tell the network where it is.
        x = F.pad(self.up(x)[..., 1:-1, 1:-1], (2, 2, 2, 2), mode="reflect")
        x = self.norm(self.smooth(x))
        if self.shifts:
            x = shifted(x, down, right)
        x = x + self.grain * grain[..., : x.shape[2], : x.shape[3]]
        if self.gate is not None:
            x = x * (1 + torch.tanh(self.gate(seen)))[..., None, None]
        x = F.leaky_relu(x, 0.2)
        if self.refine is not None and self.refine_norm is not None:
            x = F.leaky_relu(self.refine_norm(self.refine(x)), 0.2)
        return x

    def fold(self) -> None:
        """Put batch norm into the convolutions before it."""
        # Identity stands where batch norm was.
        self.smooth, self.norm = fuse_conv_bn_eval(self.smooth, self.norm), nn.Identity()  # type: ignore[assignment]
        if self.refine is not None and self.refine_norm is not None:
            self.refine = fuse_conv_bn_eval(self.refine, self.refine_norm)
            self.refine_norm = nn.Identity()  # type: ignore[assignment]


class Marker(nn.Module):
    """The last two maps to where the defect is, `[N, 1, 2H, 2W]`, above 0: it reads what the image is drawn from."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(coarse, _MARKED, 1, bias=False)
        self.fine = nn.Conv2d(fine, _MARKED, 3, padding=1, padding_mode="reflect")
        self.last = nn.Conv2d(_MARKED, 4, 3, padding=1, padding_mode="reflect")
        self.smooth = fixed_filter(1, 5, padding=2, padding_mode="reflect")

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights."""
        for layer in (self.coarse, self.fine, self.last):
            nn.init.kaiming_normal_(layer.weight, 0.2, generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        draw_filter(self.smooth, SMOOTH, gain=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        x = self.fine(fine) + F.interpolate(self.coarse(coarse), scale_factor=2, mode="nearest")
        marks: Tensor = self.smooth(F.pixel_shuffle(self.last(F.leaky_relu(x, 0.2)), 2))
        return marks


def fixed_filter(channels: int, taps: int, **padding: Any) -> nn.Conv2d:
    """A filter of so many taps in both directions over each channel, which is not learned."""
    return nn.Conv2d(channels, channels, taps, groups=channels, bias=False, **padding).requires_grad_(False)


def draw_filter(smooth: nn.Conv2d, taps: tuple[float, ...], gain: float | Tensor) -> None:
    """Give a filter its taps in both directions; their sum becomes `gain`, or where it is many that of each pair."""
    line = torch.tensor(taps) / sum(taps)
    with torch.no_grad():
        smooth.weight.copy_(gain * torch.outer(line, line).expand_as(smooth.weight))


def shifted(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Maps `[N, C, H, W]` without their first row and column, each where its bool `[N]` is true, or the last."""
    x = torch.where(down[..., None, None, None], x[..., 1:, :], x[..., :-1, :])
    return torch.where(right[..., None, None, None], x[..., 1:], x[..., :-1])
