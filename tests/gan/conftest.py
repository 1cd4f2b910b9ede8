"""What the tests of gan share: tiny options, images in memory, and gan-train inside this process."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.config import TrainConfig
from gan.photos.read import ImageSet
from gan.training import monitor
from gan.training.events import Events
from gan.training.trainer import Trainer
from tests.conftest import ONE_THREAD, clean_environment, run_in_process, scratch

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "image_size": 32,
    "z_dim": 40,
    "g_width": 2,
    "d_width": 2,
    "batch_size": 8,
    "feature_matching": 0.0,
    "total_kimg": 0.0,
    "epochs": 2,
}


@pytest.fixture(autouse=True)
def _few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at few images of each generator that a test trains in this process, and draw no curves, at which none looks.

    Those of `trained` are drawn, and test_monitor.py draws some.
    """
    monkeypatch.setattr("gan.training.figures.LOOKED_AT", 50)
    monkeypatch.setattr(monitor, "plot_losses", lambda _, path: path.touch())


def tiny(recipe: str = "dcgan", **changes: Any) -> TrainConfig:
    """A recipe at a size whose steps take milliseconds."""
    options = {**SMALL, **changes}
    if options["total_kimg"]:  # it is asked for in the place of epochs
        del options["epochs"]
    return TrainConfig.of(recipe, **options)


def after(steps: int, images: Tensor, config: TrainConfig) -> Trainer:
    """A trainer that has made some steps."""
    trainer = Trainer(images, config, CPU)
    for _ in range(steps):
        trainer.train_step()
    return trainer


def numbered(count: int) -> Tensor:
    """Images whose every pixel is their own index."""
    return torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1).expand(count, 1, 32, 32)


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
    """24 gray plates of 32×32 with a scratch each."""
    random = np.random.default_rng(1)
    images = np.stack([scratch(random, 32, 32) for _ in range(24)])
    return ImageSet(torch.from_numpy(images)[:, None], [f"{number:02d}.png" for number in range(24)])


@pytest.fixture
def gan_train() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`gan-train` in this process: a call spares the seconds that torch loads."""
    return partial(run_in_process, "gan-train")


@contextlib.contextmanager
def started(until: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`gan-train` as a process of its own that has just said a line with `until`, and the lines before.

    It cannot be a copy of this one: a process that has calculated gradients has copies that cannot.
    """
    with subprocess.Popen(
        ["gan-train", *words], env=clean_environment(**ONE_THREAD), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = list(itertools.takewhile(lambda line: until not in line, process.stderr))
        try:
            assert process.poll() is None, said
            yield process, said
        finally:
            process.kill()


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Training leaves empty pictures: to draw them takes ten times as long as its few small steps."""

    def empty(_: object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    patch.setattr(monitor, "save_picture", empty)
    patch.setattr(monitor, "plot_losses", empty)
    patch.setattr(Events, "picture", lambda *_: None)


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that does not look at pictures."""
    draw_nothing(monkeypatch)
