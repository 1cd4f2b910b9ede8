"""`gan-export onnx` as a user runs it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from gan.networks.dcgan import DCGAN
from gan.training import snapshots
from models.info import GeneratorInfo
from models.latents import latents
from tests.conftest import ROOT, fails_in_one_line, run
from tests.export.conftest import run_in_process, small

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


@pytest.fixture
def weights(tmp_path: Path, generator: DCGAN) -> Path:
    """The `generator_model.pth` of a lively generator, alone in its folder."""
    path = tmp_path / "weights" / "generator_model.pth"
    path.parent.mkdir()
    snapshots.save_weights(path, generator)
    return path


def info_of(path: Path) -> GeneratorInfo:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)


def test_table_of_comparisons_goes_to_stderr_and_nothing_to_stdout(weights: Path) -> None:
    result = run_in_process("onnx", weights)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    rows = [line[29:].split("  ")[0] for line in result.stderr.splitlines() if line.startswith("CPUExecutionProvider")]
    assert rows == [*(f"batch {n}" for n in (1, 2, 3, 64, 129)), "zeros", "+4 and -4 σ", "one of 100 σ"]


def test_without_arguments_it_reads_and_writes_the_models_folder(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(weights, tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    result = run_in_process("onnx")
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "models")) == ["generator.onnx", "generator_model.pth"]


def test_options_are_read_from_the_environment(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "g.onnx"
    result = run_in_process("onnx", weights, GAN_EXPORT_ONNX_OUT=str(out), GAN_EXPORT_ONNX_BATCH_CHECK="2,5")
    assert result.returncode == 0, result.stderr
    compared = {row["latents"] for row in info_of(out).parity["rows"] if row["latents"].startswith("batch")}
    assert compared == {"batch 2", "batch 5"}


def test_too_small_a_tolerance_is_refused_with_the_table(weights: Path) -> None:
    result = run_in_process("onnx", weights, "--atol", "1e-12")
    fails_in_one_line(result, 76, "generator.onnx")
    assert "CPUExecutionProvider" in result.stderr
    assert "1.00e-12" in result.stderr
    assert os.listdir(weights.parent) == ["generator_model.pth"]


def test_existing_file_is_kept(weights: Path) -> None:
    out = weights.with_name("generator.onnx")
    out.write_bytes(b"mine")
    fails_in_one_line(run_in_process("onnx", weights), 73, "generator.onnx", "--overwrite")
    assert out.read_bytes() == b"mine"


def test_overwrite_replaces_an_existing_file(weights: Path) -> None:
    out = weights.with_name("generator.onnx")
    out.write_bytes(b"mine")
    assert run_in_process("onnx", weights, "--overwrite").returncode == 0
    assert info_of(out).z_dim == 8
    assert sorted(os.listdir(weights.parent)) == ["generator.onnx", "generator_model.pth"]


def test_missing_model_is_named(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("onnx", tmp_path / "none.pth"), 66, "none.pth")


def test_weights_of_another_network_are_refused(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.onnx"
    result = run_in_process("onnx", trained / "discriminator_model.pth", "--out", out)
    fails_in_one_line(result, 65, "discriminator_model.pth")
    assert not out.exists()


def test_dcgan_of_another_image_size_is_refused(tmp_path: Path) -> None:
    layers = [torch.nn.ConvTranspose2d(a, b, 4, bias=False) for a, b in ((8, 16), (16, 8), (8, 1))]
    torch.save(torch.nn.ModuleDict({"main": torch.nn.Sequential(*layers)}).state_dict(), tmp_path / "small.pth")
    fails_in_one_line(run_in_process("onnx", tmp_path / "small.pth"), 65, "small.pth")


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.mark,)


def save_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [torch.save, save_pickle])
def test_hostile_file_is_refused_and_does_nothing(tmp_path: Path, write: Callable[[object, Path], None]) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "generator_model.pth"
    write({"main.0.weight": Hostile(mark)}, path)
    fails_in_one_line(run_in_process("onnx", path), 65, "generator_model.pth")
    assert not mark.exists()
    torch.load(path, weights_only=False) if write is torch.save else pickle.loads(path.read_bytes())
    assert mark.exists(), "the file was harmless"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file_is_refused(weights: Path, share: float) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * share)])
    fails_in_one_line(run_in_process("onnx", weights), 65, "generator_model.pth")


@pytest.mark.parametrize("sizes", ["0", "-1", "two", "1,,2", "1;2", "1.5"])
def test_bad_batch_sizes_are_a_usage_error(weights: Path, sizes: str) -> None:
    fails_in_one_line(run_in_process("onnx", weights, f"--batch-check={sizes}"), 2, "--batch-check")


def test_unknown_opset_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    fails_in_one_line(run("gan-export", "onnx", tmp_path / "none.pth", "--opset", "11"), 2, "--opset")


def test_place_below_a_file_cannot_be_written(weights: Path) -> None:
    result = run_in_process("onnx", weights, "--out", weights / "below" / "g.onnx")
    fails_in_one_line(result, 73, "generator_model.pth")
    assert os.listdir(weights.parent) == ["generator_model.pth"]


# What the file says of its training


def test_file_says_how_its_weights_were_trained(exported: Path, trained: Path) -> None:
    options = json.loads((trained / "training_options.json").read_text())
    info = info_of(exported)
    assert info.training == options
    assert info.weights_sha256 == options["weights_sha256"]
    assert info.training["options"]["z_dim"] == 8


def test_options_of_other_weights_do_not_get_into_the_file(weights: Path, trained: Path) -> None:
    shutil.copy(trained / "training_options.json", weights.parent)
    result = run_in_process("onnx", weights)
    assert result.returncode == 0, result.stderr
    assert info_of(weights.with_name("generator.onnx")).training == {}


def test_other_weights_have_another_sha256(weights: Path, exported: Path) -> None:
    assert run_in_process("onnx", weights).returncode == 0
    assert info_of(weights.with_name("generator.onnx")).weights_sha256 != info_of(exported).weights_sha256


def test_snapshot_is_exported_as_its_average(trained: Path, tmp_path: Path, generator: DCGAN) -> None:
    (source,) = trained.glob("network-snapshot-*.pt")
    snapshot = torch.load(source, weights_only=True)
    snapshot["g"], snapshot["g_ema"] = small(seed=7).state_dict(), generator.state_dict()
    torch.save(snapshot, tmp_path / source.name)
    result = run_in_process("onnx", tmp_path / source.name)
    assert result.returncode == 0, result.stderr
    z = latents(1, 0, 4, 8)
    session = onnxruntime.InferenceSession(str(tmp_path / "generator.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = generator(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(session.run(["images"], {"z": z})[0], expected, rtol=0, atol=2e-5)


def test_snapshot_without_average_is_exported_as_its_generator(trained: Path, tmp_path: Path, exported: Path) -> None:
    (source,) = trained.glob("network-snapshot-*.pt")
    assert run_in_process("onnx", source, "--out", tmp_path / "g.onnx").returncode == 0
    assert (tmp_path / "g.onnx").read_bytes() == exported.read_bytes()


def test_out_that_is_the_model_itself_is_2_and_the_weights_stay(weights: Path) -> None:
    before = weights.read_bytes()
    fails_in_one_line(run_in_process("onnx", weights, "--out", weights, "--overwrite"), 2, "MODEL itself")
    assert weights.read_bytes() == before


def test_out_that_is_a_pipe_is_73_and_stays_one(weights: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run_in_process("onnx", weights, "--out", tmp_path / "pipe", "--overwrite")
    fails_in_one_line(result, 73, "pipe")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("command", [("onnx",), ("torch",), ("info",), ("verify",)], ids=" ".join)
def test_file_that_is_not_there_is_named_before_pytorch_is_loaded(command: tuple[str], tmp_path: Path) -> None:
    program = "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; import synthetic_defects as door"
    result = run(sys.executable, "-c", f"{program}; door.gan_export()", *command, tmp_path / "none", cwd=ROOT)
    fails_in_one_line(result, 66, str(tmp_path / "none"))


@pytest.mark.parametrize("command", ["onnx", "torch"])
def test_existing_file_is_refused_before_pytorch_is_loaded(command: str, tmp_path: Path) -> None:
    model, out = tmp_path / "generator_model.pth", tmp_path / "mine"
    model.touch()
    out.touch()
    program = "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; import synthetic_defects as door"
    result = run(sys.executable, "-c", f"{program}; door.gan_export()", command, model, "--out", out, cwd=ROOT)
    fails_in_one_line(result, 73, str(out), "--overwrite", "--out")
