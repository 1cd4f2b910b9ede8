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

from export.parity import ParityReport, ParityRow, check_parity
from gan.networks import Generator
from models.console import CommandError, ExitCode
from models.latents import latents
from tests.export.conftest import change

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

ROW = ParityRow("CPUExecutionProvider", 2, 1e-7, 1e-7, 1, rounding_error=0.5, pixels_share=0.01)


LAST = "generator.main.15.weight"


def with_last_weights(generator: Generator, value: float) -> Generator:
    other = copy.deepcopy(generator)
    nn.init.constant_(other.main[15].weight, value)
    return other


def rounding_error(generator: Generator, seed: int) -> float:
    """Largest difference of PyTorch in float32 from PyTorch in float64 on 64 images."""
    z = torch.from_numpy(latents(seed, 0, 64, generator.z_dim))
    with torch.no_grad():
        return float((generator(z).double() - copy.deepcopy(generator).double()(z.double())).abs().max())


def test_default_tolerance_is_about_ten_times_the_measured_rounding_error(
    generator: Generator, gray_file: Path
) -> None:
    report = check_parity(generator, str(gray_file), (1, 2, 3, 64), seed=1)
    assert 3 < report.atol / rounding_error(generator, seed=99) < 30


def test_generator_of_plain_gray_gets_a_tolerance_above_zero(
    generator: Generator, gray_file: Path, tmp_path: Path
) -> None:
    plain = with_last_weights(generator, 0.0)
    model = onnx.load(gray_file)
    change(model, LAST, np.zeros_like)
    onnx.save_model(model, tmp_path / "plain.onnx")
    report = check_parity(plain, str(tmp_path / "plain.onnx"), (2,), seed=1)
    assert rounding_error(plain, seed=1) == 0
    assert 0 < report.atol < 1e-5
    assert report.passed


def test_given_tolerance_is_the_one_that_decides(generator: Generator, gray_file: Path) -> None:
    assert not check_parity(generator, str(gray_file), (2,), seed=1, atol=1e-12).passed
    assert check_parity(generator, str(gray_file), (2,), seed=1, atol=1e-3).passed


def test_each_batch_size_gets_a_row_and_latents_of_its_own(generator: Generator, gray_file: Path) -> None:
    rows = check_parity(generator, str(gray_file), (8, 8, 3), seed=1).rows
    assert [row.batch for row in rows] == [8, 8, 3]
    assert rows[0].images_error != rows[1].images_error


@pytest.mark.parametrize("atol", [1.0, math.inf, math.nan])
@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_no_tolerance_lets_an_output_pass_that_is_not_finite(error: float, atol: float) -> None:
    assert ParityReport(1.0, [ROW]).passed
    assert not ParityReport(atol, [ROW, dataclasses.replace(ROW, images_error=error)]).passed


def test_nan_in_file_and_generator_alike_does_not_pass(generator: Generator, gray_file: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    change(model, LAST, lambda values: np.full_like(values, np.nan))
    onnx.save_model(model, tmp_path / "nan.onnx")
    broken = with_last_weights(generator, math.nan)
    assert not check_parity(broken, str(tmp_path / "nan.onnx"), (1, 2), seed=1).passed


def test_pixels_two_steps_off_do_not_pass_whatever_the_floats_say() -> None:
    assert not ParityReport(1.0, [ROW, dataclasses.replace(ROW, pixels_error=2)]).passed


def test_pixels_are_compared_on_their_own(generator: Generator, gray_file: Path, tmp_path: Path) -> None:
    model = onnx.load(gray_file)
    names = {tensor.name: tensor for tensor in model.graph.initializer}
    (scale,) = [name for name, tensor in names.items() if onnx.numpy_helper.to_array(tensor).tolist() == 127.5]
    change(model, scale, lambda values: np.full_like(values, 120))
    onnx.save_model(model, tmp_path / "darker.onnx")
    report = check_parity(generator, str(tmp_path / "darker.onnx"), (2,), seed=1)
    assert report.rows[0].images_error <= report.atol
    assert not report.passed


def test_file_that_is_no_model_is_a_failed_check(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(CommandError) as error:
        check_parity(generator, str(tmp_path / "no.onnx"), (1,), seed=1)
    assert error.value.exit_code == ExitCode.CHECK_FAILED


def test_file_of_another_size_is_a_failed_check(
    generator: Generator, colour_model: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save_model(colour_model, tmp_path / "colour.onnx")
    with pytest.raises(CommandError) as error:
        check_parity(generator, str(tmp_path / "colour.onnx"), (1,), seed=1)
    assert error.value.exit_code == ExitCode.CHECK_FAILED


def test_table_shows_the_row_that_failed() -> None:
    table = ParityReport(1e-6, [ROW, dataclasses.replace(ROW, batch=64, images_error=0.5, pixels_error=63)]).table()
    (line,) = [line for line in table.splitlines() if " 64 " in line]
    assert "5.00e-01" in line
    assert " 63 " in line
