"""Which photos are shown at which step: endless shuffled epochs, each process's share of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan.photos.spots import Windows
from gan.training.processes import Processes


class Batches:
    """Batches of training images by their position in the run; any of them at any time.

    Args:
        images: uint8 `[N, C, H, W]`, on the device to train on; with masks these are the last channel.
        photos: uint8 `[C, H, W]` each, to crop the images from anew every time they are shown; none: `images` it is.
        windows: of the photos' masks, where there are any: crops then hold some of the defect.
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

    def _crops(self, chosen: Sequence[int], random: np.random.Generator) -> Tensor:
        height, width = self._images.shape[2:]
        crops: list[Tensor] = []
        for index in chosen:
            photo = self._photos[index]
            if self._windows:
                top, left = self._windows[index].draw(random)
            else:
                top, left = (
                    int(random.integers(0, has - needed + 1))
                    for has, needed in zip(photo.shape[1:], (height, width), strict=True)
                )
            crops.append(photo[:, top : top + height, left : left + width])
        return torch.stack(crops)
