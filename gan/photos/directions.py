"""Whether what photos show lies in some of them and stands in others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

RARE = 0.2
"""A direction that fewer of the photos have is no direction of theirs."""
_CLEARLY = 1.0
"""Twice as much: cracks that wander, and textures, may have any ratio near one."""
_LEAST = 1e-6
_AT_ONCE = 256


def both_ways(images: Tensor, labels: Sequence[int] = ()) -> bool:
    """Whether of images uint8 `[N, C, H, W]` at least a fifth lies, and at least a fifth stands, of those that clearly
    do either: of each class, where they have labels, else one that always stands would be laid on its side for one that
    does not.
    """
    directions = _directions(images)
    of = torch.tensor(labels or [0] * len(directions))
    each = [_share(directions[of == label]) for label in sorted({*of.tolist()})]
    return all(share is not None and RARE <= share <= 1 - RARE for share in each)


def lying(images: Tensor) -> float:
    """The share of images uint8 `[N, C, H, W]` that lie, of those that clearly lie or stand; a half where none does."""
    share = _share(_directions(images))
    return 0.5 if share is None else share


def _share(directions: Tensor) -> float | None:
    clear = directions[directions.abs() > _CLEARLY]
    return float((clear > 0).double().mean()) if len(clear) else None


def _directions(images: Tensor) -> Tensor:
    """`[N]`, above 0 where an image lies: how many times as much the means of its rows differ from one to the next as
    those of its columns, as by a level scratch, as the power of two.
    """
    return torch.cat([_direction(part) for part in torch.split(images, _AT_ONCE)]).double()


def _direction(images: Tensor) -> Tensor:
    gray = images.float().mean(dim=1)
    rows, columns = (gray.mean(dim=along).diff(dim=1).square().mean(dim=1) for along in (2, 1))
    return torch.log2(rows.clamp_min(_LEAST) / columns.clamp_min(_LEAST))
