"""Noise for the grain of images: a bank to crop it from, and the bell curve that colours it.

An image's noise is a crop of one bank, at an offset that the signs of latents choose: so image *i* is a function of its
latents, and the network, its file and every runtime agree.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_OFFSET_BITS = 10
GRAIN_BITS = 2 * _OFFSET_BITS + 3
"""Latents whose signs choose a crop: how far down and right it begins, whether it is mirrored either way, and whether
bright is dark. There are 2²³ crops: of 100,000 images one in a hundred shares its crop with another."""
REACH = 1 << _OFFSET_BITS
"""Rows and columns that a bank has beyond those of a crop."""
_TAPS, _WIDEST = 7, 1.5
"""Pixels across of the bell, as the noise of photos is not white; its deviation at most."""
EAGER = 10.0
"""How much faster than a weight of its size the width of the bell is learned: it has further to go."""
_BORDER = _TAPS // 2


def bell(width: Tensor) -> Tensor:
    """Taps `[7, 7]` of a bell curve, the sum of their squares 1: they leave noise as strong as it is.

    With taps of their own they became a comb, as other noise is in the maps behind it, and wherever the image's own was
    strong, the comb was seen.

    Args:
        width: what is learned, float `[2]`, down and across.
    """
    widths = (_WIDEST * torch.sigmoid(EAGER * width)).clamp(min=0.1)  # of 0 there is no bell
    place = torch.arange(_TAPS, device=widths.device) - _BORDER
    down, across = torch.exp(-(place.square() / (2 * widths[:, None].square())))
    taps: Tensor = torch.outer(down, across)
    return taps.div(taps.norm())


def coloured(white: Tensor, taps: Tensor) -> Tensor:
    """White noise `[N, 1, H, W]` coloured by taps `[C, 1, 7, 7]`, `[N, C, H, W]`.

    It is as mirrored as the white noise is, so that crops may be mirrored.
    """
    return F.conv2d(F.pad(white, (_BORDER,) * 4, mode="reflect"), taps)


def crops(bank: Tensor, up: Tensor, height: int, width: int) -> Tensor:
    """Crops `[N, C, height, width]` of a bank `[H, W, C]` that bool `[N, GRAIN_BITS]` choose. Offsets are binary."""
    down, right, rest = up[..., :_OFFSET_BITS], up[..., _OFFSET_BITS:-3], up[..., -3:]
    rows = _line(down, rest[..., 0], height)[..., None]
    columns = _line(right, rest[..., 1], width)[..., None, :]
    crop = F.embedding(rows * bank.shape[1] + columns, bank.flatten(0, 1)).movedim(3, 1)
    return crop * torch.where(rest[..., 2], -1.0, 1.0).to(crop.dtype)[..., None, None, None]


def coloured_crops(noise: Tensor, taps: Tensor, up: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Crops of white noise `[H, W]`, and what `coloured` makes of all of it, cropped, which would take much longer."""
    bank = F.pad(noise[None, None], (_BORDER,) * 4, mode="reflect")[0].movedim(0, 2)
    wider = crops(bank, up, height + 2 * _BORDER, width + 2 * _BORDER)
    inner = slice(_BORDER, -_BORDER)
    return wider[..., inner, inner], F.conv2d(wider, taps)


def _line(offset: Tensor, mirrored: Tensor, side: int) -> Tensor:
    """The rows or columns of the bank that make a crop, `[N, side]`."""
    first = (offset * (1 << torch.arange(_OFFSET_BITS, device=offset.device))).sum(dim=1, keepdim=True)
    along = torch.arange(side, device=offset.device)
    return first + torch.where(mirrored[..., None], side - 1 - along, along)
