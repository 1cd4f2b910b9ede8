"""The PNG encoder, against Pillow's decoder and the format's own checksums."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zlib_ng import zlib_ng

from jobs.dataset import png
from tests.conftest import scratch
from tests.jobs.conftest import decoded

SHAPES = [(1, 1), (1, 7), (7, 1), (3, 5), (17, 33), (128, 128), (127, 129)]


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, data and checksum of each chunk."""
    position = 8
    while position < len(content):
        (size,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        data = content[position + 8 : position + 8 + size]
        (checksum,) = struct.unpack_from(">I", content, position + 8 + size)
        yield kind, data, checksum
        position += 12 + size


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_pillow_decodes_the_same_pixels(height: int, width: int, channels: int) -> None:
    pixels = noise((3, height, width, channels))
    for image, content in zip(pixels, png.encode(pixels), strict=True):
        np.testing.assert_array_equal(decoded(content), image)


def test_masks_survive_and_take_few_bytes() -> None:
    masks = np.where(noise((3, 12, 20)).repeat(8, axis=1).repeat(8, axis=2) > 200, 255, 0).astype(np.uint8)
    for mask, content in zip(masks, png.encode_masks(masks), strict=True):
        np.testing.assert_array_equal(decoded(content)[..., 0], mask)
        assert len(content) < mask.size / 16  # a bit each, the least of what images are written with, is an eighth


@pytest.mark.parametrize("value", [0, 1, 255])
def test_plain_images_survive(value: int) -> None:
    pixels = np.full((2, 128, 128, 1), value, np.uint8)
    for content in png.encode(pixels):
        assert (decoded(content) == value).all()


def test_steps_between_black_and_white_survive() -> None:
    pixels = np.zeros((1, 64, 64, 3), np.uint8)  # differences of ±255 between rows
    pixels[0, ::2] = 255
    (content,) = png.encode(pixels)
    np.testing.assert_array_equal(decoded(content), pixels[0])


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_mode_is_gray_or_colour_and_with_transparency_where_there_is_one_more(channels: int, mode: str) -> None:
    (content,) = png.encode(noise((1, 8, 8, channels)))
    assert Image.open(io.BytesIO(content)).mode == mode == png.MODES[channels]


def test_view_with_strides_is_encoded_as_seen() -> None:
    pixels = noise((4, 16, 16, 3))[::2, ::-1, 3:, ::-1]
    for image, content in zip(pixels, png.encode(pixels), strict=True):
        np.testing.assert_array_equal(decoded(content), image)


def test_checksums_are_valid() -> None:
    (content,) = png.encode(noise((1, 31, 17, 1)))
    found = list(chunks(content))
    assert [kind for kind, _, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
    assert all(zlib.crc32(kind + data) == checksum for kind, data, checksum in found)


def test_any_inflater_finds_rows_of_the_filter_up() -> None:
    image = noise((1, 31, 17, 3))
    (content,) = png.encode(image)
    (data,) = (data for kind, data, _ in chunks(content) if kind == b"IDAT")
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(31, 1 + 17 * 3)
    assert (rows[:, 0] == 2).all()
    np.testing.assert_array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8), image[0].reshape(31, -1))


def test_encoder_names_the_library_whose_version_decides_the_bytes() -> None:
    assert zlib_ng.ZLIBNG_VERSION in png.ENCODER


def test_plate_with_grain_takes_less_than_its_pixels() -> None:
    (content,) = png.encode(scratch(np.random.default_rng(0))[None, :, :, None])
    assert len(content) < 0.8 * 128 * 128


def test_bytes_do_not_depend_on_the_batch() -> None:
    pixels = noise((9, 32, 32, 1))
    alone = [content for image in pixels for content in png.encode(image[None])]
    assert list(png.encode(pixels)) == alone
    assert len(set(alone)) == 9
