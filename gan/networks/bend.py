"""Images slid along their rows and columns, so that what stands straight in a generator's cells may slant.

A line in cells runs along a row or a column; one that slants would be stairs, and two that lie in different cells
would keep a whole number of cells apart. Here every image slants, stretches and drifts by amounts of its own (a spatial
transformer: Jaderberg et al., NeurIPS 2015, which an image's latents steer), first each row to the side and then each
column up or down. It is done to the image itself: a map holds nothing finer than its cells, and a line that was bent in
one went on in steps of a cell. Borders stay where they are, as nothing is known of what lies beyond.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_AMOUNTS = (0.04, 0.1, 0.06)
"""How far a slant moves the border's middle, a stretch what lies between, and a drift the middle, in halves of the
side: deviations to begin with."""
_MOST = 0.2
"""What none of them exceeds."""


class Bend(nn.Module):
    """Images bent by amounts that latents choose.

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

    def forward(self, x: Tensor, seen: Tensor, down: Tensor, right: Tensor, height: int, width: int) -> Tensor:
        """Bend images, and crop them.

        Args:
            x: float `[N, C, H, W]`.
            seen: the latents that choose, float `[N, seen]`.
            down: the first row of the crop, int64 `[N]`.
            right: its first column.
            height: of the crop; so `width`.

        Returns:
            float `[N, C, height, width]`.
        """
        amounts = _MOST * torch.tanh(self.amounts(seen).float() / _MOST)
        x = _slid(x, amounts[..., : len(_AMOUNTS)], right, width)
        return _slid(x.transpose(2, 3), amounts[..., len(_AMOUNTS) :], down, height).transpose(2, 3)


def _slid(x: Tensor, amounts: Tensor, first: Tensor, kept: int) -> Tensor:
    """Images `[N, C, H, W]` with each row slid by amounts `[N, 3]`, and cropped to columns `[N, C, H, kept]`.

    Between pixels by cubic convolution (Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE
    Trans. ASSP 1981, equation 15).
    """
    rows, columns = x.shape[2:]
    slant, stretch, drift = (amounts[..., number, None, None] for number in range(len(_AMOUNTS)))
    row = torch.linspace(-1, 1, rows, device=x.device)[:, None]
    place = torch.linspace(-1, 1, kept, device=x.device)
    inside = 1 - place.square()
    by = slant * row * (1 - place.square().square()) * (rows / 2) + (stretch * place - drift) * inside * (kept / 2)
    source = (torch.arange(kept, device=x.device) + first[..., None, None] + by).clamp(0, columns - 1)
    before = source.floor()
    past = source - before
    taps = (
        ((-0.5 * past + 1) * past - 0.5) * past,
        (1.5 * past - 2.5) * past * past + 1,
        ((-1.5 * past + 2) * past + 0.5) * past,
        (0.5 * past - 0.5) * past * past,
    )
    column = before.long().clamp(0, columns - 1)[..., None, :, :]  # what is no number would be no column
    wider = F.pad(x, (1, 2, 0, 0), mode="reflect")
    slid = []
    for channel in torch.split(wider, 1, dim=1):  # for all at once the columns would have to be as many
        parts = [tap[..., None, :, :] * channel.gather(3, column + step) for step, tap in enumerate(taps)]
        slid.append(parts[0] + parts[1] + (parts[2] + parts[3]))
    return torch.cat(slid, dim=1)
