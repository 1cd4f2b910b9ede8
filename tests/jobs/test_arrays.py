"""Images as an array are those that a run has on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs import Gate, make_images, run_batch
from models.errors import CommandError
from tests.jobs.small_models import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


def test_they_are_those_of_a_run(model: Path, tmp_path: Path) -> None:
    run_batch(model, tmp_path / "run", 40, seed=3, gate=Gate("off"))
    made = make_images(model, 40, seed=3)
    assert made.dtype == np.uint8
    for index in (0, 7, 39):
        image = np.asarray(Image.open(tmp_path / f"run/images/00000/{index:08d}.png"))
        assert (image.reshape(made[index].shape) == made[index]).all()


def test_those_from_the_middle_are_the_same(model: Path) -> None:
    assert (make_images(model, 3, seed=3, start=37) == make_images(model, 40, seed=3)[37:]).all()


@pytest.mark.parametrize("wrong", [{"count": 0}, {"start": -1}, {"seed": -1}, {"seed": 2**64}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, int], model: Path) -> None:
    with pytest.raises(CommandError, match=f"`{next(iter(wrong))}`") as caught:
        make_images(model, **{"count": 1, **wrong})
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        make_images(tmp_path / "no.onnx", 1)
    assert caught.value.exit_code == 66
