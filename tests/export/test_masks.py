"""A generator that gives masks: its file gives them as 0 and 255, and no file appears whose masks are others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from export import ParityError, export_onnx, export_torch, onnx_exporter, verify_file
from export.exported import reference
from export.facts import as_json, as_page, read_facts
from export.replay import Replay
from gan.networks.architectures import ARCHITECTURES
from gan.training import snapshots
from models.golden import UNSURE, Golden
from models.latents import inputs, latents
from tests.conftest import fails_in_one_line
from tests.export.conftest import change, info_of, run_in_process
from tests.export.masked import Masked, masked

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


@pytest.fixture(scope="module", autouse=True)
def _in_the_table() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "masked", Masked)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `generator_model.pth` that the files are made from."""
    path = tmp_path_factory.mktemp("masked") / "generator_model.pth"
    snapshots.save_weights(path, masked())
    return path


@pytest.fixture(scope="module")
def file(weights: Path) -> Path:
    """The ONNX file of `weights`; tests must not change it."""
    result = run_in_process("onnx", weights, "--batch-check", "1,2,5")
    assert result.returncode == 0, result.stderr
    return weights.with_name("generator.onnx")


def exactly(z: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images and masks of the trained network in float64."""
    with torch.no_grad():
        images, masks = masked().double()(torch.from_numpy(z).double())
    return images.numpy(), masks.numpy()


# What the file is


def test_masks_are_a_third_output_of_bytes(file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [(output.name, output.type, output.shape) for output in session.get_outputs()] == [
        ("images", "tensor(float)", ["batch", 1, 32, 32]),
        ("pixels", "tensor(uint8)", ["batch", 32, 32, 1]),
        ("masks", "tensor(uint8)", ["batch", 32, 32]),
    ]
    assert "255 where the image shows a defect" in onnx.load(file).graph.output[2].doc_string
    assert info_of(file).outputs == ["images", "pixels", "masks"]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_masks_are_255_where_those_of_pytorch_are_above_0(file: Path, batch: int) -> None:
    z = latents(3, 0, batch, 8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (made,) = session.run(["masks"], {"z": z})
    _, masks = exactly(z)
    assert 0.2 < (masks > 0).mean() < 0.8, "nearly all is alike"
    sure = np.abs(masks[:, 0]) > 1e-5
    np.testing.assert_array_equal(made[sure], np.where(masks[:, 0] > 0, 255, 0)[sure])
    assert set(np.unique(made)) == {0, 255}


def test_golden_masks_are_those_of_pytorch(file: Path) -> None:
    golden = Golden.from_dict(info_of(file).golden)
    _, masks = exactly(inputs(golden.seed, 0, 16, masked().inputs)["z"])
    assert golden.masks is not None
    sure = golden.masks != UNSURE
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(golden.masks[sure], np.where(masks[:, 0] > 0, 255, 0)[sure])
    assert (np.abs(masks[:, 0][~sure]) <= golden.atol).all()


def test_page_and_json_name_the_outputs_and_the_table_has_a_column_for_masks(file: Path) -> None:
    info, facts = read_facts(file)
    assert as_json(info, facts)["outputs"] == ["images", "pixels", "masks"]
    lines = as_page(file, info, facts).splitlines()
    assert "outputs        images, pixels, masks" in lines
    assert any("their masks exactly" in line for line in lines)
    assert any(line.endswith(" mask px") for line in lines)
    assert max(map(len, lines)) <= 120
    judged = [row for row in info.parity["rows"] if row["atol"] is not None]
    assert judged
    assert {row["masks_error"] for row in judged} == {0}


def test_file_without_masks_says_nothing_of_them(gray_file: Path) -> None:
    info, facts = read_facts(gray_file)
    page = as_page(gray_file, info, facts)
    assert "outputs        images, pixels\n" in page
    assert "mask" not in page
    assert b"mask" not in gray_file.read_bytes()


def test_same_weights_give_the_same_bytes(file: Path, traced_anew: None, tmp_path: Path) -> None:
    export_onnx(masked(), tmp_path / "again.onnx", batch_check=(1, 2, 5))
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()


def test_file_is_verified_alone_and_with_its_weights(file: Path, weights: Path) -> None:
    for more in ((), ("--model", weights)):
        result = run_in_process("verify", file, *more)
        assert result.returncode == 0, result.stderr
        assert "mask px" in result.stderr


def test_half_precision_and_pt2_pass_the_same_gate(weights: Path, tmp_path: Path) -> None:
    half, program = tmp_path / "half.onnx", tmp_path / "program.pt2"
    export_onnx(masked(), half, precision="fp16", batch_check=(1, 3))
    export_torch(masked(), program, batch_check=(1, 3))
    for path in (half, program):
        for model in (None, weights):
            assert {row.masks_error for row in verify_file(path, model).rows if row.atol is not None} == {0}
    images, pixels, masks = torch.export.load(program).module()(torch.from_numpy(latents(3, 0, 7, 8)))
    assert (images.shape, pixels.shape, masks.shape) == ((7, 1, 32, 32), (7, 32, 32, 1), (7, 32, 32))
    assert (masks.dtype, set(masks.unique().tolist())) == (torch.uint8, {0, 255})


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_masks_replayed_in_float64_are_those_of_the_network_before_the_limit(precision: str) -> None:
    given = {"z": latents(3, 0, 4, 8)}
    _, masks = Replay(onnx_exporter.build(masked(), 18, precision), exact=True)(given)
    assert masks.dtype == np.float64
    with torch.no_grad():
        difference = np.abs(masks - reference(masked())(given)[1]).max()
    assert difference < (1e-6 if precision == "float32" else 5e-2)


# What is refused


def limit_moved(model: onnx.ModelProto) -> None:
    (node,) = (node for node in model.graph.node if node.op_type == "Greater")
    change(model, node.input[1], lambda values: np.full_like(values, 0.05))


def not_white(model: onnx.ModelProto) -> None:
    (node,) = (node for node in model.graph.node if node.op_type == "Mul" and node.output[0] in masks_from(model))
    change(model, node.input[1], lambda values: np.full_like(values, 254))


def turned_over(model: onnx.ModelProto) -> None:
    (node,) = (node for node in model.graph.node if node.op_type == "Greater")
    node.op_type = "Less"


def left_out(model: onnx.ModelProto) -> None:
    del model.graph.output[2]


def masks_from(model: onnx.ModelProto) -> set[str]:
    """What the last operator of `masks` takes."""
    (node,) = (node for node in model.graph.node if "masks" in node.output)
    return set(node.input)


FAULTS: dict[Callable[[onnx.ModelProto], None], str] = {
    limit_moved: "pixels of their masks",
    not_white: "pixels of their masks",
    turned_over: "limit",
    left_out: "",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_file_whose_masks_were_changed_after_its_export_is_76(
    file: Path, fault: Callable[[onnx.ModelProto], None], tmp_path: Path
) -> None:
    model = onnx.load(file)
    fault(model)
    onnx.save_model(model, tmp_path / "changed.onnx")
    fails_in_one_line(run_in_process("verify", tmp_path / "changed.onnx"), 76, "changed.onnx", FAULTS[fault])


def test_golden_masks_forged_with_the_limit_are_found_by_the_comparison(file: Path, tmp_path: Path) -> None:
    model, golden = onnx.load(file), Golden.from_dict(info_of(file).golden)
    limit_moved(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(["masks"], inputs(golden.seed, 0, 16, masked().inputs))
    forged = Golden(golden.seed, golden.atol, golden.images, golden.pixels, made)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "gan.golden")
    entry.value = json.dumps(forged.to_dict())
    onnx.save_model(model, tmp_path / "forged.onnx")
    result = run_in_process("verify", tmp_path / "forged.onnx")
    fails_in_one_line(result, 76, "does not give PyTorch's images here", "pixels of masks differ, allowed none")


def test_metadata_that_deny_the_masks_are_65(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "gan.outputs")
    entry.value = json.dumps(["images", "pixels"])
    onnx.save_model(model, tmp_path / "denied.onnx")
    fails_in_one_line(run_in_process("verify", tmp_path / "denied.onnx"), 65, "denied.onnx", "masks")


def test_graph_whose_masks_differ_is_76_and_leaves_no_file(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = onnx_exporter.build(masked(), 18)
    limit_moved(wrong)
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: wrong)
    result = run_in_process("onnx", weights, "--out", tmp_path / "generator.onnx")
    fails_in_one_line(result, 76, "generator.onnx was not written", "pixels of masks differ")
    assert list(tmp_path.iterdir()) == []


def test_graph_without_the_masks_is_76(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = onnx_exporter.build(masked(), 18)
    left_out(wrong)
    monkeypatch.setattr(onnx_exporter, "build", lambda *_: wrong)
    fails_in_one_line(run_in_process("onnx", weights, "--out", tmp_path / "generator.onnx"), 76, "shapes")


def test_generator_whose_masks_are_not_finite_is_76_however_large_the_tolerance(tmp_path: Path) -> None:
    broken = masked()
    with torch.no_grad():
        broken.last.bias[1] = torch.nan
    for atol in (None, 0.9):
        with pytest.raises(ParityError, match="not finite" if atol is None else "masks differ"):
            export_onnx(broken, tmp_path / "generator.onnx", batch_check=(1,), atol=atol)
    assert list(tmp_path.iterdir()) == []


def test_description_with_an_output_of_a_later_version_is_65(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    later = dataclasses.replace(info_of(file), outputs=["images", "pixels", "masks", "depth"])
    onnx.helper.set_model_props(model, later.to_metadata())
    onnx.save_model(model, tmp_path / "later.onnx")
    fails_in_one_line(run_in_process("info", tmp_path / "later.onnx"), 65, "later.onnx", "install a later one")
