"""Small generators whose images have contrast: those of a few training steps are one plain gray."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from export import onnx_exporter
from export.onnx_exporter import build, export_onnx
from gan.networks.dcgan import DCGAN
from models.info import GeneratorInfo
from tests.conftest import made_once
from tests.conftest import run_in_process as in_process
from tests.export import built
from tests.export.pages import CLASSES, PARTS, runtime
from tests.jobs.small_models import write_model


def lively(z_dim: int = 8, channels: int = 1, width: int = 2, seed: int = 0, image_size: int = 128) -> DCGAN:
    """A generator with random weights, and batch-norm statistics that fit them."""
    random = torch.Generator().manual_seed(seed)
    generator = DCGAN(z_dim, channels, width, image_size)
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.2, generator=random)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2, generator=random)
            nn.init.normal_(module.bias, 0.0, 0.2, generator=random)
            module.momentum = None  # the statistics are those of the next batch
    with torch.no_grad():
        generator.train()(torch.randn(64, z_dim, generator=random))
    return generator.eval()


small = functools.partial(lively, image_size=32)
"""One whose export is compared in a quarter of the time."""


def name_of(generator: DCGAN, stage: int, kind: str = "weight") -> str:
    """The name of a convolution's parameter in the graph; stage 0 gets the latent, stage -1 gives the image."""
    return f"main.{3 * range(len(generator.widths) + 1)[stage]}.{kind}"


def change(model: onnx.ModelProto, name: str, new: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Put other values into the constant `name` of a graph."""
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    values = new(onnx.numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(values, order="C"), name))


def info_of(path: Path) -> GeneratorInfo:
    """What an ONNX file says of itself."""
    return GeneratorInfo.from_metadata({entry.key: entry.value for entry in onnx.load(path).metadata_props})


run_in_process = functools.partial(in_process, "gan-export")
"""`gan-export` without the seconds that a new process needs to import PyTorch."""


@pytest.fixture(scope="session", autouse=True)
def _quick_exports(operators_are_read_once: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For every test here: the same generator is traced once. `build`, called by its name, traces each time."""
    folder = made_once(tmp_path_factory, "built", lambda _: None, copy=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_exporter, "build", built.kept(folder))
        yield


@pytest.fixture
def traced_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test whose claim is that a second export gives the same graph."""
    monkeypatch.setattr(onnx_exporter, "build", build)


@pytest.fixture(scope="session")
def generator() -> DCGAN:
    """A gray generator; tests must not change it."""
    return small()


@pytest.fixture(scope="session")
def colour() -> DCGAN:
    """A colour generator with another latent dimension and width; tests must not change it."""
    return small(z_dim=5, channels=3, width=3, seed=1)


@pytest.fixture(scope="session")
def gray_file(tmp_path_factory: pytest.TempPathFactory, generator: DCGAN) -> Path:
    """The ONNX file of `generator`, alone in its folder; tests must not change it."""
    name = "generator.onnx"
    return made_once(tmp_path_factory, "gray", lambda folder: export_onnx(generator, folder / name)) / name


@pytest.fixture(scope="session")
def _colour_model(colour: DCGAN) -> onnx.ModelProto:
    return build(colour, 18)


@pytest.fixture
def colour_model(_colour_model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of `colour`, for a test to change."""
    return copy.deepcopy(_colour_model)


@pytest.fixture(scope="session")
def page_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of a generator with classes, masks and parts; tests must not change it."""
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    return write_model(path, classes=CLASSES, masks=0.5, gain=1.0, parts=PARTS)


@pytest.fixture(scope="session")
def page_folder(page_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page; tests must not change it."""
    package = runtime()

    def make(folder: Path) -> None:
        result = run_in_process("page", page_model, "--out", folder / "page", "--runtime", package)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr

    return made_once(tmp_path_factory, "page", make, copy=False) / "page"
