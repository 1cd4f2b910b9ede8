"""A folder of photos to one tensor: every kind of file, and every kind of bad file."""

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

from gan.dataset import find_images, load_images, read_image
from models.console import CommandError, ExitCode
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


def value(path: Path, channels: int = 1) -> list[int]:
    """The one colour of a file as it is read."""
    pixels = read_image(path, channels, SIZE).reshape(-1, channels)
    assert (pixels == pixels[0]).all(), "more than one colour"
    return [int(part) for part in pixels[0]]


def claims(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# What is read


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
def test_a_gray_image_of_the_right_size_comes_unchanged(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}", 1, SIZE)[..., 0], noise())


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_colour_image_of_the_right_size_comes_unchanged(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(noise(3)).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}", 3, SIZE), noise(3))


@pytest.mark.parametrize(
    ("colour", "gray"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((90, 90, 90), 90)]
)
def test_colour_becomes_luma(tmp_path: Path, colour: tuple[int, int, int], gray: int) -> None:
    flat("RGB", colour).save(tmp_path / "a.png")
    assert value(tmp_path / "a.png") == [gray]


def test_gray_becomes_three_equal_channels(tmp_path: Path) -> None:
    flat("L", 77).save(tmp_path / "a.png")
    assert value(tmp_path / "a.png", 3) == [77, 77, 77]


def test_a_photo_keeps_its_colour_at_three_channels(tmp_path: Path) -> None:
    flat("RGB", (200, 60, 20)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(np.subtract(value(tmp_path / "a.jpg", 3), (200, 60, 20))).max() <= 2


@pytest.mark.parametrize(("alpha", "expected"), [(255, 200), (0, 0), (128, 100)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_becomes_black_by_its_share(tmp_path: Path, mode: str, alpha: int, expected: int) -> None:
    flat(mode, (200, 200, 200, alpha) if mode == "RGBA" else (200, alpha)).save(tmp_path / "a.png")
    assert value(tmp_path / "a.png") == [expected]


def test_colour_of_a_transparent_pixel_does_not_shine_through_at_three_channels(tmp_path: Path) -> None:
    flat("RGBA", (255, 100, 50, 0)).save(tmp_path / "a.png")
    assert value(tmp_path / "a.png", 3) == [0, 0, 0]


def palette_image() -> Image.Image:
    """Left half of palette colour 0, right half of colour 1."""
    indices = np.zeros((SIZE, SIZE), np.uint8)
    indices[:, SIZE // 2 :] = 1
    image = Image.fromarray(indices).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    return image


def test_a_palette_image_gets_its_palettes_colours(tmp_path: Path) -> None:
    palette_image().save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", 3, SIZE)
    assert (pixels[0, 0].tolist(), pixels[0, -1].tolist()) == ([10, 20, 30], [200, 100, 50])


def test_a_palettes_transparent_colour_becomes_black(tmp_path: Path) -> None:
    palette_image().save(tmp_path / "a.png", transparency=1)
    pixels = read_image(tmp_path / "a.png", 3, SIZE)
    assert (pixels[0, 0].tolist(), pixels[0, -1].tolist()) == ([10, 20, 30], [0, 0, 0])


def test_a_transparent_colour_without_an_alpha_channel_becomes_black(tmp_path: Path) -> None:
    flat("RGB", (7, 8, 9)).save(tmp_path / "a.png", transparency=(7, 8, 9))
    assert value(tmp_path / "a.png", 3) == [0, 0, 0]


@pytest.mark.parametrize(("bit", "expected"), [(0, 0), (1, 255)])
def test_one_bit_becomes_black_or_white(tmp_path: Path, bit: int, expected: int) -> None:
    flat("1", bit).save(tmp_path / "a.png")
    assert value(tmp_path / "a.png") == [expected]


@pytest.mark.parametrize(("sample", "expected"), [(0, 0), (257 * 100, 100), (257 * 100 + 128, 100), (65535, 255)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path, suffix: str, sample: int, expected: int) -> None:
    Image.fromarray(np.full((SIZE, SIZE), sample, np.uint16)).save(tmp_path / f"a.{suffix}")
    assert value(tmp_path / f"a.{suffix}") == [expected]


def test_sixteen_bits_of_the_other_byte_order_are_read_alike(tmp_path: Path) -> None:
    samples = np.full((SIZE, SIZE), 257 * 100, ">u2")
    Image.frombytes("I;16B", (SIZE, SIZE), samples.tobytes()).save(tmp_path / "a.tif")
    assert value(tmp_path / "a.tif") == [100]


@pytest.mark.parametrize(("sample", "expected"), [(1.0, 255), (0.5, 128), (0.2, 51), (100.0, 100), (257.0 * 90, 90)])
def test_float_samples_are_scaled_from_their_own_range(tmp_path: Path, sample: float, expected: int) -> None:
    Image.fromarray(np.full((SIZE, SIZE), sample, np.float32)).save(tmp_path / "a.tif")
    assert value(tmp_path / "a.tif") == [expected]


@pytest.mark.parametrize("sample", [float("nan"), float("inf"), -1.0, 1e6])
def test_float_samples_that_are_no_light_are_refused(tmp_path: Path, sample: float) -> None:
    samples = np.full((SIZE, SIZE), 0.5, np.float32)
    samples[3, 3] = sample
    Image.fromarray(samples).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="samples"):
        read_image(tmp_path / "a.tif", 1, SIZE)


@pytest.mark.parametrize(("ink", "expected"), [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0)])
def test_ink_of_a_cmyk_jpeg_is_dark_and_its_paper_white(
    tmp_path: Path, ink: tuple[int, int, int, int], expected: int
) -> None:
    flat("CMYK", ink).save(tmp_path / "a.jpg", quality=95)
    assert abs(value(tmp_path / "a.jpg")[0] - expected) <= 2


CORNER = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
"""Where the first stored pixel is seen, (row, column), by EXIF orientation."""


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", CORNER)
def test_a_photo_is_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    marked = np.zeros((SIZE, SIZE), np.uint8)
    marked[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(marked).save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = read_image(tmp_path / f"a.{suffix}", 1, SIZE)[..., 0]
    corners = {(row, column): pixels[-row, -column] for row in (0, 1) for column in (0, 1)}
    assert [place for place, brightness in corners.items() if brightness > 200] == [CORNER[orientation]]


@pytest.mark.parametrize("across", [True, False])
def test_the_centre_of_an_oblong_photo_is_kept(tmp_path: Path, across: bool) -> None:
    oblong = np.zeros((SIZE, 2 * SIZE), np.uint8)
    oblong[:, SIZE // 2 : -SIZE // 2] = noise()
    Image.fromarray(oblong if across else np.ascontiguousarray(oblong.T)).save(tmp_path / "a.png")
    expected = noise() if across else noise().T
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 1, SIZE)[..., 0], expected)


@pytest.mark.parametrize("side", [40, 500])
def test_a_photo_of_another_size_is_resized(tmp_path: Path, side: int) -> None:
    Image.new("L", (side, side), 131).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", 1, SIZE)
    assert pixels.shape == (SIZE, SIZE, 1)
    assert (pixels == 131).all()


def test_fine_grain_is_averaged_and_not_picked_from(tmp_path: Path) -> None:
    stripes = np.zeros((8 * SIZE, 8 * SIZE), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", 1, SIZE)[4:-4, 4:-4].astype(int)
    assert np.abs(pixels - 100).max() <= 2


def test_of_several_pages_the_first_is_taken(tmp_path: Path) -> None:
    flat("L", 10).save(tmp_path / "a.tif", save_all=True, append_images=[flat("L", 200)])
    assert value(tmp_path / "a.tif") == [10]


# What is found


def test_photos_come_as_uint8_with_channels_before_rows(photos: Path) -> None:
    images = load_images(photos, 3, 128).images
    assert (images.dtype, images.shape) == (torch.uint8, (24, 3, 128, 128))


def test_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    write_photos(tmp_path / "a" / "b" / "c", 1)
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == ["a/b/c/scratch_000.png"]


@pytest.mark.parametrize("name", ["a.PNG", "a.Jpg", "a.JPEG", "a.BMP", "a.TIF", "a.TIFF"])
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
    fails_in_one_line(gan_train(spoiled, "--out", tmp_path / "out"), 65, "12 of 24 files", "--skip-bad-files")


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
