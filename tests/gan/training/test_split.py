"""Training by a split: on one part, measured on another, blind to the rest."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.runs import file_sha256
from gan.photos.split_file import TEST, TRAIN, VALIDATION, Place, Split
from tests.conftest import TINY, fails_in_one_line

GanTrain = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data(photos: Path, tmp_path: Path) -> Path:
    """12 photos to train on, 10 to measure on, one for tests, and a file that is no photo in the last place."""
    folder = shutil.copytree(photos, tmp_path / "photos")
    names = sorted(path.name for path in folder.iterdir())
    (folder / names[-1]).write_bytes(b"damaged")
    parts = [TRAIN] * 12 + [VALIDATION] * 10 + [TEST] * 2
    places = {name: Place(part, file_sha256(folder / name), name) for name, part in zip(names, parts, strict=True)}
    Split(places).write(tmp_path / "split.json")
    return folder


def options(data: Path, pools: Path) -> list[str | Path]:
    out = data.parent / "out"
    short = ("--epochs", "1", "--recipe", "dcgan", "--image-size", "32", *TINY, "--z-dim", "8")
    return [data, "--split", data.parent / "split.json", "--out", out, "--features", pools, *short]


def test_parts_of_a_split_are_trained_and_measured_on_and_named_in_what_is_left(
    data: Path, pools: Path, gan_train: GanTrain, nothing_drawn: None
) -> None:
    names = sorted(path.name for path in data.iterdir())
    result = gan_train(*options(data, pools))
    assert result.returncode == 0, result.stderr
    said = json.loads((data.parent / "out/training_options.json").read_text())
    assert said["photos"]["trained_on"]["names"] == names[:12]
    assert said["photos"]["measured_on"]["names"] == names[12:22]
    assert "kid_x1000" in said
    for file in ("generator_model.pth", next((data.parent / "out").glob("network-snapshot-*.pt")).name):
        opened = TrainedGenerator.open(data.parent / "out" / file)
        assert opened.trained_on is not None
        assert opened.measured_on is not None
        assert opened.trained_on.sha256 == tuple(file_sha256(data / name) for name in names[:12])


def test_another_file_than_that_of_the_split_is_refused(data: Path, pools: Path, gan_train: GanTrain) -> None:
    names = sorted(path.name for path in data.iterdir())
    shutil.copy(data / names[1], data / names[0])
    fails_in_one_line(gan_train(*options(data, pools)), 65, names[0], "another file")
    (data / names[0]).unlink()
    fails_in_one_line(gan_train(*options(data, pools)), 65, names[0], "not in")


def test_split_and_validation_exclude_each_other(data: Path, pools: Path, photos: Path, gan_train: GanTrain) -> None:
    result = gan_train(*options(data, pools), "--validation", photos)
    fails_in_one_line(result, 2, "--split", "--validation")
