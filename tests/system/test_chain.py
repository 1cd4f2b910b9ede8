"""The chain as a user runs it: folder of photos → generator → ONNX file → dataset."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.networks.pixels import to_pixels
from gan.networks.reader import load_generator
from models.latents import latents
from tests.conftest import TINY, run, write_photos


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all three commands were run with no path at all."""
    folder = tmp_path_factory.mktemp("workplace")
    write_photos(folder / "datasets" / "anomaly_detection_dataset" / "good", 16)
    for command in (
        ("gan-train", "--epochs", "12", "--lr", "0.01", *TINY),
        ("gan-export", "onnx"),
        ("gan-batch", "--count", "130", "--shard-size", "50", "--seed", "9"),
    ):
        result = run(*command, cwd=folder)
        assert result.returncode == 0, result.stderr
        assert result.stdout == ""
    return folder


def dataset(folder: Path) -> Path:
    (run_folder,) = (folder / "synthetic").iterdir()
    return run_folder


def test_three_commands_without_paths_give_a_dataset(workplace: Path) -> None:
    assert len(list(dataset(workplace).glob("0000?/*.png"))) == 130


def test_every_image_on_disk_is_what_pytorch_makes_of_its_latent(workplace: Path) -> None:
    generator = load_generator(workplace / "models" / "generator_model.pth")
    with open(dataset(workplace) / "manifest.csv") as file:
        rows = list(csv.DictReader(file))
    z = latents(9, 0, 130, generator.z_dim)
    with torch.no_grad():
        expected = to_pixels(generator(torch.from_numpy(z))).numpy()[:, :, :, 0].astype(int)
    for row in rows:
        image = np.asarray(Image.open(dataset(workplace) / row["file_name"])).astype(int)
        assert np.abs(image - expected[int(row["index"])]).max() <= 1, row
        assert np.abs(image - expected).sum(axis=(1, 2)).argmin() == int(row["index"]), "nearer to another latent's"


def test_colour_chain_gives_colour_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        red = np.zeros((64, 64, 3), np.uint8)
        red[:, :, 0] = random.integers(150, 255)
        Image.fromarray(red).save(tmp_path / "photos" / f"{number}.jpg")
    for command in (
        ("gan-train", "photos", "--recipe", "dcgan", "--channels", "3", "--epochs", "60", "--lr", "0.01", *TINY),
        ("gan-export", "onnx"),
        # Twelve red photos and 60 epochs give images that are more alike than the gate is happy with on some machines.
        ("gan-batch", "--count", "20", "--out", "out", "--quality-gate", "warn"),
    ):
        result = run(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    image = np.asarray(Image.open(tmp_path / "out" / "images" / "00000" / "00000000.png")).astype(int)
    assert image.shape == (128, 128, 3)
    assert image[:, :, 0].mean() > image[:, :, 1].mean() + 15  # red stayed the first channel all the way
