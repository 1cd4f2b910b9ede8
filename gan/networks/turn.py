"""Images turned over by the signs of latents.

Scratches that lie are scratches that stand, turned over; what leans to the left is the mirror image of what leans to
the right. A network that need not learn each of them draws one of them well, in fewer steps. It sees the signs, so that
it can learn what photos show in one direction only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

WAYS = ("transposed", "upside_down", "mirrored")
"""How images may be turned, each by a sign of its own, in this order."""


def ways_of(flip: str, transpose: bool) -> list[str]:
    """How images are turned: as photos are flipped while training, and over their diagonal with `transpose`."""
    return list(itertools.compress(WAYS, (transpose, flip in ("vertical", "both"), flip in ("horizontal", "both"))))


class Turn(nn.Module):
    """Images turned as the signs say.

    Args:
        ways: of `WAYS`, those in which they are. A state names them by its buffers.
    """

    def __init__(self, ways: Sequence[str]) -> None:
        super().__init__()
        for way in ways:
            self.register_buffer(way, torch.ones(()))

    def forward(self, x: Tensor, up: Tensor) -> Tensor:
        """Turn images `[N, C, H, W]` by bool `[N, 3]`."""
        for number, way in enumerate(WAYS):
            if hasattr(self, way):
                turned = x.transpose(2, 3) if way == "transposed" else x.flip(2 if way == "upside_down" else 3)
                x = torch.where(up[..., number, None, None, None], turned, x)
        return x
