"""Masks of photos as gan-train and `gan.train` are given them, before a step is made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import Course, TrainConfig
from gan.photos.read import ImageSet
from gan.photos.which import Which
from gan.training.run import plan, train
from models.errors import CommandError, ExitCode
from tests.conftest import TINY, fails_in_one_line, surface
from tests.gan.conftest import tiny

Train = Callable[..., subprocess.CompletedProcess[str]]
DRY = ("--dry-run", "--device", "cpu", "--image-size", "32", "--penalty-interval", "1", *TINY)
"""A plan measures steps until one has the penalty."""
SHIFT = tiny("shift", penalty_interval=1)


def photos_with_masks(folder: Path, names: list[str], seed: int = 0) -> Path:
    """Photos in `folder / photos`, and a mask of each with a spot in `folder / masks`."""
    for number, name in enumerate(names):
        photo, mask = folder / "photos" / f"{name}.jpg", folder / "masks" / f"{name}.png"
        for path in (photo, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        surface(seed + number).save(photo)
        spot = np.zeros((128, 128), np.uint8)
        spot[30:60, 10:40] = 255
        Image.fromarray(spot).save(mask)
    return folder


def numbered(count: int, form: str = "{}") -> list[str]:
    return [form.format(number) for number in range(count)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve photos to train on, eleven kept back, and the masks of all."""
    photos_with_masks(tmp_path, [*numbered(12, "train{}"), *numbered(11, "kept{}")])
    (tmp_path / "kept").mkdir()
    for path in (tmp_path / "photos").glob("kept*"):
        path.rename(tmp_path / "kept" / path.name)
    return tmp_path


def test_one_folder_of_masks_serves_photos_to_train_and_to_measure_on(gan_train: Train, data: Path) -> None:
    result = gan_train(data / "photos", "--validation", data / "kept", "--masks", data / "masks", *DRY)
    assert result.returncode == 0, result.stderr
    assert "12 photos with masks, 0 without a defect; a usual defect covers 5.5 % of a photo" in result.stderr
    assert "12 photos with masks, " in result.stdout
    alone = gan_train(data / "photos", "--masks", data / "masks", *DRY)
    fails_in_one_line(alone, 65, "--masks", "11 masks of no photo, such as kept0.png", "--skip-bad-files")
    assert gan_train(data / "photos", "--masks", data / "masks", "--skip-bad-files", *DRY).returncode == 0


def test_missing_masks_are_refused_or_taken_as_no_defect(gan_train: Train, data: Path) -> None:
    surface(99).save(data / "photos" / "good.jpg")
    (data / "masks" / "kept3.png").write_bytes(b"")
    command = [data / "photos", "--validation", data / "kept", "--masks", data / "masks", *DRY]
    said = ["1 photo without a mask, such as photos/good.jpg", "1 mask that cannot be read, such as kept3.png: empty"]
    fails_in_one_line(gan_train(*command), 65, *said, "--missing-masks empty")
    result = gan_train(*command, "--missing-masks", "empty", "--skip-bad-files")
    assert "12 photos with masks, 0 without a defect; 1 without a mask" in result.stderr
    assert "13 photos with masks" in result.stdout


WRONG = {
    "recipe": (["--masks", "{masks}", "--recipe", "dcgan"], "--masks need the two networks of --recipe shift"),
    "no masks": (["--missing-masks", "empty"], "--missing-masks has a meaning with --masks only"),
    "out": (["--masks", "{masks}", "--out", "{masks}/out"], "lies in a folder of photos"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_options_that_cannot_be_meant_are_2(gan_train: Train, data: Path, options: list[str], said: str) -> None:
    told = [option.format(masks=data / "masks") for option in options]
    fails_in_one_line(gan_train(data / "photos", *DRY, *told), 2, said)


def test_a_folder_of_masks_that_is_not_there_is_66(gan_train: Train, data: Path) -> None:
    fails_in_one_line(gan_train(data / "photos", "--masks", data / "gone", *DRY), 66, "--masks", "gone")


def test_a_folder_of_masks_among_classes_is_no_class(tmp_path: Path) -> None:
    photos = photos_with_masks(tmp_path, [*numbered(6, "pit/{}"), *numbered(6, "line/{}")]) / "photos"
    (tmp_path / "masks").rename(photos / "masks")
    options = plan(photos, SHIFT, "cpu", which=Which(classes=True, masks=photos / "masks")).options
    assert (options["class_names"], options["masks"]) == (("line", "pit"), True)
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{kind}/{number}.jpg,{kind}\n" for kind in ("pit", "line") for number in range(6)))
    options = plan(photos, SHIFT, "cpu", which=Which(labels=table, masks=photos / "masks")).options
    assert (options["class_names"], options["masks"]) == (("line", "pit"), True)


@pytest.fixture
def masked(plates: ImageSet) -> ImageSet:
    """Plates, each with a mask."""
    masks = torch.zeros_like(plates.images)
    masks[:, :, 4:12, 4:12] = 255
    return ImageSet(plates.images, plates.names, masks=masks)


def test_images_with_masks_of_their_own_need_no_option(masked: ImageSet, plates: ImageSet) -> None:
    assert plan(masked, SHIFT, "cpu").options["masks"] is True
    assert plan(plates, SHIFT, "cpu").options["masks"] is False


REFUSED: dict[str, tuple[bool, TrainConfig, dict[str, object], str]] = {
    "another recipe": (True, tiny("dcgan"), {}, "`masks` need the two networks of `recipe=shift`"),
    "a folder for images": (False, tiny("shift"), {"masks": Path("masks")}, "`masks` are for a folder"),
    "options of masks alone": (False, tiny("shift", masks=True), {}, "give `masks`"),
    "no such way": (False, tiny("shift"), {"missing_masks": "some"}, "`missing_masks` is one of refuse, empty"),
}


@pytest.mark.parametrize(("has_masks", "config", "given", "said"), REFUSED.values(), ids=REFUSED)
def test_masks_that_cannot_be_trained_are_2(
    masked: ImageSet, plates: ImageSet, tmp_path: Path, has_masks: bool, config: TrainConfig, given: dict, said: str
) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        train(masked if has_masks else plates, tmp_path / "out", config, which=Which(**given))
    assert refused.value.exit_code is ExitCode.USAGE
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_drawn")
def test_what_a_run_leaves_says_that_it_had_masks(data: Path) -> None:
    out = data / "out"
    train(
        data / "photos", out, tiny("shift", epochs=1), device="cpu", course=Course(sample_epochs=1),
        which=Which(masks=data / "masks", skip_bad_files=True),
    )  # fmt: skip
    assert json.loads((out / "training_options.json").read_text())["options"]["masks"] is True
