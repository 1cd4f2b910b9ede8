"""Whether what photos show lies in some of them and stands in others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

RARE = 0.2
"""A direction that fewer of the photos have is no direction of theirs."""
_AT_ONCE = 256


def both_ways(images: Tensor, labels: Sequence[int] = ()) -> bool:
    """Whether at least a fifth of images uint8 `[N, C, H, W]` lies, and at least a fifth stands: of each class, where
    they have labels, else one that always stands would be turned on its side for one that does not.

    An image lies where the means of its rows differ more from one to the next than those of its columns, as by a level
    scratch.
    """
    lies = torch.cat([_lies(part) for part in torch.split(images, _AT_ONCE)]).double()
    of = torch.tensor(labels or [0] * len(lies))
    return all(RARE <= float(lies[of == label].mean()) <= 1 - RARE for label in sorted({*of.tolist()}))


def _lies(images: Tensor) -> Tensor:
    gray = images.float().mean(dim=1)
    rows, columns = (gray.mean(dim=along).diff(dim=1).square().mean(dim=1) for along in (2, 1))
    return rows > columns
