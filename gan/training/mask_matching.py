"""Masks with the statistics of the photos' masks: as large, as compact, as long, and on what stands out.

A discriminator that sees image and mask lets small defects go: an empty mask is nearly right everywhere. Here the
distribution of a few numbers a mask is matched as `matching.py` does it with features; none of them says where a defect
lies. How much of a mask is left by averages over squares of growing size is how compact it is, and over rows and
columns how it lies (the two-point correlation: Torquato, "Random Heterogeneous Materials", 2002, section 2.2).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from gan.training.matching import Matching

_WINDOWS = ((1, 1), (4, 4), (16, 16), (1, 16), (16, 1))
"""Pixels over which a mask is averaged."""
_AROUND = 31
"""Pixels across of what a defect stands out from."""
_LEAST = 1e-5
"""Of a mean square: less than one pixel of an image."""


class MaskMatching(Matching):
    """Numbers of image and mask: `[N, C + 1, H, W]`, the mask last."""

    def _statistics(self, images: Tensor) -> Iterator[Tensor]:
        image, mask = images[:, :-1].float().mean(dim=1, keepdim=True), (images[:, -1:].float() + 1) / 2
        around = avg_pool2d(pad(image, (_AROUND // 2,) * 4, mode="reflect"), _AROUND, 1)
        apart = mask * (image - around)
        squares = [avg_pool2d(mask, window).square() for window in _WINDOWS]
        squares += [mask.mean(dim=(2, 3), keepdim=True).square(), apart.square()]
        # The fourth root, so that a small defect is as far from none as a large one from it.
        sizes = [(square.mean(dim=(1, 2, 3)) + _LEAST) ** 0.25 for square in squares]
        yield torch.stack([*sizes, apart.mean(dim=(1, 2, 3))], dim=1)
