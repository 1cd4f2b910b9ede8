"""Detectors of users: how they are found, what they may give, and what becomes of those that fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import models
from gan.robustness.detectors import of_tensors, open_detector
from models.errors import CommandError, ExitCode
from tests.gan.robustness.made import MODULE, write_onnx

IMAGES = np.full((3, 8, 8, 1), 51, np.uint8)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of a module in the current folder, as no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"theirs_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    return name


@pytest.mark.parametrize("floats", [True, False])
@pytest.mark.parametrize("batch", ["n", 1, 2, 8])
def test_onnx_files_of_both_kinds_and_any_batch(tmp_path: Path, floats: bool, batch: int | str) -> None:
    detector = open_detector(write_onnx(tmp_path / "model.onnx", floats, batch))
    assert (detector.channels, detector.width, detector.height) == (1, 8, 8)
    some = IMAGES[: detector.batch]
    assert detector.scores(some) == pytest.approx(np.full(len(some), 0.2))


def test_a_column_is_named_or_numbered(tmp_path: Path, module: str) -> None:
    path = write_onnx(tmp_path / "model.onnx", True, columns=2, names='["good", "bad"]')
    assert open_detector(path, "bad").column == 1
    assert open_detector(path, "0").column == 0
    assert open_detector(f"{module}:two_columns", "defect").column == 1
    with pytest.raises(CommandError, match=r"`class_name=crack`.*good, bad") as told:
        open_detector(path, "crack")
    assert told.value.exit_code == ExitCode.USAGE
    with pytest.raises(CommandError, match="2 columns"):
        open_detector(path).scores(IMAGES)
    with pytest.raises(CommandError, match="number 5"):
        open_detector(path, "5").scores(IMAGES)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("raises", "KeyError"), ("too_many", "[4] of float64 for 3 images"), ("images_back", "[3, 8, 8, 1]"),
        ("words", "for 3 images"), ("ragged", "raises ValueError"), ("nan", "NaN"), ("logits", "7.5"),
        ("leaves", "sys.exit 3"), ("two_columns", "2 columns"),
    ],
)  # fmt: skip
def test_a_detector_that_fails_is_65_and_named(module: str, function: str, words: str) -> None:
    detector = open_detector(f"{module}:{function}")
    with pytest.raises(CommandError) as told:
        detector.scores(IMAGES)
    assert told.value.exit_code == ExitCode.BAD_DATA
    assert f"{module}:{function}" in str(told.value)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_what_a_detector_prints_is_not_on_stdout(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    open_detector(f"{module}:rows").scores(IMAGES)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "a detector may talk\n")


def test_a_detector_may_spoil_the_images_that_it_gets(module: str) -> None:
    images = IMAGES.copy()
    open_detector(f"{module}:vandal").scores(images)
    assert np.array_equal(images, IMAGES)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nowhere_at_all:judge", ExitCode.NO_INPUT, "no module nowhere_at_all"),
        ("{}:nothing", ExitCode.NO_INPUT, "no nothing in"),
        ("{}:number", ExitCode.BAD_DATA, "no function but int"),
        ("broken:judge", ExitCode.BAD_DATA, "SyntaxError"),
        ("needs:judge", ExitCode.BAD_DATA, "not_installed_here"),
        ("quits:judge", ExitCode.BAD_DATA, "ends the program"),
        (":judge", ExitCode.USAGE, "no module"),
        ("something", ExitCode.USAGE, "neither module:function nor"),
        ("gone.onnx", ExitCode.NO_INPUT, "gone.onnx"),
        ("empty.onnx", ExitCode.BAD_DATA, "not an ONNX model"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(
    module: str, tmp_path: Path, name: str, code: ExitCode, words: str
) -> None:
    (tmp_path / "broken.py").write_text("def judge(:")
    (tmp_path / "needs.py").write_text("import not_installed_here")
    (tmp_path / "quits.py").write_text("raise SystemExit")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(CommandError) as told:
        open_detector(name.format(module))
    assert told.value.exit_code == code
    assert words in str(told.value)


def test_a_judge_of_tensors_is_asked_in_its_own_order() -> None:
    def judge(images: torch.Tensor) -> torch.Tensor:
        assert images.shape == (3, 1, 8, 8)
        return torch.tensor([[0.75, 0.25]], requires_grad=True).expand(3, 2)

    detector = open_detector(of_tensors(judge), "1")
    assert detector.scores(IMAGES).tolist() == [0.25] * 3


def test_an_onnx_file_of_another_kind_is_refused() -> None:
    with pytest.raises(CommandError, match=r"takes z tensor\(float\).*one input is meant"):
        open_detector(models.path())
