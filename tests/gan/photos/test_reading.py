"""One photo as it is read: every kind of file, every way to a shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gan.photos.fit import FITS
from gan.photos.read import read_image
from gan.sizes import sides

SIZE = 64


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


# WebP


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lossless_webp_comes_unchanged(tmp_path: Path, channels: int) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.webp", lossless=True)
    expected = np.asarray(Image.fromarray(noise(3)).convert("L" if channels == 1 else "RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp", channels, SIZE).squeeze(), expected)


def test_a_transparent_part_of_a_webp_becomes_black(tmp_path: Path) -> None:
    flat("RGBA", (200, 200, 200, 0)).save(tmp_path / "a.webp", lossless=True, exact=True)
    assert value(tmp_path / "a.webp") == [0]


def test_of_an_animated_webp_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [flat("RGB", (shade, shade, shade)) for shade in (10, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert value(tmp_path / "a.webp") == [10]


# Ways to a shape


def oblong(width: int, height: int) -> NDArray[np.uint8]:
    """`[height, width]` whose brightness tells the column."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("width", "height"), [(64, 64), (200, 100), (100, 200), (33, 500), (500, 33), (65, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_fit_makes_a_square_of_every_shape(
    tmp_path: Path, fit: str, width: int, height: int, channels: int
) -> None:
    Image.fromarray(oblong(width, height)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", channels, SIZE, fit).shape == (SIZE, SIZE, channels)


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("fit", FITS)
def test_every_size_is_made(tmp_path: Path, fit: str, size: int) -> None:
    Image.fromarray(oblong(90, 70)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 1, size, fit).shape == (size, size, 1)


@pytest.mark.parametrize("fit", FITS)
def test_a_square_of_the_right_size_is_left_alone_by_every_fit(tmp_path: Path, fit: str) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 1, SIZE, fit)[..., 0], noise())


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", ["96x64", "64x96", "320x32"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (200, 100), (33, 500), (500, 33), (96, 64)])
def test_every_fit_makes_a_rectangle_of_every_shape(
    tmp_path: Path, fit: str, size: str, width: int, height: int
) -> None:
    Image.fromarray(oblong(width, height)).save(tmp_path / "a.png")
    wide, high = sides(size)
    assert read_image(tmp_path / "a.png", 1, size, fit).shape == (high, wide, 1)


@pytest.mark.parametrize("fit", FITS)
def test_a_photo_of_the_very_shape_is_left_alone_by_every_fit(tmp_path: Path, fit: str) -> None:
    Image.fromarray(noise()[:32]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 1, "64x32", fit)[..., 0], noise()[:32])


def test_a_rectangle_keeps_what_a_square_would_cut_or_squeeze(tmp_path: Path) -> None:
    Image.fromarray(oblong(200, 100)).save(tmp_path / "a.png")
    crop, pad, stretch = (read_image(tmp_path / "a.png", 1, "128x64", fit)[..., 0] for fit in FITS[:3])
    assert (crop[:, 0].max() <= 4, crop[:, -1].min() >= 251) == (True, True)
    np.testing.assert_array_equal(crop, pad)
    np.testing.assert_array_equal(crop, stretch)


def test_pad_keeps_the_whole_photo_in_the_middle(tmp_path: Path) -> None:
    Image.fromarray(noise()[:32]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 1, SIZE, "pad")[16:48, :, 0], noise()[:32])


def test_pad_fills_with_the_photos_own_grain_and_not_with_stripes(tmp_path: Path) -> None:
    Image.fromarray(noise()[:32]).save(tmp_path / "a.png")
    padded = read_image(tmp_path / "a.png", 1, SIZE, "pad")[..., 0]
    np.testing.assert_array_equal(padded[:16], padded[17:33][::-1])
    assert padded[:16].std(axis=0).min() > 20


def test_stretch_keeps_both_borders_of_an_oblong_photo(tmp_path: Path) -> None:
    Image.fromarray(oblong(200, 100)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", 1, SIZE, "stretch")[..., 0]
    assert (pixels[:, 0].max() <= 4, pixels[:, -1].min() >= 251) == (True, True)


def test_crop_loses_the_borders_of_an_oblong_photo(tmp_path: Path) -> None:
    Image.fromarray(oblong(200, 100)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", 1, SIZE, "crop")[..., 0]
    assert (pixels[:, 0].min() >= 60, pixels[:, -1].max() <= 195) == (True, True)


def test_tile_takes_pixels_as_they_are(tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (3 * SIZE, 5 * SIZE), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "a.png")
    centre = large[SIZE : 2 * SIZE, 2 * SIZE : 3 * SIZE]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 1, SIZE, "tile")[..., 0], centre)
