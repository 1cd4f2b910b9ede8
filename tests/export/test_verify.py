"""`gan-export info` and `gan-export verify` on whole and on broken files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

from export import onnx_exporter
from export.exported import reference
from export.onnx_exporter import export_onnx
from export.replay import Replay
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.training import snapshots
from models.errors import CommandError, ExitCode
from models.info import GeneratorInfo
from models.latents import latents
from tests.conftest import fails_in_one_line
from tests.export.conftest import change, run_in_process, small

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


@pytest.fixture
def weights(tmp_path: Path, generator: DCGAN) -> Path:
    """The trained weights that `gray_file` was made from."""
    snapshots.save_weights(tmp_path / "generator_model.pth", generator)
    return tmp_path / "generator_model.pth"


# info


def test_info_is_a_page_that_a_person_can_read(exported: Path) -> None:
    result = run_in_process("info", exported)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert f"{exported}," in lines[0]
    assert any(line.startswith("makes ") and "gray images of 128×128 from latents of 8" in line for line in lines)
    assert any(line.startswith("trained on ") and "24 images" in line for line in lines)
    assert any(line.startswith("CPUExecutionProvider") and "batch 129" in line for line in lines)
    assert max(map(len, lines)) <= 120
    assert "base64" not in result.stdout


def test_info_as_json_has_every_field_of_the_metadata(exported: Path) -> None:
    result = run_in_process("info", "--json", exported)
    values = json.loads(result.stdout)
    model = onnx.load(exported)
    info = GeneratorInfo.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert values["file"]["form"] == "ONNX, opset 18, IR version 10"
    assert values["weights_sha256"] == info.weights_sha256
    assert values["parity"] == info.parity
    trained_on = dict(info.training["photos"]["trained_on"])
    assert len(trained_on.pop("looks")) > 1000  # thumbnails, which nobody reads as text
    assert values["training"] == {**info.training, "photos": {"trained_on": trained_on}}
    assert values["golden"] == {"count": 16, "seed": info.golden["seed"], "atol": info.golden["atol"]}


@pytest.mark.parametrize("command", ["info", "verify"])
def test_missing_file_is_66(command: str, tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(command, tmp_path / "none.onnx"), 66, "none.onnx")


@pytest.mark.parametrize("command", ["info", "verify"])
@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a\xff\xff\xff\xff"])
@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_file_that_is_no_model_is_65(command: str, content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"no.{suffix}").write_bytes(content)
    fails_in_one_line(run_in_process(command, tmp_path / f"no.{suffix}"), 65, f"no.{suffix}")


@pytest.mark.parametrize("command", ["info", "verify"])
def test_onnx_file_of_somebody_else_is_65(command: str, generator: DCGAN, tmp_path: Path) -> None:
    onnx.save_model(onnx_exporter.build(generator, 18), tmp_path / "bare.onnx")
    fails_in_one_line(run_in_process(command, tmp_path / "bare.onnx"), 65, "bare.onnx", "gan-export onnx")


# verify


def test_whole_file_is_verified_by_itself(gray_file: Path) -> None:
    result = run_in_process("verify", gray_file)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert sum(line.startswith("CPUExecutionProvider") for line in result.stderr.splitlines()) == 8


def test_file_of_an_earlier_schema_is_shown_and_verified(gray_file: Path, weights: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key not in ("gan.inputs", "gan.assumed")}
    onnx.helper.set_model_props(model, {**kept, "gan.schema_version": "2", "gan.z_dim": "8"})
    onnx.save_model(model, tmp_path / "earlier.onnx")
    assert "from latents of 8" in run_in_process("info", tmp_path / "earlier.onnx").stdout
    result = run_in_process("verify", tmp_path / "earlier.onnx", "--model", weights)
    assert result.returncode == 0, result.stderr


def test_whole_file_is_verified_against_its_trained_network(gray_file: Path, weights: Path) -> None:
    result = run_in_process("verify", gray_file, "--model", weights)
    assert result.returncode == 0, result.stderr


def test_verifying_compares_other_latents_than_the_export_did(gray_file: Path) -> None:
    def errors(text: str) -> list[str]:
        return [line for line in text.splitlines() if "batch 64" in line]

    assert errors(run_in_process("verify", gray_file).stderr) != errors(run_in_process("info", gray_file).stdout)


def test_network_of_other_weights_is_76(gray_file: Path, tmp_path: Path) -> None:
    snapshots.save_weights(tmp_path / "other.pth", small(seed=5))
    fails_in_one_line(run_in_process("verify", gray_file, "--model", tmp_path / "other.pth"), 76, "made from weights")


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def another_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def later_ir(model: onnx.ModelProto) -> None:
    model.ir_version = 13


def fixed_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "NoSuchOperator"


def leaky(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type = "Abs"


def weight_off(model: onnx.ModelProto) -> None:
    change(model, "main.6.weight", lambda values: values * np.float32(1.001))


def pixels_cut_off(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Round")
    node.op_type = "Floor"


def no_comparisons(model: onnx.ModelProto) -> None:
    describe(model, "parity", {})


def another_precision(model: onnx.ModelProto) -> None:
    describe(model, "precision", "fp16")


def describe(model: onnx.ModelProto, name: str, value: object) -> None:
    (entry,) = (entry for entry in model.metadata_props if entry.key == f"gan.{name}")
    entry.value = json.dumps(value)


FAULTS: dict[Callable[[onnx.ModelProto], None], str] = {
    external: "another file",
    another_domain: "operators",
    later_ir: "IR version 13",
    fixed_batch: "",
    unknown_operator: "NoSuchOperator",
    leaky: "golden",
    weight_off: "golden",
    pixels_cut_off: "pixels",
    no_comparisons: "comparisons",
    another_precision: "precision, fp16",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_file_changed_after_its_export_is_76(
    fault: Callable[[onnx.ModelProto], None], gray_file: Path, tmp_path: Path
) -> None:
    model = onnx.load(gray_file)
    fault(model)
    onnx.save_model(model, tmp_path / "changed.onnx")
    fails_in_one_line(run_in_process("verify", tmp_path / "changed.onnx"), 76, "changed.onnx", FAULTS[fault])


def test_golden_images_forged_with_the_weights_are_found_with_the_trained_network(
    gray_file: Path, weights: Path, generator: DCGAN, tmp_path: Path
) -> None:
    """Somebody with the exporter can make a file that is whole in itself; the trained weights tell."""
    forged = tmp_path / "forged.onnx"
    export_onnx(small(seed=5), forged)
    model = onnx.load(forged)
    (entry,) = [entry for entry in model.metadata_props if entry.key == "gan.weights_sha256"]
    entry.value = json.dumps(reader.weights_sha256(generator.state_dict()))
    onnx.save_model(model, forged)
    assert run_in_process("verify", forged).returncode == 0
    result = run_in_process("verify", forged, "--model", weights)
    fails_in_one_line(result, 76, "forged.onnx")
    assert "CPUExecutionProvider" in result.stderr  # the table


def averages(**attributes: object) -> onnx.ModelProto:
    node = helper.make_node("AveragePool", ["z"], ["images"], **attributes)
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("z", "images")]
    return helper.make_model(helper.make_graph([node], "averages", values[:1], values[1:]))


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 2]},
        {"kernel_shape": [4, 4], "strides": [4, 4]},
        {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 2, 1], "count_include_pad": 1},
    ],
    ids=str,
)
def test_averages_replayed_are_those_that_onnx_defines(attributes: dict[str, object]) -> None:
    model, values = averages(**attributes), np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"z": values})
    (replayed,) = Replay(model, exact=False)({"z": values})
    np.testing.assert_allclose(replayed, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [9, 200])
@pytest.mark.parametrize("axis", [0, -1])
def test_elements_are_gathered_along_axes_of_any_length(axis: int, length: int) -> None:
    """ONNX's own reference takes 64 places at most."""
    random = np.random.default_rng(0)
    values = random.normal(size=(length, 3, length)).astype(np.float32)
    places = random.integers(length, size=(5, 3, 5))
    node = helper.make_node("GatherElements", ["z", "places"], ["images"], axis=axis)
    given = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("z", "images")]
    constant = onnx.numpy_helper.from_array(places, "places")
    model = helper.make_model(helper.make_graph([node], "gathered", given[:1], given[1:], [constant]))
    (gathered,) = Replay(model, exact=False)({"z": values})
    for at in np.ndindex(*places.shape):
        where = list(at)
        where[axis] = places[at]
        assert gathered[at] == values[tuple(where)]


@pytest.mark.parametrize("other", [{"ceil_mode": 1}, {"pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER"}], ids=str)
def test_averages_that_pytorch_takes_otherwise_are_not_replayed(other: dict[str, object]) -> None:
    with pytest.raises(CommandError, match="cut, dilated or padded") as refused:
        Replay(averages(kernel_shape=[3, 3], **other), exact=True)({"z": np.ones((1, 1, 8, 8), np.float32)})
    assert refused.value.exit_code is ExitCode.CHECK_FAILED


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_graph_replayed_in_float64_is_the_network(precision: str, colour: DCGAN) -> None:
    inputs = {"z": latents(3, 0, 4, 5)}
    (replayed,) = Replay(onnx_exporter.build(colour, 18, precision), exact=True)(inputs)
    assert replayed.dtype == np.float64
    with torch.no_grad():
        difference = np.abs(replayed - reference(colour)(inputs)[0]).max()
    assert difference < (1e-6 if precision == "float32" else 5e-2)
    assert difference > 0  # the weights were rounded


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parity", {}),
        ("training", {"data": {"images": 3}}),
        ("training", {"data": [1]}),
        ("versions", []),
        ("precision", "int4"),
    ],
)
def test_damaged_description_is_65(name: str, value: object, gray_file: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    describe(model, name, value)
    onnx.save_model(model, tmp_path / "changed.onnx")
    fails_in_one_line(run_in_process("info", tmp_path / "changed.onnx"), 65, "changed.onnx")
