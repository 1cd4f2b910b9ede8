"""The comparison behind the gate."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.exported import at_precision, reference
from export.parity import ParityReport, ParityRow, check_parity
from export.sessions import onnx_runs
from gan.networks.dcgan import DCGAN
from models.errors import CommandError, ExitCode
from models.latents import latents
from tests.export.conftest import change, name_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

ROW = ParityRow("CPUExecutionProvider", "batch 2", 1e-7, 1e-6, 1, pixels_share=0.01, rounding_error=0.5)


def report_of(*rows: ParityRow) -> ParityReport:
    return ParityReport(1, "float32", 1e-6, 1e-6, list(rows))


def compared(
    generator: DCGAN, path: Path, batches: tuple[int, ...], seed: int = 1, atol: float | None = None
) -> ParityReport:
    """The file on this machine's providers against the generator."""
    runs = onnx_runs(str(path), "float32")
    exact, own = reference(generator), at_precision(generator, "float32")
    return check_parity(exact, own, runs, needed=generator.inputs, seed=seed, batches=batches, atol=atol)


def with_last_weights(generator: DCGAN, value: float) -> DCGAN:
    other = copy.deepcopy(generator)
    nn.init.constant_(other.main[-2].weight, value)
    return other


def rounding_error(generator: DCGAN, seed: int) -> float:
    """Largest difference of PyTorch in float32 from PyTorch in float64 on 64 images."""
    z = torch.from_numpy(latents(seed, 0, 64, generator.z_dim))
    with torch.no_grad():
        return float((generator(z).double() - copy.deepcopy(generator).double()(z.double())).abs().max())


def test_default_tolerance_is_about_ten_times_the_measured_rounding_error(generator: DCGAN, gray_file: Path) -> None:
    report = compared(generator, gray_file, (1, 2, 3, 64))
    assert 3 < report.atol / rounding_error(generator, seed=99) < 30


def test_generator_of_plain_gray_gets_a_tolerance_above_zero(generator: DCGAN, gray_file: Path, tmp_path: Path) -> None:
    plain = with_last_weights(generator, 0.0)
    model = onnx.load(gray_file)
    change(model, name_of(generator, -1), np.zeros_like)
    onnx.save_model(model, tmp_path / "plain.onnx")
    report = compared(plain, tmp_path / "plain.onnx", (2,))
    assert rounding_error(plain, seed=1) == 0
    assert 0 < report.atol < 1e-5
    assert report.passed


def test_given_tolerance_is_the_one_that_decides(generator: DCGAN, gray_file: Path) -> None:
    assert not compared(generator, gray_file, (2,), atol=1e-12).passed
    assert compared(generator, gray_file, (2,), atol=1e-3).passed


def test_each_batch_size_gets_a_row_and_latents_of_its_own(generator: DCGAN, gray_file: Path) -> None:
    rows = [row for row in compared(generator, gray_file, (8, 9, 3)).rows if row.runtime == "CPUExecutionProvider"]
    assert [row.latents for row in rows[:3]] == ["batch 8", "batch 9", "batch 3"]
    assert len({row.images_error for row in rows[:3]}) == 3


@pytest.mark.parametrize("atol", [1.0, math.inf, math.nan])
@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_no_tolerance_lets_an_output_pass_that_is_not_finite(error: float, atol: float) -> None:
    assert report_of(ROW).passed
    assert not report_of(ROW, dataclasses.replace(ROW, images_error=error, atol=atol)).passed


def test_nan_in_file_and_generator_alike_does_not_pass(generator: DCGAN, gray_file: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    change(model, name_of(generator, -1), lambda values: np.full_like(values, np.nan))
    onnx.save_model(model, tmp_path / "nan.onnx")
    broken = with_last_weights(generator, math.nan)
    assert not compared(broken, tmp_path / "nan.onnx", (1, 2)).passed


def test_pixels_two_steps_off_do_not_pass_whatever_the_floats_say() -> None:
    assert not report_of(ROW, dataclasses.replace(ROW, atol=1.0, pixels_error=2)).passed


def test_pixels_are_compared_on_their_own(generator: DCGAN, gray_file: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    names = {tensor.name: tensor for tensor in model.graph.initializer}
    (scale,) = [name for name, tensor in names.items() if onnx.numpy_helper.to_array(tensor).tolist() == 127.5]
    change(model, scale, lambda values: np.full_like(values, 120))
    onnx.save_model(model, tmp_path / "darker.onnx")
    report = compared(generator, tmp_path / "darker.onnx", (2,))
    assert all(row.images_error <= row.atol for row in report.rows if row.atol is not None)
    assert not report.passed


def test_file_that_is_no_model_is_a_failed_check(generator: DCGAN, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(CommandError) as error:
        compared(generator, tmp_path / "no.onnx", (1,))
    assert error.value.exit_code == ExitCode.CHECK_FAILED


def test_file_of_another_size_is_a_failed_check(
    generator: DCGAN, colour_model: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save_model(colour_model, tmp_path / "colour.onnx")
    with pytest.raises(CommandError) as error:
        compared(generator, tmp_path / "colour.onnx", (1,))
    assert error.value.exit_code == ExitCode.CHECK_FAILED


def test_table_shows_the_row_that_failed() -> None:
    table = report_of(ROW, dataclasses.replace(ROW, latents="batch 64", images_error=0.5, pixels_error=63)).table()
    (line,) = [line for line in table.splitlines() if "batch 64" in line]
    assert "5.00e-01" in line
    assert " 63 " in line
