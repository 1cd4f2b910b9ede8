"""What the tests of gan share: tiny options, images in memory, and gan-train inside this process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.cli import cli
from gan.config import TrainConfig
from gan.photos.read import ImageSet
from models import console
from models.log import log
from tests.conftest import scratch

SMALL: dict[str, Any] = {"z_dim": 8, "g_width": 2, "d_width": 2, "batch_size": 8, "total_kimg": 0.0, "epochs": 2}


def tiny(recipe: str = "dcgan", **changes: Any) -> TrainConfig:
    """A recipe at a size whose steps take milliseconds."""
    return TrainConfig.of(recipe, **{**SMALL, **changes})


def same(ours: Any, theirs: Any) -> bool:
    """Whether two states are equal to the last bit; NaN is equal to nothing."""
    if isinstance(ours, Tensor):
        return isinstance(theirs, Tensor) and ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    if isinstance(ours, Mapping):
        return ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


@pytest.fixture(scope="session")
def plates() -> ImageSet:
    """24 gray plates with a scratch each."""
    random = np.random.default_rng(1)
    images = np.stack([scratch(random) for _ in range(24)])
    return ImageSet(torch.from_numpy(images)[:, None], [f"{number:02d}.png" for number in range(24)])


@pytest.fixture
def gan_train(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`gan-train` as its entry point runs it, but in this process: a call spares the seconds that torch loads."""

    def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("GAN_TRAIN_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                console.run(cli, "gan-train", [str(argument) for argument in arguments])
        out, errors = capsys.readouterr()
        return subprocess.CompletedProcess(["gan-train"], int(str(ended.value.code)), out, errors)

    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield call
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)
