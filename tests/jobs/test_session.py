"""Which files become a session, on which device, and what it gives."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from jobs.session import GeneratorSession
from models.console import CommandError, ExitCode, log
from models.latents import latents


def refused(path: Path, code: ExitCode, device: str = "cpu") -> str:
    """Assert that `path` gives no session but `code`; returns the message."""
    with pytest.raises(CommandError) as error:
        GeneratorSession(path, device)
    assert error.value.exit_code == code, error.value
    return str(error.value)


@pytest.fixture
def without_cuda(model: Path) -> None:
    """Skips a test where ONNX Runtime really gets a CUDA session."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CUDAExecutionProvider"])
    except Exception:
        return
    if session.get_providers()[0] == "CUDAExecutionProvider":
        pytest.skip("this machine has a GPU")


@pytest.mark.usefixtures("without_cuda")
def test_auto_without_gpu_is_the_cpu_and_says_why(
    model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    with caplog.at_level(logging.INFO, log.name):
        session = GeneratorSession(model, "auto")
    assert session.provider == "CPUExecutionProvider"
    assert not session.on_gpu
    (message,) = {record.getMessage() for record in caplog.records if "device" in record.getMessage()}
    assert "CPU (auto: " in message
    assert "GPU" in message or "CUDA" in message


@pytest.mark.usefixtures("without_cuda")
def test_cuda_without_gpu_is_refused(model: Path) -> None:
    assert "--device" in refused(model, ExitCode.NO_DEVICE, "cuda")


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
    (weights,) = [tensor for tensor in changed.graph.initializer if tensor.name == "generator.main.6.weight"]
    values = onnx.numpy_helper.to_array(weights) * np.float32(factor)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save_model(changed, tmp_path / "changed.onnx")
    assert "golden" in refused(tmp_path / "changed.onnx", ExitCode.CHECK_FAILED)


def test_sha256_is_of_the_file_and_not_of_its_name(tmp_path: Path, model: Path) -> None:
    copy = shutil.copy(model, tmp_path / "other name.onnx")
    assert GeneratorSession(Path(copy), "cpu").model_sha256 == GeneratorSession(model, "cpu").model_sha256


def test_threads_share_a_session_and_get_equal_results(model: Path) -> None:
    session = GeneratorSession(model, "cpu")
    batches = [latents(1, start, start + 16, 8) for start in range(0, 640, 16)]
    alone = [session.pixels(z, 16) for z in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda z: session.pixels(z, 16), batches))
    assert len({image.tobytes() for image in alone}) == len(batches)
    np.testing.assert_array_equal(together, alone)


def test_colour_model_gives_three_channels(colour_model: Path) -> None:
    session = GeneratorSession(colour_model, "cpu")
    assert session.pixels(latents(1, 0, 3, session.info.z_dim), 16).shape == (3, 128, 128, 3)
