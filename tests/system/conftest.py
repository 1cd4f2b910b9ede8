"""What the commands of whole chains are given so that they take less time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from export.parity import one_thread
from tests.export.conftest import _operators_are_read_once as _operators_are_read_once


class Pools(nn.Module):
    """64 means of places: what a photo is to a feature network that takes no time."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images[:, :1], [8, 8]).flatten(1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two of PyTorch, as it has them on two cores, take four times as long where another worker runs beside."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for `--features`, named pools.pt: comparing by EfficientNet takes 20 s of processor time."""
    path = tmp_path_factory.mktemp("features") / "pools.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(Pools()).save(str(path))
    return path
