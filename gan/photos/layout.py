"""How much of what photos show stands at the same place in all of them, as in pictures of whole parts."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from models.picks import spread

LAID_OUT = 0.2
"""Photos of surfaces have 0.003 at most, of tiles that are seen whole 0.04 to 0.12, of solar cells 0.4 and 0.75."""
_SHADING = 17
"""Pixels across over which what is coarser is averaged."""
_LOOKED_AT = 256
_LEAST_ENERGY = 0.01
"""In squares of a gray level: below is rounding."""


def common(images: Tensor) -> float:
    """Of the energy of structure finer than shading the share that is the same in all images, about 0 to 1.

    It is that of their mean image, without what chance leaves there of so many.

    Args:
        images: uint8 `[N, C, H, W]`; of one alone nothing can be said, and 0 is returned.
    """
    gray = images[spread(len(images), _LOOKED_AT)].float().mean(dim=1, keepdim=True)
    if (count := len(gray)) < 2:
        return 0.0
    fine = gray - avg_pool2d(pad(gray, [_SHADING // 2] * 4, mode="reflect"), _SHADING, 1)
    energy = float(fine.square().mean())
    if energy < _LEAST_ENERGY:
        return 0.0
    return (count * float(fine.mean(dim=0).square().mean()) / energy - 1) / (count - 1)
