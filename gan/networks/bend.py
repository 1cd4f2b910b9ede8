"""Maps slid along their rows and columns, so that what stands straight in a generator's cells may slant in the image.

A line in cells runs along a row or a column; one that slants would be stairs, and two that lie in different cells
would keep a whole number of cells apart. Here every image slants, curves, stretches and drifts by amounts of its own (a
spatial transformer: Jaderberg et al., NeurIPS 2015, which an image's latents steer), first each row to the side and
then each column up or down. Both are products with matrices: exact on every runtime.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_AMOUNTS = (0.03, 0.01, 0.06, 0.04)
"""How far a slant, a curve and a stretch move the border, and a drift the middle, in halves of the side: deviations to
begin with."""
_MOST = 0.2
"""What none of them exceeds."""


class Bend(nn.Module):
    """Maps bent by amounts that latents choose; what comes from beyond the border is the map's reflection.

    Args:
        seen: how many latents choose.
    """

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.amounts = nn.Linear(seen, 2 * len(_AMOUNTS))

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with."""
        nn.init.normal_(self.amounts.weight, 0.0, 1 / math.sqrt(self.amounts.in_features), generator=random)
        nn.init.zeros_(self.amounts.bias)
        with torch.no_grad():
            self.amounts.weight.mul_(torch.tensor(_AMOUNTS).repeat(2)[:, None])

    def forward(self, x: Tensor, seen: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Bend maps, and crop one row and one column.

        Args:
            x: float `[N, C, H, W]`.
            seen: the latents that choose, float `[N, seen]`.
            down: where true the first row goes, else the last; bool `[N]`.
            right: the same of columns.

        Returns:
            float `[N, C, H - 1, W - 1]`.
        """
        amounts = _MOST * torch.tanh(self.amounts(seen).float() / _MOST)
        height, width = x.shape[2:]
        across = _slides(amounts[..., : len(_AMOUNTS)], right, height, width).to(x.dtype)  # [N, H, W, W - 1]
        along = _slides(amounts[..., len(_AMOUNTS) :], down, width - 1, height).to(x.dtype)  # [N, W - 1, H, H - 1]
        # Three times the same permutation, the one that runtimes are quick at.
        x = across.transpose(2, 3) @ x.permute(0, 2, 3, 1)  # [N, H, W - 1, C]
        x = x.permute(0, 2, 3, 1) @ along  # [N, W - 1, C, H - 1]
        return x.permute(0, 2, 3, 1)


def _slides(amounts: Tensor, up: Tensor, lines: int, cells: int) -> Tensor:
    """What brings each of so many rows or columns to its new places, as matrices `[N, lines, cells, cells - 1]`.

    Between cells by cubic convolution (Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE
    Trans. ASSP 1981, equation 15).
    """
    slant, curve, stretch, drift = (amounts[..., number, None, None] for number in range(len(_AMOUNTS)))
    cell = torch.arange(cells, device=amounts.device, dtype=amounts.dtype)
    line = torch.linspace(-1, 1, lines, device=amounts.device)[:, None]
    place = torch.linspace(-1, 1, cells - 1, device=amounts.device)
    of_line, of_place = slant * line + curve * (line.square() - 1 / 3), stretch * place + drift * (place.square() - 1)
    source = cell[:-1] + up[:, None, None].to(cell.dtype) + of_line * (lines / 2) + of_place * (cells / 2)
    source = (cells - 1) - ((cells - 1) - source.abs()).abs()
    far = (source[:, :, None] - cell[:, None]).abs()
    near, beyond = far.clamp(max=1), far.clamp(1, 2)
    taps = ((1.5 * near - 2.5) * near * near + 1) + (((-0.5 * beyond + 2.5) * beyond - 4) * beyond + 2)
    whole: Tensor = taps.sum(dim=2, keepdim=True)
    return taps / whole  # at the border some would be beyond it
