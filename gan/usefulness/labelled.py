"""Images with what they show: what a detector learns from, and what it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Labelled:
    """Images with what they show.

    Attributes:
        images: uint8 `[N, C, H, W]`, C 1 or 3.
        labels: int64 `[N]`, places in a list of classes.
        names: N, of files.
        masks: uint8 `[N, H, W]`, 255 where the defect is, else 0; or None.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        of = self.images
        if of.dtype != torch.uint8 or of.ndim != 4 or of.shape[1] not in (1, 3):
            raise ValueError(f"images are uint8 [N, 1 or 3, H, W], not {of.dtype} {list(of.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(of),) or len(self.names) != len(of):
            raise ValueError(f"{len(of)} images need as many names, and labels int64 [{len(of)}]")
        wanted = len(of), *of.shape[2:]
        if self.masks is not None and (self.masks.dtype != torch.uint8 or self.masks.shape != wanted):
            raise ValueError(f"masks are uint8 {list(wanted)}, not {self.masks.dtype} {list(self.masks.shape)}")

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: Sequence[int] | Tensor) -> Labelled:
        """The images at these places, in this order; a place may come more than once."""
        rows = torch.as_tensor(places, dtype=torch.int64)
        masks = None if self.masks is None else self.masks[rows]
        return Labelled(self.images[rows], self.labels[rows], tuple(self.names[row] for row in rows.tolist()), masks)

    def joined(self, other: Labelled) -> Labelled:
        """These images and then the other's, which have the same shape; with masks only where both have them."""
        both = self.masks is not None and other.masks is not None
        return Labelled(
            torch.cat([self.images, other.images]),
            torch.cat([self.labels, other.labels]),
            self.names + other.names,
            torch.cat([self.masks, other.masks]) if both else None,  # type: ignore[list-item]  # `both` tells
        )
