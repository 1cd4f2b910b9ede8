"""A folder of photos to one tensor: what is found, what is refused, and what `tile` keeps."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gan.photos import read as dataset
from gan.photos.read import find_images, load_images, read_image
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, write_photos

SIZE = 64
Train = Callable[..., subprocess.CompletedProcess[str]]


def noise(channels: int = 1) -> NDArray[np.uint8]:
    """`[64, 64]` or `[64, 64, channels]` without a pattern."""
    shape = (SIZE, SIZE) if channels == 1 else (SIZE, SIZE, channels)
    return np.random.default_rng(channels).integers(0, 256, shape, dtype=np.uint8)


def flat(mode: str, colour: int | float | tuple[int, ...]) -> Image.Image:
    """One colour."""
    return Image.new(mode, (SIZE, SIZE), colour)


def claims(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# What is found


def test_photos_come_as_uint8_with_channels_before_rows(photos: Path) -> None:
    images = load_images(photos, 3, 128).images
    assert (images.dtype, images.shape) == (torch.uint8, (24, 3, 128, 128))


def test_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    write_photos(tmp_path / "a" / "b" / "c", 1)
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == ["a/b/c/scratch_000.png"]


@pytest.mark.parametrize("name", ["a.PNG", "a.Jpg", "a.JPEG", "a.BMP", "a.TIF", "a.TIFF", "a.WebP"])
def test_a_suffix_may_be_in_upper_case(tmp_path: Path, name: str) -> None:
    flat("L", 50).save(tmp_path / name)
    assert find_images(tmp_path) == [tmp_path / name]


def test_files_that_are_no_images_by_name_are_passed_over(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    (tmp_path / "notes.txt").write_text("shift 3")
    (tmp_path / "labels.csv").write_text("a,b")
    assert len(find_images(tmp_path)) == 1


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    (tmp_path / "._scratch_000.png").write_bytes(b"what a Mac leaves behind")
    write_photos(tmp_path / ".thumbnails", 3)
    assert len(find_images(tmp_path)) == 1


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos", target_is_directory=True)
    assert len(find_images(tmp_path / "photos")) == 2


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "link").symlink_to(tmp_path / "photos", target_is_directory=True)
    assert len(find_images(tmp_path / "link")) == 2


def test_a_link_to_a_photo_is_a_photo(tmp_path: Path) -> None:
    write_photos(tmp_path / "elsewhere", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").symlink_to(tmp_path / "elsewhere" / "scratch_000.png")
    assert read_image(find_images(tmp_path / "photos")[0], 1, SIZE).shape == (SIZE, SIZE, 1)


def test_order_is_that_of_names_and_not_of_creation(tmp_path: Path) -> None:
    paths = sorted(write_photos(tmp_path / "first", 12).iterdir())
    (tmp_path / "second").mkdir()
    for path in reversed(paths):
        shutil.copy(path, tmp_path / "second")
    first, second = (load_images(tmp_path / name, 1, SIZE) for name in ("first", "second"))
    assert first.names == second.names == [path.name for path in paths]
    assert torch.equal(first.images, second.images)


def test_names_are_relative_to_the_folder_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path / "photos" / "a", 10)
    monkeypatch.chdir(tmp_path)
    assert load_images(Path("photos"), 1, SIZE).names[0] == "a/scratch_000.png"


# What is refused


def truncated(path: Path) -> None:
    Image.fromarray(noise(3)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


BAD: dict[str, Callable[[Path], object]] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("not found"),
    "truncated.jpg": truncated,
    "truncated.png": truncated,
    "truncated.bmp": truncated,
    "truncated.webp": truncated,
    "tiny.png": lambda path: Image.new("L", (200, 31)).save(path),
    "large.png": lambda path: claims(path, 11_000, 11_000),
    "bomb.png": lambda path: claims(path, 60_000, 60_000),
    "nowhere.png": lambda path: path.symlink_to("no-such-file.png"),
    "itself.png": lambda path: path.symlink_to(path),
    "negative.tif": lambda path: Image.fromarray(np.full((SIZE, SIZE), -1, np.float32)).save(path),
    "pipe.png": os.mkfifo,
}


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """Twelve good photos and one of each kind of bad file."""
    folder = write_photos(tmp_path / "spoiled", 12)
    for name, write in BAD.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_a_few_words(tmp_path: Path, name: str) -> None:
    BAD[name](tmp_path / name)
    with pytest.raises(ValueError, match=r"^[^\n]{5,150}$"):
        read_image(tmp_path / name, 1, SIZE)


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_a_file_that_claims_to_be_huge_is_refused_by_its_claim_and_not_decoded(tmp_path: Path, side: int) -> None:
    with pytest.raises(ValueError, match="more than 100,000,000"):
        read_image(claims(tmp_path / "a.png", side, side), 1, SIZE)


def test_all_bad_files_are_listed_in_one_report(spoiled: Path, gan_train: Train, tmp_path: Path) -> None:
    result = gan_train(spoiled, "--out", tmp_path / "out")
    report = result.stderr.split(" files cannot be used:\n")[1].split("\ngan-train: error")[0].splitlines()
    assert [line.split(":")[0].strip() for line in report] == sorted(BAD)


def test_bad_files_end_with_65_and_the_way_to_go_on_without_them(
    spoiled: Path, gan_train: Train, tmp_path: Path
) -> None:
    fails_in_one_line(gan_train(spoiled, "--out", tmp_path / "out"), 65, "13 of 25 files", "--skip-bad-files")


def test_skip_bad_files_goes_on_with_the_good_ones(spoiled: Path) -> None:
    names = load_images(spoiled, 1, SIZE, skip_bad_files=True).names
    assert names == [f"scratch_{number:03d}.png" for number in range(12)]


def test_skip_bad_files_still_reports_them(spoiled: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gan"):
        load_images(spoiled, 1, SIZE, skip_bad_files=True)
    assert all(name in caplog.records[0].getMessage() for name in BAD)


def test_skipping_does_not_go_below_the_fewest_images_that_make_sense(tmp_path: Path) -> None:
    write_photos(tmp_path, 9)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(CommandError, match="9 usable images") as refused:
        load_images(tmp_path, 1, SIZE, skip_bad_files=True)
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_nine_images_are_too_few(tmp_path: Path, gan_train: Train) -> None:
    write_photos(tmp_path / "photos", 9)
    fails_in_one_line(gan_train(tmp_path / "photos", "--out", tmp_path / "out"), 65, "9 usable images", "10")


def test_ten_images_are_enough(tmp_path: Path) -> None:
    assert len(load_images(write_photos(tmp_path, 10), 1, SIZE).names) == 10


def test_a_folder_without_images_is_66_and_names_what_was_looked_for(tmp_path: Path, gan_train: Train) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("")
    fails_in_one_line(gan_train(folder, "--out", tmp_path / "out"), 66, "no images", ".png", str(folder))


def test_pictures_of_other_kinds_are_counted_where_there_is_nothing_else(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.heic", "c.dng", "d.txt"):
        (tmp_path / name).touch()
    with pytest.raises(CommandError, match=r"no images .*there are others \(2 \.heic, 1 \.dng\): save them as PNG"):
        find_images(tmp_path)


def test_photos_to_compare_with_take_the_scale_of_the_others(tmp_path: Path) -> None:
    for name, level in (("train", 4000), ("validation", 900)):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.fromarray(np.full((SIZE, SIZE), level + number, np.uint16)).save(tmp_path / name / f"{number}.png")
    trained = load_images(tmp_path / "train", 1, SIZE)
    alone = load_images(tmp_path / "validation", 1, SIZE)
    beside = load_images(tmp_path / "validation", 1, SIZE, scales=trained.scales)
    assert [int(images.images[0, 0, 0, 0]) for images in (trained, alone, beside)] == [249, 224, 56]


def test_a_wrong_path_is_66_and_names_the_absolute_path_looked_at(
    tmp_path: Path, gan_train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fails_in_one_line(gan_train("photso", "--out", "out"), 66, str(tmp_path / "photso"))


def test_a_file_instead_of_a_folder_is_66_and_says_what_is_wanted(
    photos: Path, tmp_path: Path, gan_train: Train
) -> None:
    file = photos / "scratch_000.png"
    fails_in_one_line(gan_train(file, "--out", tmp_path / "out"), 66, str(file), "folder of images")


def test_without_a_path_the_default_folder_is_looked_for_and_named(
    tmp_path: Path, gan_train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fails_in_one_line(gan_train(), 66, str(tmp_path / "datasets/anomaly_detection_dataset/good"))


@pytest.mark.parametrize("arguments", [["photso"], ["empty"]])
def test_data_that_cannot_be_used_leave_no_folder_behind(
    tmp_path: Path, gan_train: Train, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    gan_train(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


# Photos at their own resolution


def test_only_tile_keeps_the_photos(tmp_path: Path) -> None:
    write_photos(tmp_path, 10)
    assert [len(load_images(tmp_path, 1, SIZE, fit=fit).photos) for fit in dataset.FITS] == [0, 0, 0, 10]


@pytest.mark.parametrize("channels", [1, 3])
def test_tile_keeps_every_photo_in_its_own_size_and_its_centre_as_the_image(tmp_path: Path, channels: int) -> None:
    write_photos(tmp_path, 10)
    Image.fromarray(noise()).resize((300, 200)).save(tmp_path / "a_large_one.png")
    images = load_images(tmp_path, channels, SIZE, fit="tile")
    assert images.photos[0].shape == (channels, 200, 300)
    assert {(photo.dtype, photo.is_contiguous()) for photo in images.photos} == {(torch.uint8, True)}
    assert torch.equal(images.images[0], images.photos[0][:, 68:132, 118:182])


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(40, 100, (160, 64)), (100, 40, (64, 160)), (33, 33, (64, 64))]
)
def test_tile_enlarges_a_photo_that_no_crop_would_fit_in(
    tmp_path: Path, width: int, height: int, expected: tuple[int, int]
) -> None:
    write_photos(tmp_path, 10)
    Image.new("L", (width, height), 9).save(tmp_path / "a.png")
    assert load_images(tmp_path, 1, SIZE, fit="tile").photos[0].shape == (1, *expected)


def test_photos_that_would_fill_the_memory_are_65_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path, 12)
    monkeypatch.setattr(dataset, "MAX_TILE_BYTES", 11 * 128 * 128)
    with pytest.raises(CommandError, match=r"first 12 of 12 photos.*GiB.*`fit=crop`") as refused:
        load_images(tmp_path, 1, SIZE, fit="tile")
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_photos_that_just_fit_in_the_memory_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, 12)
    monkeypatch.setattr(dataset, "MAX_TILE_BYTES", 12 * 128 * 128)
    assert len(load_images(tmp_path, 1, SIZE, fit="tile").photos) == 12


def test_a_fit_that_there_is_not_is_no_fault_of_the_files(photos: Path) -> None:
    with pytest.raises(ValueError, match="crop, pad, stretch, tile"):
        load_images(photos, 1, SIZE, fit="squeeze")
