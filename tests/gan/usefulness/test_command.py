"""`gan-eval usefulness` with masks, a class without defects and images of one class, as it is typed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.evaluation.refusals import CommonShape
from gan.photos.which import Which
from gan.usefulness.sources import read_photos
from tests.conftest import fails_in_one_line, made_once, run_in_process
from tests.gan.usefulness.surfaces import surfaces

FEW = ("--image-size", "32", "--quick", "--seeds", "1", "--steps", "2", "--batch-size", "4")


def write_lines(folder: Path, masks: Path, count: int, seed: int) -> list[str]:
    """`count` images with a line in `folder`, and their masks; their names."""
    of = surfaces(2 * count, seed)
    assert of.masks is not None
    folder.mkdir(parents=True)
    masks.mkdir(parents=True, exist_ok=True)
    for row in range(1, 2 * count, 2):
        Image.fromarray(of.images[row, 0].numpy()).save(folder / of.names[row])
        Image.fromarray(of.masks[row].numpy()).save(masks / of.names[row])
    return list(of.names[1::2])


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/good`, `photos/bad`, the `masks` of bad, one of them empty, and a `run` of bad without labels."""

    def make(folder: Path) -> None:
        names = write_lines(folder / "photos/bad", folder / "masks", 24, 1)
        Image.new("L", (32, 32)).save(folder / "masks" / names[0])
        of = surfaces(48, 2)
        (folder / "photos/good").mkdir()
        for row in range(0, 48, 2):
            Image.fromarray(of.images[row, 0].numpy()).save(folder / "photos/good" / of.names[row])
        made = write_lines(folder / "run/images", folder / "run/masks", 24, 3)
        rows = "".join(f"images/{name},masks/{name}\n" for name in made)
        (folder / "run/manifest.csv").write_text(f"file_name,mask_file_name\n{rows}")

    return made_once(tmp_path_factory, "tiles", make, copy=False)


def asked(
    tiles: Path, out: Path, *more: str | Path, masks: bool = True, run: str | Path = "run"
) -> subprocess.CompletedProcess[str]:
    given = ["--masks", tiles / "masks", "--missing-masks", "empty"] if masks else []
    options = ["--synthetic", tiles / run, "--out", out, *given, *FEW]
    return run_in_process("gan-eval", "usefulness", tiles / "photos", *options, *more)


def test_detector_learns_from_masks_and_from_a_run_of_one_class(tiles: Path, tmp_path: Path) -> None:
    options = ("--detector", "unet", "--class-name", "bad")
    result = asked(tiles, tmp_path / "out", *options, "--json")
    assert result.returncode == 0, result.stderr
    assert "lie together" not in result.stderr  # they are the two classes that were asked for
    said = json.loads(result.stdout)
    assert (said["detector"], said["fits"]) == ("unet", said["fits_planned"])
    odd = "1 of 24 images of the class bad in " + str(tiles / "photos") + " show no defect, such as that of bad/1-1.png"
    assert any(odd in note for note in said["notes"])
    page = (tmp_path / "out/report.html").read_text()
    assert said["sentence"] in page
    # Two steps teach nothing, and the report must not read as if the images were to blame.
    assert (said["verdict"], said["smallest_difference"]) == ("NO EFFECT SHOWN", None)
    assert "the detector has learned nothing" in said["sentence"]
    assert "power: unknown" in page
    ours, control = (
        np.load(tmp_path / f"out/answers/0-{arm}-0-0.npy") for arm in ("ours-classical", "shuffled-labels")
    )
    assert not np.array_equal(ours, control)  # masks are shuffled, too
    rows = [*csv.DictReader((tmp_path / "out/runs.csv").open())]
    again = asked(tiles, tmp_path / "out", *options)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(said["sentence"])
    assert [*csv.DictReader((tmp_path / "out/runs.csv").open())] == rows


def test_other_masks_are_another_experiment(tiles: Path, tmp_path: Path) -> None:
    options = ("--detector", "unet", "--class-name", "bad")
    moved = shutil.copytree(tiles / "masks", tmp_path / "masks")
    for path in moved.iterdir():
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    for masks, code in ((tiles / "masks", 0), (moved, 78)):
        given = ("--masks", masks, "--missing-masks", "empty")
        assert asked(tiles, tmp_path / "out", *options, *given, masks=False).returncode == code


def test_masks_do_not_decide_what_of_a_photo_is_seen(tiles: Path, tmp_path: Path) -> None:
    """Else the part of a bad photo that is kept tells that it is bad."""
    wide = tmp_path / "photos"
    for path in sorted((tiles / "photos").rglob("*.png")):
        (wide / path.parent.name).mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(int(path.stem.replace("-", "")))
        Image.fromarray(random.integers(0, 255, (32, 96), np.uint8)).save(wide / path.parent.name / path.name)
    for path in (tiles / "masks").iterdir():
        mask = np.zeros((32, 96), np.uint8)
        mask[4:12, 34:44], mask[4:30, :30] = 255, 255
        Image.fromarray(mask).save(wide.with_name(path.name))
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(masks / path.name)
    shape, which = CommonShape(1, 32, "crop"), Which(masks=masks, missing_masks="empty")
    told, blind = (read_photos(wide, each, shape, "good").labelled for each in (which, Which()))
    assert torch.equal(told.images, blind.images)
    assert told.masks is not None
    assert set(told.masks.flatten(1).any(dim=1).tolist()) == {True, False}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--class-name", "scratch"), 2, "--class-name scratch is none of bad, good"),
        (("--class-name", "bad", "--good-class", "fine"), 2, "--good-class fine is none of bad, good"),
        ((), 65, "--class-name says it of all images"),
        (
            ("--class-name", "bad", "--detector", "unet", "--good-class", "bad"),
            65,
            "show a defect, such as that of bad/1-11.png: is --good-class another?",
        ),
    ],
)
def test_what_does_not_fit_the_classes_is_named(
    tiles: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    result = asked(tiles, tmp_path / "out", *options)
    fails_in_one_line(result, code, said)


def test_what_a_detector_of_masks_lacks_is_named(tiles: Path, tmp_path: Path) -> None:
    unet = ("--detector", "unet", "--class-name", "bad")
    for masks, run, photos, code, said in (
        (False, "run", "photos", 2, "--detector unet learns from masks: give --masks"),
        (True, "run/images", "photos", 65, "have no masks, and the detector learns from them"),
        (True, "run", "called", 2, "which of bad, plain is without a defect: --good-class names it"),
    ):
        if photos == "called":
            shutil.copytree(tiles, tmp_path / "called")
            (tmp_path / "called/photos/good").rename(tmp_path / "called/photos/plain")
            tiles = tmp_path / "called"
        result = asked(tiles, tmp_path / "out", *unet, masks=masks, run=run)
        fails_in_one_line(result, code, said)


def test_photo_without_a_mask_is_refused_unless_told_otherwise(tiles: Path, tmp_path: Path) -> None:
    result = asked(
        tiles, tmp_path / "out", "--detector", "unet", "--class-name", "bad", "--masks", tiles / "masks", masks=False
    )
    fails_in_one_line(result, 65, "24 photos without a mask", "--missing-masks empty")


def test_class_name_does_not_silence_the_labels_of_a_run(tiles: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiles / "run", tmp_path / "run")
    rows = (run / "manifest.csv").read_text().splitlines()
    (run / "manifest.csv").write_text("\n".join([f"{rows[0]},label", *(f"{row},good" for row in rows[1:])]) + "\n")
    result = asked(tiles, tmp_path / "out", "--class-name", "bad", run=run)
    fails_in_one_line(result, 2, "shows good: leave --class-name out")
