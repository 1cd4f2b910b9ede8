"""Images turned over by the signs of latents.

Scratches that lie are scratches that stand, turned over; what leans to the left is the mirror image of what leans to
the right. A network that need not learn each of them draws one of them well, in fewer steps. It sees the signs, so that
it can learn what photos show in one direction only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor, nn

LYING = "lying"
WAYS = (LYING, "upside_down", "mirrored")
"""How images may be turned, each by a latent of its own, in this order."""
_LEAST_SHARE = 0.001


def ways_of(flip: str, transpose: bool) -> list[str]:
    """How images are turned: as photos are flipped while training, and over their diagonal with `transpose`."""
    return list(itertools.compress(WAYS, (transpose, flip in ("vertical", "both"), flip in ("horizontal", "both"))))


class Turn(nn.Module):
    """Images turned as latents say.

    Args:
        ways: of `WAYS`, those in which they are. A state names them by its buffers: what a latent has to exceed.

    Attributes:
        hidden: how many of the first latents the network must not see.
    """

    def __init__(self, ways: Sequence[str]) -> None:
        super().__init__()
        for way in ways:
            self.register_buffer(way, torch.zeros(()))
        self.hidden = int(LYING in ways)

    def lay(self, share: float) -> None:
        """Let so many of the images lie that are drawn standing, 0 to 1."""
        if self.hidden:
            share = min(1 - _LEAST_SHARE, max(_LEAST_SHARE, share))
            self.get_buffer(LYING).fill_(NormalDist().inv_cdf(1 - share))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Turn images `[N, C, H, W]` by latents `[N, 3]`."""
        for number, way in enumerate(WAYS):
            if hasattr(self, way):
                turned = x.transpose(2, 3) if way == LYING else x.flip(2 if way == "upside_down" else 3)
                over = z[..., number] > self.get_buffer(way)
                x = torch.where(over[..., None, None, None], turned, x)
        return x
