"""Files that give no session, and what each is told to be."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.errors import ExitCode
from tests.jobs.workers.conftest import refused


def test_missing_file(tmp_path: Path) -> None:
    assert str(tmp_path / "none.onnx") in refused(tmp_path / "none.onnx", ExitCode.NO_INPUT)


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    refused(tmp_path, ExitCode.NO_INPUT)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x0a" * 100])
def test_file_that_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "generator.onnx"
    path.write_bytes(content)
    assert str(path) in refused(path, ExitCode.BAD_DATA)


def test_truncated_model(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "generator.onnx"
    path.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    refused(path, ExitCode.BAD_DATA)


def test_model_of_another_exporter_is_told_to_use_ours(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["z"], ["images"])],
        "other",
        [value("z", onnx.TensorProto.FLOAT, ["batch", 8])],
        [value("images", onnx.TensorProto.FLOAT, ["batch", 8])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(made, tmp_path / "other.onnx")
    assert "gan-export" in refused(tmp_path / "other.onnx", ExitCode.BAD_DATA)


def test_model_without_one_of_our_properties_is_refused(tmp_path: Path, model: Path) -> None:
    changed = onnx.load(model)
    (golden,) = [entry for entry in changed.metadata_props if entry.key == "gan.golden"]
    changed.metadata_props.remove(golden)
    onnx.save_model(changed, tmp_path / "changed.onnx")
    assert "golden" in refused(tmp_path / "changed.onnx", ExitCode.BAD_DATA)


@pytest.mark.parametrize("factor", [1.01, np.nan])
def test_weights_changed_after_export_fail_the_golden_check(tmp_path: Path, model: Path, factor: float) -> None:
    changed = onnx.load(model)
    (weights,) = [tensor for tensor in changed.graph.initializer if tensor.name == "main.6.weight"]
    values = onnx.numpy_helper.to_array(weights) * np.float32(factor)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save_model(changed, tmp_path / "changed.onnx")
    assert "golden" in refused(tmp_path / "changed.onnx", ExitCode.CHECK_FAILED)


# Weights that are not exported


@pytest.mark.parametrize("name", ["generator_model.pth", "whole.pkl", "weights.safetensors"])
def test_weights_are_told_to_be_exported_first(tmp_path: Path, name: str) -> None:
    head = b'{"main.0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    contents = {
        "generator_model.pth": b"PK\x03\x04" + bytes(100),
        "whole.pkl": pickle.dumps({"main.0.weight": [0.5]}, protocol=2),
        "weights.safetensors": len(head).to_bytes(8, "little") + head + bytes(4),
    }
    (tmp_path / name).write_bytes(contents[name])
    assert f"export it first, gan-export onnx {tmp_path / name}" in refused(tmp_path / name, ExitCode.BAD_DATA)


@pytest.mark.parametrize("protocol", [0, 1])
def test_pickles_of_old_protocols_are_told_to_be_exported_first(tmp_path: Path, protocol: int) -> None:
    for number, content in enumerate(({"main.0.weight": [0.5]}, [0.5], OrderedDict(weight=0.5))):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        assert f"export it first, gan-export onnx {path}" in refused(path, ExitCode.BAD_DATA)


@pytest.mark.parametrize("suffix", [".pth", ".PT", ".ckpt", ".pkl"])
def test_unknown_content_under_a_name_of_weights_is_told_to_be_exported_first(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"of no known kind")
    message = refused(path, ExitCode.BAD_DATA)
    assert f"export it first, gan-export onnx {path}" in message
    assert "protobuf" not in message.lower()


@pytest.mark.parametrize("name", ["empty.pth", "empty.onnx"])
def test_empty_file_is_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refused(tmp_path / name, ExitCode.BAD_DATA).endswith(f"{name} is empty")
