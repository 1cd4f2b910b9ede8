"""A feature network that takes no time, for all tests: comparing by EfficientNet takes 20 s of processor time."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


class Pools(nn.Module):
    """64 means of places."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images[:, :1], [8, 8]).flatten(1)


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for `--features`, named pools.pt."""
    path = tmp_path_factory.mktemp("features") / "pools.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(Pools()).save(str(path))
    return path
