"""Another generator, which only the table of architectures is told of, goes the whole way from photos to a dataset."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.abilities import ABILITIES, Abilities
from gan.config import Course, TrainConfig
from gan.networks.architectures import ARCHITECTURES, new_generator
from gan.networks.generator import Generator
from gan.networks.reader import load_generator
from gan.photos.read import ImageSet
from gan.training.run import train
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from models.latents import Input
from tests.conftest import run
from tests.export.conftest import run_in_process
from tests.gan.conftest import same
from tests.jobs.conftest import decoded

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

FILTER = (1.0, 3.0, 3.0, 1.0)


class Grainy(Generator):
    """Two inputs to 32×32: matrices, a filter, bounded slopes, a pixel shuffle, a crop; no layer of the other one."""

    architecture = "grainy"
    UNSEEN = frozenset({"steepness"})

    def __init__(self, z_dim: int, grain_dim: int, channels: int, steepness: float = 0.1) -> None:
        super().__init__()
        self.z_dim, self.grain_dim, self.channels, self.steepness = z_dim, grain_dim, channels, steepness
        self.height = self.width = 32
        self.shape = nn.Linear(z_dim, 4 * 18 * 18)
        self.grain = nn.Linear(grain_dim, 18 * 18)
        self.last = nn.Conv2d(4, 4 * channels, 3, padding=1)
        self.register_buffer("filter", torch.outer(*(torch.tensor(FILTER),) * 2).expand(4, 1, 4, 4) / 64)

    @property
    def inputs(self) -> dict[str, Input]:
        return {"z": Input("float32", (self.z_dim,)), "grain": Input("float32", (self.grain_dim,))}

    @property
    def unseen(self) -> dict[str, Any]:
        return {"steepness": self.steepness}

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        return cls(config.z_dim, 3, config.channels)

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        try:
            with torch.device("meta"):
                made = cls(
                    state["shape.weight"].shape[1], state["grain.weight"].shape[1], len(state["last.bias"]) // 4,
                    **unseen,
                )  # fmt: skip
        except KeyError as error:
            raise ValueError(f"not a grainy generator: no {error}") from None
        if {name: tensor.shape for name, tensor in made.state_dict().items()} != {n: t.shape for n, t in state.items()}:
            raise ValueError("not a grainy generator")
        return made

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], **unseen: Any) -> Self:
        made = cls.shaped_like(state, **unseen).to_empty(device="cpu")
        made.load_state_dict(state)
        return made.eval()

    def initialise(self, random: torch.Generator) -> None:
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, 0.3, generator=random)

    def for_export(self) -> nn.Module:
        return copy.deepcopy(self).eval().double()

    def forward(self, z: Tensor, grain: Tensor) -> Tensor:
        x = self.shape(z).reshape(-1, 4, 18, 18)
        x = F.conv2d(F.pad(x, (2, 1, 1, 2)), self.filter, groups=4)
        x = torch.where(x > 0, x, self.steepness * x) + self.grain(grain).reshape(-1, 1, 18, 18)
        return F.pixel_shuffle(self.last(F.leaky_relu(x, 0.2)), 2)[:, :, 3:35, 1:33].tanh()


CONFIG = TrainConfig(
    architecture="grainy", image_size=32, z_dim=5, d_width=2, batch_size=8, epochs=3, ema_kimg=0.01,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _in_the_table() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "grainy", Grainy)
        yield


@pytest.fixture(scope="module")
def photos() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 1, 32, 32), dtype=np.uint8)
    return ImageSet(torch.from_numpy(pixels), [f"{number}.png" for number in range(16)])


@pytest.fixture(scope="module")
def model(photos: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`generator_model.pth` of a whole run."""
    return train(photos, tmp_path_factory.mktemp("trained"), CONFIG)


@pytest.fixture(scope="module")
def onnx_file(model: Path) -> Path:
    result = run_in_process("onnx", model, "--batch-check", "1,2,5")
    assert result.returncode == 0, result.stderr
    return model.with_name("generator.onnx")


def test_it_trains_and_its_weights_are_read_again(model: Path) -> None:
    generator, begun = load_generator(model), new_generator(CONFIG)
    assert isinstance(generator, Grainy)
    begun.initialise(torch.Generator().manual_seed(0))
    assert not torch.equal(generator.shape.weight, begun.state_dict()["shape.weight"])
    options = json.loads(model.with_name("training_options.json").read_text())
    assert options["options"]["architecture"] == "grainy"


def test_what_it_can_is_asked_of_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    able = {
        "class_names": ("dent", "pit"),
        "masks": True,
        "image_size": "96x64",
        "d_two_part": True,
        "d_batch_norm": False,
    }
    with pytest.raises(ValueError, match="need the two networks"):
        dataclasses.replace(CONFIG, **able)
    monkeypatch.setitem(ABILITIES, "grainy", Abilities(labels=True, masks=True, any_sides=True))
    assert dataclasses.replace(CONFIG, **able).size == (96, 64)


def test_it_resumes_and_ends_where_an_uninterrupted_run_ends(
    photos: ImageSet, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Trainer.train_step

    def interrupted(trainer: Any) -> Any:
        if trainer.step == 3:
            raise CommandError(ExitCode.TERMINATED, "cut off")
        return steps(trainer)

    course = Course(sample_epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        with pytest.raises(CommandError, match="cut off"):
            train(photos, tmp_path, CONFIG, course=course)
    resumed = train(photos, tmp_path, CONFIG, course=course, resume=True)
    assert same(dict(load_generator(resumed).state_dict()), dict(load_generator(model).state_dict()))


def test_a_run_of_another_architecture_is_not_gone_on_with(photos: ImageSet, model: Path) -> None:
    other = TrainConfig(**{**CONFIG.to_dict(), "architecture": "dcgan"})
    with pytest.raises(CommandError, match="architecture was grainy and is dcgan") as error:
        train(photos, model.parent, other, resume=True)
    assert error.value.exit_code is ExitCode.OTHER_RUN


def test_its_file_names_both_inputs_and_what_the_weights_do_not_show(onnx_file: Path) -> None:
    facts = json.loads(run_in_process("info", "--json", onnx_file).stdout)
    assert facts["inputs"] == {"z": {"dtype": "float32", "shape": [5]}, "grain": {"dtype": "float32", "shape": [3]}}
    assert (facts["architecture"], facts["assumed"]) == ("grainy", {"steepness": 0.1})
    assert "grain [3]" in run_in_process("info", onnx_file).stdout


def test_its_file_is_verified_alone_and_with_its_weights(onnx_file: Path, model: Path) -> None:
    for more in ((), ("--model", model)):
        result = run_in_process("verify", onnx_file, *more)
        assert result.returncode == 0, result.stderr


def test_half_precision_and_pt2_pass_the_same_gate(model: Path, tmp_path: Path) -> None:
    half, program = tmp_path / "half.onnx", tmp_path / "program.pt2"
    for command in (("onnx", model, "--precision", "fp16", "--out", half), ("torch", model, "--out", program)):
        result = run_in_process(*command, "--batch-check", "1,3")
        assert result.returncode == 0, result.stderr
    for file in (half, program):
        assert run_in_process("verify", file).returncode == 0


def test_gan_batch_makes_its_images(onnx_file: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(
        "gan-batch", "--model", onnx_file, "--count", "3", "--seed", "7", "--device", "cpu", "--quality-gate", "off",
        "--out", out,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    generator = load_generator(model)
    with torch.no_grad():
        images = generator(**generator.inputs_at(7, 0, 3)).numpy()
    made = np.stack([decoded(path.read_bytes()) for path in sorted(out.rglob("0000000[012].png"))])
    steps = made.reshape(images.shape) - (images + 1) * 127.5
    assert np.abs(steps).max() < 0.51
    assert np.std(images, axis=0).max() > 0.1, "all images are alike"
