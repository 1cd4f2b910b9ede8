"""A generator with classes: its file names them, and is proven for each of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from export import export_onnx, export_torch, verify_file
from export.facts import as_json, as_page, read_facts
from gan.config import TrainConfig
from gan.networks.architectures import ARCHITECTURES
from gan.networks.generator import Generator
from models.errors import CommandError, ExitCode
from models.latents import Input

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

NAMES = ["crack", "rolled in", "洞"]


class Classy(Generator):
    """A latent and a label to 32×32: two matrices, of which one is a table of classes."""

    architecture = "classy"

    def __init__(self, z_dim: int, classes: int) -> None:
        super().__init__()
        self.z_dim, self.channels, self.height, self.width = z_dim, 1, 32, 32
        self.table = nn.Embedding(classes, 1024)
        self.last = nn.Linear(z_dim, 1024)

    @property
    def inputs(self) -> dict[str, Input]:
        return {"z": Input("float32", (self.z_dim,)), "label": Input("int64", (), self.table.num_embeddings)}

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        return cls(config.z_dim, len(NAMES))

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        if set(state) != {"table.weight", "last.weight", "last.bias"}:
            raise ValueError("not a classy generator")
        with torch.device("meta"):
            return cls(state["last.weight"].shape[1], len(state["table.weight"]))

    def initialise(self, random: torch.Generator) -> None:
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, 0.3, generator=random)

    def for_export(self) -> nn.Module:
        return copy.deepcopy(self).eval().double()

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return (self.last(z) + self.table(label)).reshape(-1, 1, 32, 32).tanh()


@pytest.fixture(scope="module", autouse=True)
def _in_the_table() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "classy", Classy)
        yield


def classy(classes: int = len(NAMES)) -> Classy:
    generator = Classy(5, classes)
    generator.initialise(torch.Generator().manual_seed(0))
    return generator.eval()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classy") / "generator.onnx"
    export_onnx(classy(), path, batch_check=(1, 2, 5), training={"class_names": NAMES})
    return path


def test_file_has_labels_and_the_names_of_its_classes(file: Path) -> None:
    info, facts = read_facts(file)
    assert info.classes == tuple(NAMES)
    assert as_json(info, facts)["inputs"] == {
        "z": {"dtype": "float32", "shape": [5]}, "label": {"dtype": "int64", "shape": []},
    }  # fmt: skip
    assert "label (one of 3)" in as_page(file, info, facts)
    (label,) = (value for value in onnx.load(str(file)).graph.input if value.name == "label")
    assert (label.type.tensor_type.elem_type, label.doc_string[:13]) == (onnx.TensorProto.INT64, "labels, int64")


def test_file_is_verified_alone(file: Path) -> None:
    assert verify_file(file).passed


def test_every_class_is_compared_however_many_there_are(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(40)]
    report = export_onnx(classy(40), tmp_path / "many.onnx", batch_check=(2, 3), training={"class_names": names})
    assert {row.latents for row in report.rows} >= {"batch 2", "batch 3", "batch 40"}


def test_half_precision_and_pt2_pass_the_same_gate(tmp_path: Path) -> None:
    half, program = tmp_path / "half.onnx", tmp_path / "program.pt2"
    export_onnx(classy(), half, precision="fp16", batch_check=(1, 3), training={"class_names": NAMES})
    export_torch(classy(), program, batch_check=(1, 3), training={"class_names": NAMES})
    for path in (half, program):
        assert verify_file(path).passed


@pytest.mark.parametrize("training", [{}, {"class_names": NAMES[:2]}, {"class_names": ["a", "b", "a,b"]}])
def test_generator_whose_classes_have_no_names_is_not_exported(training: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="class") as error:
        export_onnx(classy(), tmp_path / "generator.onnx", training=training)
    assert error.value.exit_code is ExitCode.BAD_DATA
    assert list(tmp_path.iterdir()) == []


def test_job_shows_the_class_that_it_asks_for(file: Path) -> None:
    from jobs.workers.session import GeneratorSession
    from models.mix import Mix

    session, mix = GeneratorSession(file, "cpu"), Mix(tuple(NAMES), (1, 0, 2))
    assert session.facts.class_names == tuple(NAMES)
    asked = session.inputs(7, 0, 4, mix)
    assert asked["label"].tolist() == mix.labels(0, 4).tolist()
    with torch.no_grad():
        expected = classy()(**{name: torch.from_numpy(values) for name, values in asked.items()}).numpy()
    made = session.pixels(asked, 4).transpose(0, 3, 1, 2)
    assert np.abs(made - (expected + 1) * 127.5).max() < 0.51
