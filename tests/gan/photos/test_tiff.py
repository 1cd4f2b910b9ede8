"""Gray TIFF files of more than 8 bits, packed or not: every sample is the one that was stored."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gan.photos.decode import decode, scales_of
from gan.photos.find import photos_in

WIDTH, HEIGHT = 67, 40
"""An odd width, so that rows of packed samples end within a byte."""


def values(bits: int, signed: bool = False) -> NDArray[Any]:
    """`[H, W]` over the whole range of a type."""
    random = np.random.default_rng(bits)
    found = random.integers(0, 2 ** (bits - signed), (HEIGHT, WIDTH), dtype=np.uint64)
    found[0, 0], found[0, 1] = 0, 2 ** (bits - signed) - 1
    return found


def packed(samples: NDArray[Any], bits: int, order: str) -> bytes:
    """Rows of samples, each beginning with a byte, by way of their digits."""
    rows = []
    for row in samples.tolist():
        if bits % 8 == 0:
            rows.append(b"".join(value.to_bytes(bits // 8, "little" if order == "<" else "big") for value in row))
        else:
            digits = "".join(f"{value:0{bits}b}" for value in row)
            digits += "0" * (-len(digits) % 8)
            rows.append(int(digits, 2).to_bytes(len(digits) // 8, "big"))
    return b"".join(rows)


def write_tiff(
    path: Path, pieces: list[bytes], bits: int, order: str = "<", big: bool = False, **tags: int | tuple[int, ...]
) -> Path:
    """A TIFF of strips or tiles; `tags` are named by their numbers, `t317=2`."""
    layout: dict[int, int | tuple[int, ...]] = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 277: 1, 339: 1}
    layout |= {int(name[1:]): value for name, value in tags.items()}
    tiled = 322 in layout
    if not tiled:
        layout.setdefault(278, HEIGHT)
    head = 16 if big else 8
    places = tuple(head + sum(map(len, pieces[:number])) for number in range(len(pieces)))
    layout |= {324 if tiled else 273: places, 325 if tiled else 279: tuple(map(len, pieces))}
    body = b"".join(pieces)
    rows, extra = [], b""
    count_form, offset_form, size = ("Q", "Q", 8) if big else ("H", "I", 4)
    place = head + len(body)
    end = place + struct.calcsize(count_form) + len(layout) * (20 if big else 12) + size
    for tag, value in sorted(layout.items()):
        several = value if isinstance(value, tuple) else (value,)
        content = struct.pack(f"{order}{len(several)}I", *several)
        if len(content) > size:
            content, extra = struct.pack(order + offset_form, end + len(extra)), extra + content
        rows.append(struct.pack(f"{order}HH{offset_form}", tag, 4, len(several)) + content.ljust(size, b"\0"))
    start = b"II" if order == "<" else b"MM"
    start += struct.pack(order + "HHHQ", 43, 8, 0, place) if big else struct.pack(order + "HI", 42, place)
    directory = struct.pack(order + count_form, len(rows)) + b"".join(rows) + struct.pack(order + offset_form, 0)
    path.write_bytes(start + body + directory + extra)
    return path


def scaled(samples: NDArray[Any], white: float) -> NDArray[np.uint8]:
    return np.round(samples.astype(np.float64) * (255 / white)).astype(np.uint8)


def gray(path: Path) -> NDArray[np.uint8]:
    return np.asarray(decode(path).image)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15, 16, 20, 24, 31, 32])
def test_samples_of_any_width_are_the_ones_that_were_stored(tmp_path: Path, bits: int, order: str) -> None:
    samples = values(bits)
    path = write_tiff(tmp_path / "a.tif", [packed(samples, bits, order)], bits, order)
    np.testing.assert_array_equal(gray(path), scaled(samples, 2**bits - 1 if bits != 31 else 2**31 - 1))


def reversed_bits(content: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in content)


def strips(samples: NDArray[Any], bits: int, rows: int) -> list[bytes]:
    return [packed(samples[start : start + rows], bits, "<") for start in range(0, HEIGHT, rows)]


def tiles(samples: NDArray[Any], bits: int) -> list[bytes]:
    padded = np.pad(samples, ((0, -HEIGHT % 16), (0, -WIDTH % 16)))
    return [
        packed(padded[top : top + 16, left : left + 16], bits, "<")
        for top in range(0, padded.shape[0], 16)
        for left in range(0, padded.shape[1], 16)
    ]


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("layout", ["strips", "tiles", "reversed", "deflated", "deflated tiles", "packbits", "big"])
def test_however_the_file_is_laid_out_the_samples_are_the_same(tmp_path: Path, bits: int, layout: str) -> None:
    samples, path = values(bits), tmp_path / "a.tif"
    whole = [packed(samples, bits, "<")]
    if layout == "strips":
        write_tiff(path, strips(samples, bits, 16), bits, t278=16)
    elif layout == "tiles":
        write_tiff(path, tiles(samples, bits), bits, t322=16, t323=16)
    elif layout == "reversed":
        write_tiff(path, [reversed_bits(whole[0])], bits, t266=2)
    elif layout == "deflated":
        write_tiff(path, [zlib.compress(strip) for strip in strips(samples, bits, 16)], bits, t278=16, t259=8)
    elif layout == "deflated tiles":
        write_tiff(path, [zlib.compress(tile) for tile in tiles(samples, bits)], bits, t322=16, t323=16, t259=8)
    elif layout == "packbits":
        parts = [whole[0][start : start + 128] for start in range(0, len(whole[0]), 128)]
        write_tiff(path, [b"".join(bytes([len(part) - 1]) + part for part in parts)], bits, t259=32773)
    else:
        write_tiff(path, whole, bits, big=True)
    np.testing.assert_array_equal(gray(path), scaled(samples, 2**bits - 1))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "zstd"])
@pytest.mark.parametrize(("kind", "predictor"), [("<u2", 1), ("<u2", 2), ("<f4", 1), ("<f4", 2), ("<f4", 3)])
def test_what_a_predictor_took_from_the_samples_is_given_back(
    tmp_path: Path, compression: str, kind: str, predictor: int
) -> None:
    samples = (values(16) / (65535 if kind == "<f4" else 1)).astype(kind)
    if kind == "<u2":
        Image.fromarray(samples).save(tmp_path / "a.tif", compression=compression, tiffinfo={317: predictor})
    else:
        Image.fromarray(samples).save(tmp_path / "a.tif", compression=compression, tiffinfo={317: predictor})
    np.testing.assert_array_equal(gray(tmp_path / "a.tif"), scaled(samples, 1 if kind == "<f4" else 65535))


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_floats_of_every_length_are_read(tmp_path: Path, kind: str) -> None:
    samples = (values(10) / 1023).astype(kind)
    bits = 8 * samples.itemsize
    path = write_tiff(tmp_path / "a.tif", [samples.tobytes()], bits, kind[0], t339=3)
    np.testing.assert_array_equal(gray(path), scaled(samples, 1))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_where_zero_is_white_the_picture_is_turned_over(tmp_path: Path, bits: int, order: str) -> None:
    samples = values(bits)
    path = write_tiff(tmp_path / "a.tif", [packed(samples, bits, order)], bits, order, t262=0)
    np.testing.assert_array_equal(gray(path), 255 - scaled(samples, 2**bits - 1))


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_packed_photo_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    samples = values(12)
    path = write_tiff(tmp_path / "a.tif", [packed(samples, 12, "<")], 12, t274=orientation)
    np.testing.assert_array_equal(gray(path), np.rot90(scaled(samples, 4095), 2 if orientation == 3 else -1))


@pytest.mark.parametrize(("largest", "white"), [(200, 255), (1000, 1023), (4095, 4095), (5000, 16383), (60000, 65535)])
def test_sixteen_bits_of_which_fewer_are_used_are_scaled_by_those(tmp_path: Path, largest: int, white: int) -> None:
    samples = np.full((HEIGHT, WIDTH), largest, np.uint16)
    samples[0] = 0
    for name in ("a.tif", "a.png"):
        Image.fromarray(samples).save(tmp_path / name)
        np.testing.assert_array_equal(gray(tmp_path / name), scaled(samples, white))


def test_photos_of_one_folder_share_a_scale_and_it_is_told(tmp_path: Path) -> None:
    for name, largest in (("dark", 300), ("bright", 4000)):
        Image.fromarray(np.full((HEIGHT, WIDTH), largest, np.uint16)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.full((HEIGHT, WIDTH), 0.5, np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((HEIGHT, WIDTH), 9, np.uint8)).save(tmp_path / "plain.png")
    with photos_in(tmp_path) as photos:
        scales = scales_of(photos)
        levels = [int(np.asarray(decode(photo, scales).image)[0, 0]) for photo in photos]
    assert levels == [round(4000 * 255 / 4095), round(300 * 255 / 4095), 128, 9]
    assert list(map(str, scales.values())) == [
        "2 photos of 16-bit gray: 0 to 4095 become black to white (the largest sample is 4000)",
        "1 photo of 32-bit float gray: 0 to 1 become black to white (the largest sample is 0.5)",
    ]


@pytest.mark.parametrize("kind", ["<i2", "<i4"])
@pytest.mark.parametrize("least", [0, -1])
def test_signed_samples_are_read_unless_one_is_negative(tmp_path: Path, kind: str, least: int) -> None:
    samples = np.full((HEIGHT, WIDTH), 1000, kind)
    samples[3, 3] = least
    path = write_tiff(tmp_path / "a.tif", [samples.tobytes()], 8 * samples.itemsize, t339=2)
    if least == 0:
        np.testing.assert_array_equal(gray(path), scaled(samples, 1023))
    else:
        with pytest.raises(ValueError, match=r"samples outside 0 to .*: from -1 to 1000"):
            decode(path)


@pytest.mark.parametrize(
    ("bits", "tags", "said"),
    [
        (12, {"t339": 2}, "signed or float TIFF samples of 12 bits"),
        (12, {"t339": 6}, "TIFF samples of 12 bits and type 6"),
        (40, {}, "TIFF samples of 40 bits"),
        (12, {"t259": 8, "t317": 2}, "predictor 2 at 12 bits"),
    ],
)
def test_what_is_not_read_is_refused_in_a_few_words(tmp_path: Path, bits: int, tags: dict[str, int], said: str) -> None:
    content = packed(values(bits), bits, "<")
    path = write_tiff(tmp_path / "a.tif", [zlib.compress(content) if "t259" in tags else content], bits, **tags)
    with pytest.raises(ValueError, match=said):
        decode(path)


def test_a_packed_photo_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    content = packed(values(12), 12, "<")
    path = write_tiff(tmp_path / "a.tif", [content], 12)
    whole = path.read_bytes()
    place = struct.unpack_from("<I", whole, 4)[0]
    moved = whole[:4] + struct.pack("<I", place - len(content) // 2) + whole[8 : 8 + len(content) // 2] + whole[place:]
    path.write_bytes(moved)
    with pytest.raises(ValueError, match=r"^[^\n]{5,150}$"):
        decode(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_of_sixteen_bits_that_uses_only_the_lower_ones_is_refused_and_not_read_as_black(
    tmp_path: Path, suffix: str
) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH, 3)).astype("<u2")
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        write_tiff(path, [samples.tobytes()], 16, t258=(16, 16, 16), t277=3, t262=2, t339=(1, 1, 1))
    else:
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

        def chunk(kind: bytes, content: bytes) -> bytes:
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

        head = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match="save it with 8 bits"):
        decode(path)
