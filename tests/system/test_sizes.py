"""The chain at other sizes than 128 pixels gray: train, export, generate."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import TINY, run


@pytest.mark.parametrize(("size", "channels", "mode"), [(64, 1, "L"), (128, 3, "RGB"), (256, 1, "L")])
def test_chain_makes_images_of_the_size_and_colour_that_was_trained(
    size: int, channels: int, mode: str, photos: Path, tmp_path: Path
) -> None:
    models, out = tmp_path / "models", tmp_path / "run"
    options = ["--image-size", size, "--channels", channels, "--epochs", 1, "--recipe", "small-data", *TINY]
    commands: list[list[object]] = [
        ["gan-train", photos, "--out", models, *options],
        ["gan-export", "onnx", models / "generator_model.pth"],
        ["gan-batch", "--model", models / "generator.onnx", "--out", out, "--count", 12, "--quality-gate", "off"],
    ]
    for command in commands:
        result = run(*map(str, command))
        assert result.returncode == 0, result.stderr
    image = Image.open(out / "images" / "00000" / "00000011.png")
    assert (image.size, image.mode) == ((size, size), mode)
