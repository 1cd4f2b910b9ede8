"""What the ONNX file is, and that no file appears whose images are not the generator's."""

from __future__ import annotations

import copy
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from export import onnx_exporter
from export.exported import Exported
from export.onnx_exporter import build, export_onnx
from gan.networks.dcgan import DCGAN
from gan.training import snapshots
from models.errors import CommandError
from models.golden import Golden
from models.info import GeneratorInfo
from models.latents import latents
from tests.conftest import ROOT, run
from tests.export.conftest import change, lively, name_of, small

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


def session_of(model: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    content = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def outputs(model: Path | onnx.ModelProto, z: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    images, pixels = session_of(model).run(["images", "pixels"], {"z": z})
    return images, pixels


def rounded(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The rule for pixels, in NumPy; `rint` rounds half to even."""
    values = np.rint(np.clip((images + np.float32(1)) * np.float32(127.5), 0, 255))
    pixels: NDArray[np.uint8] = values.astype(np.uint8).transpose(0, 2, 3, 1)
    return pixels


def info_of(path: Path) -> GeneratorInfo:
    return GeneratorInfo.from_metadata(session_of(path).get_modelmeta().custom_metadata_map)


# The contract of the file


def test_input_is_z_float32_with_dynamic_batch(gray_file: Path) -> None:
    (z,) = session_of(gray_file).get_inputs()
    assert (z.name, z.type, z.shape) == ("z", "tensor(float)", ["batch", 8])


def test_outputs_are_float_images_and_byte_pixels(exported: Path) -> None:
    found = {output.name: (output.type, output.shape) for output in session_of(exported).get_outputs()}
    assert found == {
        "images": ("tensor(float)", ["batch", 1, 128, 128]),
        "pixels": ("tensor(uint8)", ["batch", 128, 128, 1]),
    }


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_any_batch_size_gives_the_images_of_pytorch(gray_file: Path, generator: DCGAN, batch: int) -> None:
    z = latents(3, 0, batch, 8)
    with torch.no_grad():
        expected = generator(torch.from_numpy(z)).numpy()
    assert expected.std() > 0.1  # else any gray would do
    np.testing.assert_allclose(outputs(gray_file, z)[0], expected, rtol=0, atol=2e-5)


def test_colour_generator_of_other_latent_and_width_keeps_channel_order(
    colour_model: onnx.ModelProto, colour: DCGAN
) -> None:
    z = latents(3, 0, 4, 5)
    images, pixels = outputs(colour_model, z)
    with torch.no_grad():
        expected = colour(torch.from_numpy(z)).numpy()
    assert pixels.shape == (4, 32, 32, 3)
    np.testing.assert_allclose(images, expected, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(pixels, rounded(images))


def test_pixels_are_the_rounded_images_exactly(gray_file: Path) -> None:
    images, pixels = outputs(gray_file, latents(4, 0, 64, 8))
    np.testing.assert_array_equal(pixels, rounded(images))


class Ramp(DCGAN):
    """Gives its latent back as images, so that a test chooses their values."""

    def __init__(self) -> None:
        super().__init__(1, 1, 1, 32)
        self.main = nn.Sequential(nn.Identity())


def test_halves_go_to_the_even_pixel_and_the_rest_is_clipped() -> None:
    steps = np.arange(-20, 276, dtype=np.float32)
    z = np.concatenate([steps, steps + np.float32(0.5)]) / np.float32(127.5) - np.float32(1)
    values = (z + np.float32(1)) * np.float32(127.5)
    assert (values % 1 == 0.5).sum() > 50, "too few exact halves to tell the roundings apart"
    _, pixels = outputs(build(Ramp(), 18), z[:, None])
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], np.rint(values.clip(0, 255)).astype(np.uint8))


def test_generator_handed_over_in_training_mode_is_exported_in_eval_mode(generator: DCGAN, tmp_path: Path) -> None:
    export_onnx(copy.deepcopy(generator).train(), tmp_path / "g.onnx")
    z = latents(3, 0, 2, 8)
    with torch.no_grad():
        expected = generator(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(outputs(tmp_path / "g.onnx", z)[0], expected, rtol=0, atol=2e-5)


def test_onnx_checker_accepts_the_file(gray_file: Path) -> None:
    onnx.checker.check_model(str(gray_file), full_check=True)


def test_no_batch_norm_is_left(gray_file: Path) -> None:
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(gray_file).graph.node}


def test_file_works_alone_in_another_folder(gray_file: Path, tmp_path: Path) -> None:
    z = latents(3, 0, 2, 8)
    expected = outputs(gray_file, z)[0]
    alone = Path(shutil.copy(gray_file, tmp_path))
    session = onnxruntime.InferenceSession(str(alone), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(["images"], {"z": z})[0], expected)
    assert [path.name for path in gray_file.parent.iterdir()] == ["generator.onnx"]


def test_default_is_opset_18_and_an_ir_that_older_runtimes_read(gray_file: Path) -> None:
    model = onnx.load(gray_file)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert model.ir_version <= 10


def test_opset_20_passes_the_same_gate(generator: DCGAN, tmp_path: Path) -> None:
    report = export_onnx(generator, tmp_path / "g.onnx", opset=20)
    assert [entry.version for entry in onnx.load(tmp_path / "g.onnx").opset_import] == [20]
    assert report.passed


def test_no_part_of_the_graph_carries_metadata_of_its_making(gray_file: Path) -> None:
    model = onnx.load(gray_file)
    graph = model.graph
    parts = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    assert not [part.name for part in parts if part.metadata_props]
    assert not model.functions


def test_no_path_of_this_machine_is_in_the_file(gray_file: Path) -> None:
    content = gray_file.read_bytes()
    traces = [str(ROOT), sys.prefix, str(gray_file.parent), "site-packages", "networks.py", "stack_trace"]
    assert not [trace for trace in traces if trace.encode() in content]


def test_same_weights_give_the_same_bytes(gray_file: Path, traced_anew: None, tmp_path: Path) -> None:
    export_onnx(small(), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == gray_file.read_bytes()


def test_another_process_with_another_number_of_threads_gives_the_same_bytes(
    gray_file: Path, generator: DCGAN, tmp_path: Path
) -> None:
    threads = 2 if torch.get_num_threads() == 1 else 1
    snapshots.save_weights(tmp_path / "generator_model.pth", generator)
    result = run("gan-export", "onnx", tmp_path / "generator_model.pth", OMP_NUM_THREADS=str(threads))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "generator.onnx").read_bytes() == gray_file.read_bytes()


# What the file says of itself


def test_metadata_has_the_sizes_of_the_graph(exported: Path, gray_file: Path) -> None:
    info = info_of(exported)
    assert (info.z_dim, info.channels, info.height, info.width) == (8, 1, 128, 128)
    info = info_of(gray_file)
    assert (info.z_dim, info.channels, info.height, info.width) == (8, 1, 32, 32)


def test_metadata_has_the_evidence_of_every_checked_batch(gray_file: Path) -> None:
    evidence = info_of(gray_file).parity
    cases = [*(f"batch {n}" for n in (1, 2, 3, 64, 129)), "zeros", "+4 and -4 σ", "one of 100 σ"]
    compared = [(row["runtime"], row["latents"]) for row in evidence["rows"]]
    assert compared[:16] == [
        (runtime, case) for runtime in ("PyTorch float32", "CPUExecutionProvider") for case in cases
    ]
    assert all(0 <= row["images_error"] <= row["atol"] for row in evidence["rows"] if row["atol"])


def test_golden_images_are_those_of_pytorch(gray_file: Path, generator: DCGAN) -> None:
    golden = Golden.from_dict(info_of(gray_file).golden)
    with torch.no_grad():
        images = generator(torch.from_numpy(latents(golden.seed, 0, 16, 8))).numpy()
    by_value, by_pixels = golden.differences(images, rounded(images))
    assert by_value <= golden.atol
    assert by_pixels <= 1


# The gate: every fault is refused, and nothing is left


def nudged(values: NDArray[Any]) -> NDArray[Any]:
    """One weight, the largest, off by a thousandth of it."""
    largest = np.unravel_index(np.abs(values).argmax(), values.shape)
    values[largest] *= 1 + 1e-3
    return values


def moved(values: NDArray[Any]) -> NDArray[Any]:
    """One weight, the first, off by 0.001."""
    values.flat[0] += 1e-3
    return values


def with_nan(values: NDArray[Any]) -> NDArray[Any]:
    values.flat[0] = np.nan
    return values


def batch_norm_left_in_training_mode(generator: DCGAN) -> onnx.ModelProto:
    """Each batch norm folded with the mean and variance of one batch instead of those of the training."""
    wrong = copy.deepcopy(generator).train()
    for module in wrong.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        wrong(torch.from_numpy(latents(3, 0, 8, generator.z_dim)))
    return build(wrong, 18)


def fixed_to_batch_1(generator: DCGAN) -> onnx.ModelProto:
    program = torch.onnx.export(
        Exported(generator).eval(),
        (torch.zeros(1, generator.z_dim),),
        dynamo=True,
        input_names=["z"],
        output_names=["images", "pixels"],
        opset_version=18,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


FAULTS: dict[str, tuple[int, str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "a first weight off by a thousandth": (0, "weight", nudged),
    "a middle weight off by a thousandth": (2, "weight", nudged),
    "a last weight off by a thousandth": (-1, "weight", nudged),
    "a bias off by a thousandth": (0, "bias", nudged),
    "a first weight off by 0.001": (0, "weight", moved),
    "a last weight off by 0.001": (-1, "weight", moved),
    "a NaN weight": (-1, "weight", with_nan),
    "colour channels swapped": (-1, "weight", lambda values: values[:, ::-1]),
    "latent reversed": (0, "weight", lambda values: values[::-1]),
}
"""Stage, kind of its parameter, and what becomes of its values."""


def damage(model: onnx.ModelProto, generator: DCGAN, fault: str) -> None:
    stage, kind, new = FAULTS[fault]
    change(model, name_of(generator, stage, kind), new)


def refused_without_trace(generator: DCGAN, folder: Path) -> None:
    """Assert that an export into `folder` ends with 76 and leaves `folder` as it was, twice."""
    out = folder / "generator.onnx"
    with pytest.raises(CommandError) as error:
        export_onnx(generator, out)
    assert error.value.exit_code == 76
    assert os.listdir(folder) == []
    out.write_bytes(b"the file of yesterday")
    with pytest.raises(CommandError):
        export_onnx(generator, out, overwrite=True)
    assert os.listdir(folder) == ["generator.onnx"]
    assert out.read_bytes() == b"the file of yesterday"


@pytest.mark.parametrize("fault", FAULTS)
def test_gate_refuses_a_graph_with(
    fault: str, colour: DCGAN, colour_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(colour_model, colour, fault)
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: colour_model)
    refused_without_trace(colour, tmp_path)


def test_gate_refuses_each_of_them_in_images_of_128_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = lively(z_dim=5, channels=3, width=3, seed=1)
    right = build(large, 18)
    for fault in FAULTS:
        model = copy.deepcopy(right)
        damage(model, large, fault)
        monkeypatch.setattr(onnx_exporter, "build", lambda *_, model=model: model)
        with pytest.raises(CommandError) as error:
            export_onnx(large, tmp_path / "generator.onnx", batch_check=(1, 2))
        assert error.value.exit_code == 76, fault
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", [batch_norm_left_in_training_mode, fixed_to_batch_1])
def test_gate_refuses_a_graph_that_was_built_wrong(
    wrong: Callable[[DCGAN], onnx.ModelProto],
    generator: DCGAN,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = wrong(generator)
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: model)
    refused_without_trace(generator, tmp_path)


def test_gate_refuses_a_generator_that_is_not_finite_itself(
    colour: DCGAN, colour_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = copy.deepcopy(colour)
    nn.init.constant_(broken.main[-2].weight, float("nan"))
    damage(colour_model, colour, "a NaN weight")
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: colour_model)
    refused_without_trace(broken, tmp_path)


def test_gate_lets_the_right_graph_through(
    colour: DCGAN, colour_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: colour_model)
    assert export_onnx(colour, tmp_path / "generator.onnx").passed
    assert os.listdir(tmp_path) == ["generator.onnx"]
