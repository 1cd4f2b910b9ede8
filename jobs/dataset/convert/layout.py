"""What every layout of a data set must say and do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from jobs.dataset.convert.sample import TRAIN, Sample
from jobs.dataset.convert.shapes import Shape, Shaping, shapes_of
from jobs.dataset.convert.writer import DatasetFolder


class DatasetLayout(ABC):
    """How the data set of one trainer lies on disk.

    Args:
        folder: to write to.
        classes: names, by label.
        shaping: how masks become boxes and polygons.

    Attributes:
        needs_masks: whether it tells where a defect is.
        masks_in_all: whether all images must have masks, or none.
        needs_val: whether its trainers refuse to begin without a part `val`.
        needs_every_class: whether each class must be in each part.
        part_of_run: where the images of a run go.
    """

    needs_masks: ClassVar[bool] = True
    masks_in_all: ClassVar[bool] = False
    needs_val: ClassVar[bool] = False
    needs_every_class: ClassVar[bool] = False
    part_of_run: ClassVar[str] = TRAIN

    def __init__(self, folder: DatasetFolder, classes: Sequence[str], shaping: Shaping) -> None:
        self.folder = folder
        self.classes = list(classes)
        self.shaping = shaping
        self.dropped = 0

    @abstractmethod
    def place(self, sample: Sample, part: str) -> bool:
        """Put an image, and what is known of it, into a part; returns whether it has a place there."""

    @abstractmethod
    def finish(self, parts: Sequence[str]) -> None:
        """Write what is about more than one image; `parts` are those that have images."""

    def shapes(self, sample: Sample) -> list[Shape]:
        """The defects of an image; one whose mask has only smaller spots is counted in `dropped`."""
        mask = sample.pixels()
        found = shapes_of(mask, self.shaping)
        self.dropped += not found and bool(mask.any())
        return found
