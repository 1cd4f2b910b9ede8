"""What the tests of training share: images, a validation that is told what it measures, and what a run left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan.config import Course, TrainConfig
from gan.networks import reader
from gan.photos.read import ImageSet
from gan.training.run import train
from gan.training.validation import Measured, Validation
from models.errors import CommandError
from tests.conftest import scratch

Tree = Callable[[Path, Sequence[str]], dict[str, bytes]]
ROW = {"Loss_D": 1.0, "Loss_G": 1.0, "D(x)": 0.5, "D(G(z)) before": 0.5, "D(G(z)) after": 0.5}
OFTEN = Course(sample_epochs=1, validation_kimg=0.001, keep_snapshots=99)
"""A sample grid, a snapshot and a measure every three steps."""


class Scripted(Validation):
    """Gives these values instead of measuring."""

    def __init__(self, *values: float, against: str = "the same photos", one_photo: float = 0.0) -> None:
        self.values: Iterator[float] = iter(values)
        self.against, self.traces, self.one_photo = against, None, one_photo

    def measure(self, generator: torch.nn.Module, on_images: Callable[[int], None] = print) -> Measured:
        value = next(self.values)
        return Measured(value, value, self.one_photo)


def row(step: int, **changes: float) -> dict[str, float]:
    """A row of statistics."""
    return {"step": step, "kimg": step / 100, **ROW, **changes}


def weights(folder: Path) -> dict[str, Any]:
    """The generator that a run left."""
    return reader.load(folder / "generator_model.pth")


def refused(data: ImageSet, out: Path, config: TrainConfig, **how: bool) -> CommandError:
    """The error that a run ends with."""
    with pytest.raises(CommandError) as error:
        train(data, out, config, **how)
    return error.value


def noise(count: int = 8, channels: int = 1) -> Tensor:
    """Images without two equal pixels."""
    return torch.rand((count, channels, 128, 128), generator=torch.Generator().manual_seed(99)) * 2 - 1


def folders(root: Path, dark: int = 12) -> Path:
    """Photos of scratches in folders of their class; the dark ones have half the light."""
    random = np.random.default_rng(3)
    for name, count, light in (("bright", 12, 1.0), ("dark", dark, 0.5)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray((scratch(random, 64, 64) * light).astype(np.uint8)).save(root / name / f"{number:02d}.png")
    return root


def spots(count: int = 24, side: int = 32, seed: int = 0) -> ImageSet:
    """Gray plates with a bright square each, and its mask."""
    random = np.random.default_rng(seed)
    images = random.normal(90, 6, (count, 1, side, side))
    masks = np.zeros((count, 1, side, side), np.uint8)
    for mask in masks:
        top, left = random.integers(0, side - 6, 2)
        mask[0, top : top + 6, left : left + 6] = 255
    pixels = np.where(masks > 0, 220, images).clip(0, 255).astype(np.uint8)
    names = [f"{number:02d}.png" for number in range(count)]
    return ImageSet(torch.from_numpy(pixels), names, masks=torch.from_numpy(masks))
