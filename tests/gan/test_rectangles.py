"""Images that are not square, from photos to a data set and back to its figures; and squares of every side."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.evaluation import features
from gan.networks import reader
from gan.networks.pixels import to_float
from gan.photos.read import ImageSet
from gan.training.augment import MAX_TRANSLATION, augment
from gan.training.matching import FeatureMatching
from gan.training.trainer import Trainer
from tests.conftest import ONE_THREAD, TINY, clean_environment, fails_in_one_line, run_in_process
from tests.gan.conftest import same, tiny
from tests.gan.networks.shift_made import no_batch_norm_and_one_input

OPTIONS = ("--epochs", "3", "--stats-every", "1", "--sample-epochs", "1", "--device", "cpu", *TINY)
SIZE = "96x64"


def succeeds(program: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    result = run_in_process(program, *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def workplace(photos: Path, tmp_path_factory: pytest.TempPathFactory, operators_are_read_once: None) -> Path:
    """Where a generator of 96×64 was trained, exported and asked for 20 images; tests must not change it."""
    folder = tmp_path_factory.mktemp("rectangles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan.training.figures.LOOKED_AT", 50)
        patch.setattr("gan.training.monitor.plot_losses", lambda _, path: path.touch())  # no size of an image is in it
        succeeds("gan-train", photos, "--image-size", "96×64", *OPTIONS, cwd=folder)
    succeeds("gan-export", "onnx", "--batch-check", "1,2,5", cwd=folder)
    succeeds("gan-batch", "--count", "20", "--out", "run", "--quality-gate", "off", "--manifest", "parquet", cwd=folder)
    return folder


def options(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "training_options.json").read_text())["options"]
    return found


def test_training_leaves_pictures_of_the_shape_and_says_the_size(workplace: Path) -> None:
    assert options(workplace / "models")["image_size"] == SIZE
    with Image.open(workplace / "models/samples/reals.png") as picture:
        assert picture.size == (8 * (96 + 2) + 2, 3 * (64 + 2) + 2)


@pytest.mark.long
def test_a_run_that_was_killed_and_resumed_ends_with_the_weights_of_one_that_nobody_killed(
    workplace: Path, photos: Path, tmp_path: Path
) -> None:
    command = ["gan-train", str(photos), "--image-size", SIZE, "--out", str(tmp_path), *OPTIONS]
    with subprocess.Popen(command, env=clean_environment(**ONE_THREAD), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 4," in line:
                break
        process.kill()
    assert process.returncode == -signal.SIGKILL
    fails_in_one_line(
        run_in_process("gan-train", photos, "--image-size", "64x96", "--out", tmp_path, *OPTIONS, "--resume"),
        78,
        "image_size was 96x64 and is 64x96",
    )
    succeeds("gan-train", photos, "--image-size", SIZE, "--out", tmp_path, *OPTIONS, "--resume")
    mine, others = (reader.load(folder / "generator_model.pth") for folder in (tmp_path, workplace / "models"))
    assert same(mine, others)


def test_the_exported_file_says_the_size_and_is_verified(workplace: Path) -> None:
    no_batch_norm_and_one_input(workplace / "models/generator.onnx")
    page = succeeds("gan-export", "info", "models/generator.onnx", cwd=workplace).stdout
    assert "gray images of 96×64" in page
    assert "image_size 96x64" in page
    succeeds("gan-export", "verify", "models/generator.onnx", cwd=workplace)


def test_images_of_a_run_have_the_size_and_what_is_damaged_is_made_again(workplace: Path, tmp_path: Path) -> None:
    run = shutil.copytree(workplace / "run", tmp_path / "run")
    names = sorted(run.glob("images/*/*.png"))
    assert {Image.open(name).size for name in names} == {(96, 64)}
    with open(next(run.glob("_manifests/*.csv"))) as file:
        assert {(row["width"], row["height"]) for row in csv.DictReader(file)} == {("96", "64")}
    with Image.open(run / "contact_sheet.png") as sheet:
        assert sheet.size == (8 * 98 - 2, 3 * 66 - 2)
    whole = names[3].read_bytes()
    with Image.open(names[3]) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(names[3])
    assert run_in_process("gan-batch", "verify", run).returncode == 76
    succeeds("gan-batch", "verify", run, "--repair", "--model", workplace / "models/generator.onnx")
    assert names[3].read_bytes() == whole


@pytest.mark.parametrize("fake", ["models/generator.onnx", "run"])
def test_quality_is_measured_at_the_size(workplace: Path, photos: Path, pools: Path, fake: str) -> None:
    size = ("--image-size", "96X64") if fake == "run" else ()
    few = ("--count", "12", "--json", "--features", pools)
    found = json.loads(succeeds("gan-eval", "quality", photos, fake, *size, *few, cwd=workplace).stdout)
    assert found["image_size"] == SIZE
    assert len(found["spectrum_fake_db"]) == 48
    assert (workplace / "evaluation/quality/report.html").is_file()


def test_quality_says_which_sizes_there_are(workplace: Path, photos: Path, pools: Path) -> None:
    few = ("--count", "12", "--features", pools)
    quality = ("gan-eval", "quality", photos)
    fails_in_one_line(
        run_in_process(*quality, "models/generator.onnx", *few, "--image-size", "64x96", cwd=workplace),
        2, "--image-size 64x96", "images of 96x64",
    )  # fmt: skip
    fails_in_one_line(run_in_process(*quality, "run", *few, cwd=workplace), 65, "--image-size 64 or --image-size 96x64")
    fails_in_one_line(run_in_process(*quality, "run", "--image-size", "wide"), 2, "--image-size: wide", "320x128")
    fails_in_one_line(run_in_process(*quality, "run", "--image-size", "64x16"), 2, "64x16", "between 32 and 1024")


@pytest.mark.parametrize(
    "size", ["0", "-32", "100", "96x100", "1056", "64x2048", "96x", "x96", "wide", "64x64x64", "96 x 64", ""]
)
def test_a_size_that_cannot_be_meant_is_2_and_what_can_be_is_said(photos: Path, tmp_path: Path, size: str) -> None:
    result = run_in_process("gan-train", photos, "--out", tmp_path / "out", "--image-size", size)
    fails_in_one_line(result, 2, f"--image-size is {size}: give 32, 64, 128 or another multiple of 32 up to 1024")


@pytest.mark.parametrize("recipe", [("--recipe", "small-data"), ("--recipe", "dcgan"), ("--no-d-two-part",)])
def test_networks_of_squares_name_the_recipe_of_other_sizes(photos: Path, tmp_path: Path, recipe: list[str]) -> None:
    for size in ("96x64", "160", "1024"):
        result = run_in_process("gan-train", photos, "--out", tmp_path / "out", "--image-size", size, *recipe)
        fails_in_one_line(result, 2, f"--image-size is {size}, not one of 32, 64, 128, 256, 512", "--recipe shift")


def test_however_a_square_is_told_its_options_are_the_same() -> None:
    configs = [TrainConfig.of("shift", image_size=size) for size in (64, "64", "64x64", "64×64")]
    assert {json.dumps(config.to_dict()) for config in configs} == {json.dumps(configs[0].to_dict())}
    assert (configs[0].image_size, configs[0].size) == (64, (64, 64))


def test_a_rectangle_comes_back_from_json_as_it_went_in() -> None:
    config = TrainConfig.of("shift", image_size="320X128")
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.image_size, config.size) == ("320x128", (320, 128))


def noise(channels: int, height: int, width: int, count: int = 10) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "height", "width"), [("32x160", 160, 32), ("96", 96, 96), ("160", 160, 160)])
def test_steps_are_made_at_every_multiple_of_32(channels: int, size: str, height: int, width: int) -> None:
    config = tiny("shift", image_size=size, channels=channels, batch_size=4, penalty_interval=1)
    trainer = Trainer(noise(channels, height, width), config, torch.device("cpu"))
    for _ in range(2):
        trainer.train_step()
    assert trainer.is_finite()


def test_crops_of_large_photos_have_the_shape_and_come_from_everywhere() -> None:
    photo = torch.arange(80)[:, None].add(torch.arange(120)).to(torch.uint8)[None]
    images = ImageSet(photo[None, :, :32, :64].expand(10, -1, -1, -1), [])
    config = tiny("shift", image_size="64x32", fit="tile", batch_size=64, flip="none")
    trainer = Trainer(images.images, config, torch.device("cpu"), [photo] * 10)
    crops = ((trainer._real_batch(0) + 1) * 127.5).round()
    assert crops.shape == (64, 1, 32, 64)
    assert crops[:, 0, 0, 0].min() < 20
    assert crops[:, 0, 0, 0].max() > 80  # the last one begins at 48 + 56


def test_images_are_moved_by_an_eighth_of_each_side() -> None:
    height, width = 32, 256
    images = torch.full((400, 1, height, width), -1.0)
    images[:, :, height // 2, width // 2] = 1
    at = augment(images, torch.Generator().manual_seed(0)).flatten(1).argmax(dim=1)
    down, right = (at // width - height // 2).abs(), (at % width - width // 2).abs()
    assert (down.max(), right.max()) == (height * MAX_TRANSLATION, width * MAX_TRANSLATION)
    assert down.bincount(minlength=5).min() > 20  # each of them is chosen


class _Seen(Exception):
    """What a network would have got."""


def shape_seen(monkeypatch: pytest.MonkeyPatch, images: torch.Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of images: the shape in which the networks of matching and of the KID see them."""

    def see(x: torch.Tensor) -> None:
        raise _Seen(tuple(x.shape[2:]))

    network = mock.Mock(**{"_conv_stem.side_effect": see, "extract_features.side_effect": see})
    monkeypatch.setattr("gan.training.matching.lite_network", lambda *_: network)
    monkeypatch.setattr(features, "lite_network", lambda *_: network)
    with pytest.raises(_Seen) as by_matching:
        FeatureMatching(images, "none")
    with pytest.raises(_Seen) as by_kid:
        features.load_features("efficientnet-lite2")(images)
    return by_matching.value.args[0], by_kid.value.args[0]


@pytest.mark.parametrize(
    ("height", "width", "by_matching", "by_kid"),
    [
        (64, 64, (64, 64), (260, 260)),
        (256, 256, (128, 128), (260, 260)),
        (64, 96, (64, 96), (212, 318)),
        (128, 512, (64, 256), (130, 520)),
        (32, 1024, (32, 724), (46, 1471)),
    ],
)
def test_networks_see_images_in_their_proportions(
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    by_matching: tuple[int, int],
    by_kid: tuple[int, int],
) -> None:
    assert shape_seen(monkeypatch, noise(1, height, width)) == (by_matching, by_kid)


def test_a_frozen_network_teaches_the_longest_images() -> None:
    images = noise(1, 32, 1024, 4)
    assert FeatureMatching(images, "none").gradient(to_float(images)).shape == images.shape
