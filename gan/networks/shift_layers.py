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
        # Rows and columns at the border that too little comes to are left out.
        self.up = nn.ConvTranspose2d(before, after, 3, 2, padding=1, bias=False)
        self.smooth = fixed_filter(after, 4)
        self.norm = nn.BatchNorm2d(after)
        self.grain = nn.Parameter(torch.zeros(1, after, 1, 1))
        self.gate = nn.Sequential(nn.Linear(seen, 64), nn.SiLU(), nn.Linear(64, after)) if gated else None
        self.refine = nn.Conv2d(after, after, 3, padding=1, padding_mode="reflect", bias=False) if refined else None
        self.refine_norm = nn.BatchNorm2d(after) if refined else None
        self.filtered: Filtered | None = None

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
        x = self.up(x)
        if self.filtered is None:
            # Zeros around a map would tell the network where it is.
            x = self.norm(self.smooth(F.pad(x, (2, 2, 2, 2), mode="reflect")))
            x = shifted(x, down, right) if self.shifts else x
        else:
            x = self.filtered(x, down, right)
        noise = grain[..., : x.shape[2], : x.shape[3]]
        x = x + F.conv2d(noise, self.grain.transpose(0, 1))  # ONNX Runtime adds it as it computes it
        if self.gate is not None:
            x = x * (1 + torch.tanh(self.gate(seen)))[..., None, None]
        x = F.leaky_relu(x, 0.2)
        if self.refine is not None and self.refine_norm is not None:
            x = F.leaky_relu(self.refine_norm(self.refine(x)), 0.2)
        return x

    def fold(self, height: int, width: int) -> None:
        """Put batch norm into the convolutions before it, and the filter with all around it into matrices.

        Args:
            height: of the map that is doubled, as is `width`.
        """
        line = line_of(self.smooth)
        if self.shifts and line is not None:  # of the largest map the matrices take longer
            self.up.weight = nn.Parameter(self.up.weight * line.sum() ** 2)
            self.up = fuse_conv_bn_eval(self.up, self.norm, transpose=True)
            self.filtered = Filtered(line / line.sum(), 2 * height - 1, 2 * width - 1, shifts=True)
        else:
            self.smooth = fuse_conv_bn_eval(self.smooth, self.norm)
        self.norm = nn.Identity()  # type: ignore[assignment]  # what it did is in the convolution before it
        if self.refine is not None and self.refine_norm is not None:
            self.refine = fuse_conv_bn_eval(self.refine, self.refine_norm)
            self.refine_norm = nn.Identity()  # type: ignore[assignment]  # likewise


class Filtered(nn.Module):
    """Reflected borders, a filter and a shift at once, as a product with a matrix in each direction.

    Runtimes are quicker at it than at the three.

    Args:
        line: taps of the filter in each direction, 4 or 5.
        height: of the maps, as is `width`.
        shifts: whether it shifts as `shifted` does.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, line: Tensor, height: int, width: int, shifts: bool = False) -> None:
        super().__init__()
        self.register_buffer("rows", self._matrix(line, height, shifts).mT.contiguous())
        self.register_buffer("columns", self._matrix(line, width, shifts))

    @staticmethod
    def _matrix(line: Tensor, size: int, shifts: bool) -> Tensor:
        """`[size, size]`; with shifts `[2, size, size]`, for no shift and for one."""
        one = torch.eye(size, dtype=line.dtype)[:, None]
        whole = F.conv1d(F.pad(one, (2, 2), mode="reflect"), line[None, None])[:, 0]
        return torch.stack([whole[:, :-1], whole[:, 1:]]) if shifts else whole

    def forward(self, x: Tensor, down: Tensor | None = None, right: Tensor | None = None) -> Tensor:
        rows = self.rows if down is None else self.rows[down.long()][..., None, :, :]
        columns = self.columns if right is None else self.columns[right.long()]
        made: Tensor = rows @ (x.flatten(1, 2) @ columns).reshape(x.shape)
        return made


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


def line_of(smooth: nn.Conv2d) -> Tensor | None:
    """The taps in each direction of a filter that is the same in both and for each channel, else None."""
    taps = smooth.weight[0, 0]
    line = taps.sum(dim=1) / taps.sum().sqrt()
    both = torch.outer(line, line).expand_as(smooth.weight)
    return line if smooth.weight.shape[1] == 1 and torch.allclose(smooth.weight, both) else None


def shifted(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Maps `[N, C, H, W]` without their first row and column, each where its bool `[N]` is true, or the last."""
    x = torch.where(down[..., None, None, None], x[..., 1:, :], x[..., :-1, :])
    return torch.where(right[..., None, None, None], x[..., 1:], x[..., :-1])
