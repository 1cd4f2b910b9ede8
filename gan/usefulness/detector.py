"""What every detector is: it learns from labelled images, and leaves a judge of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan.usefulness.labelled import Labelled

Judge = Callable[[Tensor], Tensor]
"""Images uint8 `[N, C, H, W]` to probabilities float32 `[N, classes]` on the CPU."""
Augment = Callable[[Tensor, torch.Generator], Tensor]
"""A batch uint8 `[N, C, H, W]` to another of its shape. Of 2 or 4 channels the last is a mask: it moves with its image,
stays 0 or 255, and another light does nothing to it."""


@dataclass(frozen=True)
class Practice:
    """How a detector learns.

    Attributes:
        steps: of the optimiser, however many images there are.
        seed: of the weights, the order and what `augment` draws.
        batch_size: images in a step.
        weights: float64 `[N]`, each image's chance to be drawn, up to a factor; None: all have the same.
        augment: changes each batch before it is learned from.
    """

    steps: int
    seed: int
    batch_size: int = 32
    weights: Tensor | None = None
    augment: Augment | None = None


class Detector(Protocol):
    """One that can learn what images show.

    Attributes:
        name: what reports call it, and users ask for.
        needs_masks: it learns from masks.
        steps: optimiser steps after which it has usually learned what it can; None: it has no usual number.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_masks(self) -> bool: ...

    @property
    def steps(self) -> int | None: ...

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """Learn. The same arguments give the same judge to the bit, on one machine with one number of threads.

        Args:
            train: at least one image.
            classes: how many there are, whether `train` shows each or not.
            practice: how.

        Raises:
            CommandError: 65 the detector cannot learn from these images.
        """
        ...
