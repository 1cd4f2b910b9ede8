"""Which photos are shown at which step: endless shuffled epochs, each process's share of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan.photos.spots import Windows
from gan.training.processes import Processes

_CLEAR = 4
"""Of so many crops one shows no defect, where its photo has room for that."""


class Batches:
    """Batches of training images by their position in the run; any of them at any time.

    Args:
        images: uint8 `[N, C, H, W]`, on the device to train on; with masks these are the last channel.
        photos: uint8 `[C, H, W]` each, to crop the images from anew every time they are shown; none: `images` it is.
        windows: of the photos' masks, where there are any: crops then hold some of the defect, or are `clear`.
        labels: int64 `[N]`, or None.
        batch_size: images a batch, of all processes.
        seeds: of the order and the crops.
        processes: this one among those that train together.
    """

    def __init__(
        self,
        images: Tensor,
        photos: Sequence[Tensor],
        windows: Sequence[Windows],
        labels: Tensor | None,
        batch_size: int,
        seeds: Sequence[int],
        processes: Processes,
    ) -> None:
        self._images, self._photos, self._windows, self._labels = images, photos, windows, labels
        self._batch_size, self._seeds = batch_size, seeds
        share = batch_size // processes.count
        self._first, self._stop = processes.rank * share, (processes.rank + 1) * share

    def labels(self, position: int) -> Tensor | None:
        """Of the batch at `position`: what is generated has the same, so that pairs are of one class."""
        return None if self._labels is None else self._labels[self._places(position)]

    def clear(self, position: int) -> Tensor | None:
        """Which images of the batch at `position` are crops without a defect, bool `[share]`; None where none can be.

        What is generated beside them has none either: what stands around a defect then cannot hold one without a mask.
        """
        if not self._windows:
            return None
        return torch.tensor(self._clear(self._chosen(position)), device=self._images.device)

    def images(self, position: int) -> Tensor:
        """The batch that begins at this image of the run: uint8 `[share, C, H, W]`."""
        if self._photos:
            return self._crops(self._chosen(position), np.random.default_rng([*self._seeds, position, self._first]))
        return self._images[self._places(position)]

    def _places(self, position: int) -> Tensor:
        return torch.tensor(self._chosen(position), device=self._images.device)

    def _chosen(self, position: int) -> list[int]:
        chosen: list[int] = []
        while len(chosen) < self._batch_size:
            epoch, offset = divmod(position + len(chosen), len(self._images))
            order = np.random.default_rng([*self._seeds, epoch]).permutation(len(self._images))
            chosen += order[offset : offset + self._batch_size - len(chosen)].tolist()
        return chosen[self._first : self._stop]

    def _clear(self, chosen: Sequence[int]) -> list[bool]:
        if len(chosen) < 3:  # two with a defect are the least that can be compared
            return [False] * len(chosen)
        places = range(self._first, self._stop)
        return [
            place % _CLEAR == _CLEAR - 1 and self._windows[index].has_clear
            for place, index in zip(places, chosen, strict=True)
        ]

    def _crops(self, chosen: Sequence[int], random: np.random.Generator) -> Tensor:
        height, width = self._images.shape[2:]
        crops: list[Tensor] = []
        clear = self._clear(chosen) if self._windows else []
        for place, index in enumerate(chosen):
            photo = self._photos[index]
            if self._windows:
                windows = self._windows[index]
                top, left = windows.draw_clear(random) if clear[place] else windows.draw(random)
            else:
                top, left = (
                    int(random.integers(0, has - needed + 1))
                    for has, needed in zip(photo.shape[1:], (height, width), strict=True)
                )
            crops.append(photo[:, top : top + height, left : left + width])
        return torch.stack(crops)
