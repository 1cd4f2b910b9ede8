"""The comparison behind the gate."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from export.exported import Inputs, at_precision, reference
from export.parity import LEAST_ATOL, ParityReport, ParityRow, check_parity
from export.sessions import onnx_runs
from gan.networks.dcgan import DCGAN
from models.errors import CommandError, ExitCode
from models.latents import Input, latents
from tests.export.conftest import change, name_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

ROW = ParityRow("CPUExecutionProvider", "batch 2", 1e-7, 1e-6, 1, pixels_share=0.01, rounding_error=0.5)


WITH_MASKS = dataclasses.replace(ROW, masks_error=0)


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


# Masks


def test_report_that_was_written_before_there_were_masks_is_read() -> None:
    values = report_of(ROW).to_dict()
    assert "masks_error" not in values["rows"][0]
    assert ParityReport.of(values) == report_of(ROW)
    assert ParityReport.of(report_of(WITH_MASKS).to_dict()) == report_of(WITH_MASKS)


def test_table_has_a_column_for_masks_where_there_are_any() -> None:
    assert "mask" not in report_of(ROW).table()
    lines = report_of(WITH_MASKS, dataclasses.replace(WITH_MASKS, atol=None, masks_error=12345)).table().splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["0", "12345"]
    assert lines[0].endswith(" mask px")


def test_masks_that_differ_are_a_fault_that_names_them_unless_they_are_only_reported() -> None:
    wrong = dataclasses.replace(WITH_MASKS, masks_error=3)
    assert report_of(wrong).faults() == ["CPUExecutionProvider, batch 2: 3 pixels of masks differ, allowed none"]
    assert report_of(dataclasses.replace(wrong, atol=None)).passed


def compared_masks(
    masks: list[float], given: list[int], own_error: float = 0.0, atol: float | None = None
) -> ParityReport:
    """Plain gray images with these masks `[1, 1, 1, 4]` in float64, and a runtime that gives those."""
    exact = np.array(masks).reshape(1, 1, 1, 4)

    def floats(images: NDArray[Any], error: float) -> tuple[NDArray[Any], ...]:
        return images, np.repeat(exact + error, len(images), axis=0)

    def gray(count: int) -> NDArray[Any]:
        return np.zeros((count, 1, 1, 4), np.float32)

    def run(inputs: Inputs) -> list[NDArray[Any]]:
        count = len(inputs["z"])
        made = np.repeat(np.array(given, np.uint8).reshape(1, 1, 4), count, axis=0)
        return [gray(count), np.full((count, 1, 4, 1), 128, np.uint8), made]

    return check_parity(
        lambda inputs: floats(gray(len(inputs["z"])), 0.0),
        lambda inputs: floats(gray(len(inputs["z"])), own_error),
        {"runtime": run},
        needed={"z": Input("float32", (2,))}, seed=1, batches=(2,), atol=atol,
    )  # fmt: skip


MASKS = [LEAST_ATOL / 2, -LEAST_ATOL / 2, 0.5, -0.5]


@pytest.mark.parametrize("given", [[255, 0, 255, 0], [0, 255, 255, 0], [0, 0, 255, 0]])
def test_masks_may_differ_where_the_reference_is_within_the_tolerance_of_the_limit(given: list[int]) -> None:
    report = compared_masks(MASKS, given)
    assert report.passed
    assert {row.masks_error for row in report.rows} == {0}


@pytest.mark.parametrize(("given", "wrong"), [([255, 0, 0, 0], 1), ([255, 0, 0, 255], 2), ([1, 0, 255, 0], 1)])
def test_pixels_of_masks_that_differ_elsewhere_are_counted(given: list[int], wrong: int) -> None:
    report = compared_masks(MASKS, given)
    assert not report.passed
    assert report.rows[-1].masks_error == 3 * wrong  # the huge case has three latents
    assert f"{2 * wrong} pixels of masks" in report.faults()[0]


def test_error_of_pytorchs_own_masks_counts_for_the_tolerance_where_it_is_the_larger() -> None:
    report = compared_masks([0.005, -0.005, 0.5, -0.5], [0, 255, 255, 0], own_error=1e-3)
    assert report.atol == pytest.approx(1e-2, rel=1e-3)
    assert report.passed
    assert compared_masks(MASKS, [255, 0, 255, 0]).atol == LEAST_ATOL


def test_given_tolerance_decides_on_masks_too() -> None:
    assert compared_masks([0.005, -0.005, 0.5, -0.5], [0, 255, 255, 0], atol=0.01).passed
    assert not compared_masks([0.005, -0.005, 0.5, -0.5], [0, 255, 255, 0], own_error=1e-3, atol=1e-3).passed


@pytest.mark.parametrize("atol", [None, 0.9])
def test_masks_that_are_no_number_pass_no_tolerance(atol: float | None) -> None:
    assert not compared_masks([np.nan, 0.5, 0.5, 0.5], [0, 255, 255, 255], atol=atol).passed
