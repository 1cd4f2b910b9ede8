"""The network as it goes into a file, at both precisions."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from export import onnx_exporter
from export.exported import Exported
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.training import snapshots
from models.golden import Golden
from models.info import GeneratorInfo
from models.latents import latents
from tests.conftest import fails_in_one_line, run
from tests.export.conftest import run_in_process, small

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, generator: DCGAN) -> Path:
    """The fp16 file of `generator`; tests must not change it."""
    folder = tmp_path_factory.mktemp("half")
    snapshots.save_weights(folder / "generator_model.pth", generator)
    result = run_in_process("onnx", folder / "generator_model.pth", "--precision", "fp16")
    assert result.returncode == 0, result.stderr
    return folder / "generator.onnx"


def test_folding_batch_norm_changes_nothing_but_rounding(generator: DCGAN) -> None:
    z = torch.from_numpy(latents(3, 0, 8, 8))
    folded = Exported(generator)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(z)[0], generator(z), rtol=0, atol=1e-5)


def test_folding_leaves_the_generator_as_it_was() -> None:
    generator = small()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    Exported(generator, "fp16")
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())


def test_fp16_file_holds_its_weights_in_half_the_bytes(half: Path, gray_file: Path) -> None:
    def weight_bytes(path: Path) -> int:
        return sum(len(t.raw_data) for t in onnx.load(path).graph.initializer if t.name.startswith("main."))

    assert 2 * weight_bytes(half) == weight_bytes(gray_file)


def test_fp16_file_has_the_same_inputs_and_outputs_and_the_same_network_as_evidence(
    half: Path, generator: DCGAN
) -> None:
    session = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"])
    assert [(v.name, v.type) for v in (*session.get_inputs(), *session.get_outputs())] == [
        ("z", "tensor(float)"),
        ("images", "tensor(float)"),
        ("pixels", "tensor(uint8)"),
    ]
    info = GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    assert info.precision == "fp16"
    assert info.weights_sha256 == reader.weights_sha256(generator.state_dict())
    golden = Golden.from_dict(info.golden)
    with torch.no_grad():
        images, pixels = Exported(generator)(torch.from_numpy(latents(golden.seed, 0, 16, 8)))
    assert golden.differences(images.numpy(), pixels.numpy())[0] < 1e-5  # of the network, not of its fp16


def test_fp16_pixels_differ_by_one_step_at_most(half: Path, generator: DCGAN) -> None:
    z = latents(3, 0, 64, 8)
    session = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"])
    (pixels,) = session.run(["pixels"], {"z": z})
    with torch.no_grad():
        expected = Exported(generator)(torch.from_numpy(z))[1].numpy()
    steps = np.abs(pixels.astype(int) - expected.astype(int))
    assert steps.max() == 1  # fp16 cannot be exact: else this is no fp16 file


def test_fp16_file_is_verified_and_generates(half: Path, tmp_path: Path) -> None:
    assert run_in_process("verify", half).returncode == 0
    assert run_in_process("verify", half, "--model", half.with_name("generator_model.pth")).returncode == 0
    result = run("gan-batch", "--model", half, "--count", "3", "--device", "cpu", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr


def test_fp16_of_a_network_that_is_too_steep_for_it_is_76(tmp_path: Path) -> None:
    steep = small()
    with torch.no_grad():
        steep.main[-2].weight *= 30
    snapshots.save_weights(tmp_path / "generator_model.pth", steep)
    result = run_in_process("onnx", tmp_path / "generator_model.pth", "--precision", "fp16")
    fails_in_one_line(result, 76, "pixels differ")
    assert os.listdir(tmp_path) == ["generator_model.pth"]


def test_gate_of_the_command_ends_with_76_and_the_table_and_leaves_nothing(
    generator: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = onnx_exporter.build(small(seed=3), 18)
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: wrong)
    snapshots.save_weights(tmp_path / "generator_model.pth", generator)
    result = run_in_process("onnx", tmp_path / "generator_model.pth")
    fails_in_one_line(result, 76, "generator.onnx was not written")
    assert "batch 129" in result.stderr
    assert os.listdir(tmp_path) == ["generator_model.pth"]
