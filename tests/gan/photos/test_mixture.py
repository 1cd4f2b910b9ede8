"""Folders that hold more than one kind of picture: what is said of them, and how they are parted."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.photos.find import fits
from gan.photos.mixture import mask_like, mixtures
from gan.photos.read import find_images, load_images
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, write_photos

Train = Callable[..., subprocess.CompletedProcess[str]]


def several(form: str, count: int = 6) -> list[str]:
    return [form.format(number) for number in range(count)]


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("*_mask.*", "a/b_mask.png", True), ("*_mask.*", "a_mask.d/b.png", True), ("*_mask.*", "a/b_masked.png", False),
        ("bad", "bad/a.png", True), ("bad", "x/bad/y/a.png", True),
        ("bad/", "bad/a.png", True), ("bad", "bad.png", False),
        ("bad/*", "bad/a.png", True), ("bad/*", "bad/y/a.png", True), ("bad/*", "x/bad/a.png", False),
        ("x/bad", "x/bad/a.png", True), ("cam?/*.png", "cam1/a.png", True), ("cam?/*.png", "cam1/a.jpg", False),
        ("*.PNG", "a.png", False), ("[a-c]*", "b.png", True), ("[!a-c]*", "b.png", False), ("", "b.png", False),
    ],
)  # fmt: skip
def test_a_pattern_fits_a_name_a_folder_or_a_path(pattern: str, name: str, does: bool) -> None:
    assert fits(name, pattern) is does


MIXED = {
    "masks by folder": ([*several("img/{}.png"), *several("masks/{}.png")], "masks", "6 of 12 photos are called masks"),
    "ground truth": ([*several("test/{}.png"), *several("ground_truth/{}_mask.png")], "ground_truth", "called masks"),
    "masks by name": ([*several("{}.jpg"), *several("{}_mask.png")], "*_mask.*", "such as 0_mask.png"),
    "numbered masks": ([*several("a{}.jpg"), *several("a_mask{}.png")], "*_mask[0-9]*", "called masks"),
    "labels": ([*several("{}.jpg"), *several("{}-label.png")], "*-label.*", "called masks"),
}


@pytest.mark.parametrize("case", MIXED)
def test_masks_are_noticed_and_the_pattern_leaves_them_out(case: str) -> None:
    names, pattern, said = MIXED[case]
    (sentence,) = mixtures(names)
    assert said in sentence
    assert f"`without='{pattern}'`" in sentence
    assert [name for name in names if fits(name, pattern)] == names[6:]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("good/{}.png", "bad/{}.png"), ("a/OK/{}.png", "a/NG/{}.png"), ("good_{}.png", "bad_{}.png"),
        ("ok{}.png", "nok{}.png"), ("{}_good.png", "{}_defect.png"), ("good/{}.png", "bad_{}.png"),
        ("train/{}.png", "test/{}.png"), ("training_{}.png", "val_{}.png"),
    ],
)  # fmt: skip
def test_opposites_are_noticed_and_either_pattern_parts_them(one: str, other: str) -> None:
    names = [*several(one), *several(other)]
    (sentence,) = mixtures(names)
    assert "6 photos" in sentence
    patterns = re.findall("`only='(.*?)'`", sentence)
    assert [[name for name in names if fits(name, pattern)] for pattern in patterns] == [names[6:], names[:6]]


@pytest.mark.parametrize("form", ["{}/{{}}.png", "test/{}/{{}}.png", "a/b/{}/x/{{}}.png"])
@pytest.mark.parametrize(
    ("good", "others"), [("good", ["scratch"]), ("OK", ["bad", "crack"]), ("good", ["cut", "hole", "oil", "print"])]
)
def test_folders_beside_that_of_good_parts_are_the_others_whatever_they_are_called(
    form: str, good: str, others: list[str]
) -> None:
    names = [name for folder in (good, *others) for name in several(form.format(folder))]
    (sentence,) = mixtures([*names, *several("ground_truth/{}.png")])[1:]
    called = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
    assert sentence.startswith(f"6 photos of good parts ({good}) and {6 * len(others)} others ({called}) lie together")
    (without,), (only,) = re.findall("`without='(.*?)'`", sentence), re.findall("`only='(.*?)'`", sentence)
    assert [name for name in names if not fits(name, without)] == names[6:]
    assert [name for name in names if fits(name, only)] == names[:6]


def test_good_parts_beside_others_are_meant_where_folders_are_classes() -> None:
    parts = [*several("good/{}.png"), *several("bad/{}.png")]
    assert len(mixtures(parts)) == 1
    assert mixtures(parts, classed=True) == []
    assert mixtures([*several("train/{}.png"), *several("test/{}.png")], classed=True)


def test_photos_in_pairs_of_one_name_are_noticed() -> None:
    (sentence,) = mixtures([*several("{}.jpg"), *several("{}.png")])
    assert "6 photos are there in pairs" in sentence


@pytest.mark.parametrize(
    "names",
    [
        several("scratch_{}.png"), several("good/{}.png"), several("masks/{}.png"), several("mask_holder_{}.png"),
        [*several("cam1/{}.png"), *several("cam2/{}.png")], [*several("goods_{}.png"), *several("badge_{}.png")],
        [*several("{}.jpg"), "0.png"], [*several("fine/{}.png"), *several("coarse/{}.png")],
        [*several("a/good/{}.png"), *several("b/{}.png")],
    ],
)  # fmt: skip
def test_of_a_folder_of_one_kind_nothing_is_said(names: list[str]) -> None:
    assert mixtures(names) == []


def drawn(suffix: str, path: Path) -> Path:
    """A mask as it is stored: a disc, white on black."""
    rows, columns = np.mgrid[:64, :64]
    disc = ((rows - 30) ** 2 + (columns - 20) ** 2 < 150).astype(np.uint8) * 255
    Image.fromarray(disc).save(path.with_suffix(f".{suffix}"))
    return path.with_suffix(f".{suffix}")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_pictures_that_are_black_and_white_alone_are_like_masks(tmp_path: Path, suffix: str) -> None:
    assert mask_like(Image.open(drawn(suffix, tmp_path / "a")))
    assert mask_like(Image.new("L", (64, 64)))
    assert not mask_like(Image.new("L", (64, 64), 255))
    assert not mask_like(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)))


def test_masks_without_a_telling_name_are_noticed_by_their_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_photos(tmp_path, 12)
    for number in range(3):
        drawn("png", tmp_path / f"x{number}")
    with caplog.at_level(logging.WARNING, "gan"):
        load_images(tmp_path, 1, 64)
    assert "3 of 15 photos are all black and white, such as x0.png" in caplog.text


def test_only_and_without_part_a_folder(tmp_path: Path) -> None:
    write_photos(tmp_path / "bad", 12)
    write_photos(tmp_path / "good", 11)
    for number in range(3):
        drawn("png", tmp_path / "bad" / f"{number}_mask")
    assert len(load_images(tmp_path, 1, 64, only=["bad"], without=["*_mask.*"]).names) == 12
    assert len(find_images(tmp_path, without=["bad"])) == 11
    assert len(find_images(tmp_path, only=["bad/*_mask.png", "good"])) == 14
    with pytest.raises(CommandError, match=r"not one of 26 images .*only 'ugly'") as refused:
        find_images(tmp_path, only=["ugly"])
    assert refused.value.exit_code is ExitCode.NO_INPUT


def test_gan_train_tells_of_masks_and_leaves_them_out_when_told(tmp_path: Path, gan_train: Train) -> None:
    write_photos(tmp_path / "photos", 12)
    for number in range(12):
        drawn("png", tmp_path / "photos" / f"scratch_{number:03d}_mask")
    options = ["--out", tmp_path / "out", "--dry-run", "--recipe", "dcgan", "--batch-size", "4", "--image-size", "32"]
    mixed = gan_train(tmp_path / "photos", *options)
    assert "12 of 24 photos are called masks, such as scratch_000_mask.png: --not '*_mask.*' leaves" in mixed.stderr
    parted = gan_train(tmp_path / "photos", *options, "--not", "*_mask.*")
    assert (parted.returncode, "masks" in parted.stderr) == (0, False)
    assert parted.stdout.splitlines()[-3].startswith("12 photos")
    fails_in_one_line(gan_train(tmp_path / "photos", *options, "--only", "ugly"), 66, "'ugly'")


@pytest.mark.parametrize(
    ("width", "height", "told"), [(64, 64, False), (96, 64, False), (97, 64, True), (64, 200, True)]
)
def test_padding_that_invents_more_than_a_third_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, width: int, height: int, told: bool
) -> None:
    write_photos(tmp_path, 11)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)).save(tmp_path / "a.png")
    with caplog.at_level(logging.WARNING, "gan"):
        load_images(tmp_path, 1, 64, fit="pad")
        load_images(tmp_path, 1, 64, fit="crop")
    assert caplog.text.count("`fit=pad` invents more than a third of 1 of 12 photos") == told


def test_padding_to_the_photos_own_shape_invents_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in write_photos(tmp_path, 10).iterdir():
        Image.open(path).crop((0, 0, 128, 64)).save(path)
    with caplog.at_level(logging.WARNING, "gan"):
        load_images(tmp_path, 1, "128x64", fit="pad")
        assert caplog.text == ""
        load_images(tmp_path, 1, "64x128", fit="pad")
    assert "10 of 10 photos by reflection (75 % of" in caplog.text
