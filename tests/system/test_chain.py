"""The chain as a user runs it: folder of photos → generator → ONNX file → dataset, measured at the end.

The commands come from a wheel in an environment of its own, as `pip install .` gives them, and run where home and
temporary folder are empty, as on a machine that never saw them.
"""

from __future__ import annotations

import csv
import getpass
import json
import os
import shlex
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.networks.pixels import to_pixels
from gan.networks.reader import load_generator
from models.latents import latents
from tests.conftest import COMMANDS, ONE_THREAD, TINY, run, run_in_process, write_photos

PHOTOS = "datasets/anomaly_detection_dataset/good"
CHAIN = (
    f"gan-eval data {PHOTOS}",
    f"gan-train --epochs 3 --lr 0.01 {shlex.join(TINY)}",
    "gan-export onnx",
    # So few steps give images that are more alike than the gate is happy with on some machines.
    "gan-batch --count 130 --shard-size 50 --seed 9 --quality-gate warn",
    "gan-batch verify synthetic/{date}",
    f"gan-eval quality {PHOTOS} models/generator_model.pth --count 10 --json",
)


@dataclass(frozen=True)
class Machine:
    """A machine of its own, as far as a command can see.

    Attributes:
        bin: where its commands are.
        places: home, temporary folder and the like, all empty at first.
    """

    bin: Path
    places: Path

    def run(self, command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command line of ours."""
        program, *arguments = shlex.split(command)
        names = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
        places = {name: self.places / name for name in names}
        for place in places.values():
            place.mkdir(exist_ok=True)
        environment = {name: str(place) for name, place in places.items()}
        if program in ("gan-train", "gan-export") or "quality" in arguments:  # thrice as long where others work
            environment |= ONE_THREAD
        return run(self.bin / program, *arguments, cwd=cwd, timeout=600, **environment)


@pytest.fixture(scope="module")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Where the wheel is installed. What it needs is borrowed from the environment of the tests."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "venv", symlinks=True)
    (site,) = folder.glob("venv/lib/*/site-packages")
    # Folders that a .pth file names are only searched: the editable install in them, a .pth file too, does nothing.
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    installed = run(
        sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--quiet", "--no-deps",
        "--no-index", wheel,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    (folder / "places").mkdir()
    return Machine(folder / "venv/bin", folder / "places")


Ran = tuple[Path, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ran(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A folder in which all commands were run with next to no path, and how the last one ended."""
    folder = tmp_path_factory.mktemp("workplace")
    write_photos(folder / PHOTOS, 24)
    for command in CHAIN:
        date = next((path.name for path in folder.glob("synthetic/*")), "")
        result = machine.run(command.replace("{date}", date), folder)
        assert result.returncode == 0, result.stderr
        assert (result.stdout == "") == (not command.startswith("gan-eval"))
    return folder, result


@pytest.fixture(scope="module")
def workplace(ran: Ran) -> Path:
    return ran[0]


def dataset(folder: Path) -> Path:
    (run_folder,) = (folder / "synthetic").iterdir()
    return run_folder


@pytest.mark.parametrize("command", COMMANDS)
def test_installed_command_is_that_of_the_wheel(command: str, machine: Machine, tmp_path: Path) -> None:
    result = machine.run(f"{command} --help", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    module = COMMANDS[command]
    found = run(machine.bin / "python", "-c", f"import {module} as module; print(module.__file__)", cwd=tmp_path)
    assert Path(found.stdout).is_relative_to(machine.bin.parent), found


def test_bundled_model_comes_along(machine: Machine, tmp_path: Path) -> None:
    result = machine.run("gan-batch --model bundled --count 8 --out run", tmp_path)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "run" / "manifest.csv").read_text().splitlines()) == 9


def test_commands_without_paths_give_a_dataset_and_leave_nothing_elsewhere(workplace: Path, machine: Machine) -> None:
    assert len(list(dataset(workplace).glob("images/0000?/*.png"))) == 130
    assert sorted(os.listdir(workplace)) == ["datasets", "evaluation", "models", "synthetic"]
    left = [path for path in machine.places.rglob("*") if path.parent != machine.places]
    assert [path for path in left if path != machine.places / "TMPDIR" / f"torchinductor_{getpass.getuser()}"] == []
    assert not any(path.is_file() for path in left)  # that folder, an empty one, comes with every import of torchvision


def test_images_are_compared_by_the_network_that_comes_along(ran: Ran) -> None:
    folder, result = ran
    values = json.loads(result.stdout)
    assert (values["features"], values["image_size"], values["fit"]) == ("efficientnet-lite2", 128, "crop")
    assert (folder / "evaluation/quality/report.html").is_file()
    assert [line for line in result.stderr.splitlines() if " INFO " not in line] == []  # no library's warnings


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
        ("gan-train", "photos", "--recipe", "dcgan", "--channels", "3", "--epochs", "60", "--lr", "0.01", *TINY,
         "--image-size", "32"),
        ("gan-export", "onnx"),
        # Twelve red photos and 60 epochs give images that are more alike than the gate is happy with on some machines.
        ("gan-batch", "--count", "20", "--out", "out", "--quality-gate", "warn"),
    ):  # fmt: skip
        result = run_in_process(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    image = np.asarray(Image.open(tmp_path / "out" / "images" / "00000" / "00000000.png")).astype(int)
    assert image.shape == (32, 32, 3)
    assert image[:, :, 0].mean() > image[:, :, 1].mean() + 15  # red stayed the first channel all the way


@pytest.mark.parametrize("size", [64, pytest.param(256, marks=pytest.mark.long)])
def test_chain_makes_images_of_the_size_that_was_trained(size: int, photos: Path, tmp_path: Path) -> None:
    for command in (
        ("gan-train", photos, "--image-size", str(size), "--epochs", "1", "--recipe", "small-data", *TINY),
        ("gan-export", "onnx", "--batch-check", "1,2"),
        ("gan-batch", "--out", "run", "--count", "12", "--quality-gate", "off"),
    ):
        result = run_in_process(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    image = Image.open(tmp_path / "run" / "images" / "00000" / "00000011.png")
    assert (image.size, image.mode) == ((size, size), "L")


@pytest.mark.long
def test_chain_of_classes_makes_the_folders_that_a_classifier_trains_on(tmp_path: Path) -> None:
    for name in ("dent", "scratch"):
        write_photos(tmp_path / "photos" / name, 12, seed=len(name))
    for command in (
        ("gan-train", "photos", "--classes", "--epochs", "2", *TINY, "--image-size", "32"),
        ("gan-export", "onnx", "--batch-check", "1,2"),
        ("gan-batch", "--count", "30", "--mix", "scratch=2,dent=1", "--out", "out", "--quality-gate", "off"),
        ("gan-batch", "verify", "out"),
        ("gan-batch", "convert", "out", "--to", "imagefolder", "--out", "set"),
    ):
        result = run_in_process(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    counts = {name: len(list(tmp_path.glob(f"set/**/{name}/*.png"))) for name in ("dent", "scratch")}
    assert counts == {"dent": 10, "scratch": 20}
