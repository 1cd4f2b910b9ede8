"""Gray TIFF files of more than 8 bits: samples of any width, packed or not, which Pillow reads only in part.

Pillow's own decoders unpack the compression: it is shown a copy of the header by which a row of samples is a row of
bytes.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, ORIENTATION = 256, 257, 258, 259, 262, 266, 274
CHANNELS, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, FORMAT = 277, 317, 322, 323, 339
_NEEDED = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, 273, CHANNELS, 278, 279, 284, PREDICTOR}
_NEEDED |= {TILE_WIDTH, TILE_HEIGHT, 324, 325, FORMAT}
NEEDED = _NEEDED | {292, 293, ORIENTATION, 320, 338, 347, 512, 530, 531, 532}
"""Tags that the pixels depend on; the others must not refuse a photo."""
_WHOLE_BYTES = {1, 5, 8, 32773, 32946, 34925, 50000}
"""Compressions that give back the bytes they were given: none, LZW, deflate, PackBits, LZMA, Zstandard."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), axis=1)[:, 0]


@dataclass(frozen=True)
class Header:
    """The first directory of a TIFF file.

    Attributes:
        order: `<` or `>`.
        big: whether it is a BigTIFF.
        place: where the directory begins.
        entries: tag to its entry's bytes.
    """

    order: str
    big: bool
    place: int
    entries: dict[int, bytes]

    def value(self, tag: int, default: int = 1) -> int:
        """The first value of a tag that holds integers; `default` where there is none."""
        entry = self.entries.get(tag)
        if entry is None:
            return default
        kind, count = struct.unpack(f"{self.order}H{'Q' if self.big else 'I'}", entry[2 : 12 if self.big else 8])
        letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if letter is None or count * struct.calcsize(letter) > (8 if self.big else 4):
            return default
        return int(struct.unpack_from(self.order + letter, entry, 12 if self.big else 8)[0])

    def with_values(self, changes: dict[int, int], keep: set[int]) -> bytes:
        """The directory's bytes with only the tags in `keep`, and other values in place of those it has."""
        rows = []
        for tag, entry in self.entries.items():
            if tag in changes:
                entry = struct.pack(
                    f"{self.order}HH{'QQ' if self.big else 'II'}", tag, 16 if self.big else 4, 1, changes[tag]
                )
            if tag in keep:
                rows.append(entry)
        count, end = ("Q", "Q") if self.big else ("H", "I")
        return struct.pack(self.order + count, len(rows)) + b"".join(rows) + struct.pack(self.order + end, 0)


@dataclass(frozen=True)
class DeepGray:
    """Gray samples of more than 8 bits.

    Attributes:
        samples: `[H, W]`, any integer or float type, as stored.
        bits: a sample.
        white_is_zero: 0 is white and not black.
        orientation: as EXIF counts, 1 to 8.
    """

    samples: NDArray[Any]
    bits: int
    white_is_zero: bool
    orientation: int


def read_header(file: BinaryIO) -> Header | None:
    """The first directory of a TIFF or BigTIFF, or None where the file is neither or damaged there."""
    file.seek(0)
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        return None
    try:
        version = struct.unpack_from(order + "H", start, 2)[0]
        if version not in (42, 43):
            return None
        big = version == 43
        place = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)[0]
        file.seek(place)
        count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
        size = 20 if big else 12
        rows = file.read(min(count, 4096) * size)
        entries = [rows[at : at + size] for at in range(0, len(rows) - size + 1, size)]
        return Header(order, big, place, {struct.unpack(order + "H", entry[:2])[0]: entry for entry in entries})
    except (struct.error, OverflowError, OSError):
        return None


def is_deep_gray(header: Header) -> bool:
    """Whether it holds one channel of more than 8 bits, in a compression that `read_deep_gray` knows."""
    return (
        header.value(BITS) > 8
        and header.value(CHANNELS) == 1
        and header.value(PHOTOMETRIC, -1) in (0, 1)
        and header.value(COMPRESSION) in _WHOLE_BYTES
    )


def read_deep_gray(content: bytes, header: Header) -> DeepGray:
    """The samples of a file for which `is_deep_gray` holds.

    Raises:
        ValueError: a type of sample or an order of bits that is not read, in a few words.
        Exception: of Pillow, where the file is damaged.
    """
    bits, kind = header.value(BITS), header.value(FORMAT)
    if kind not in (_UNSIGNED, _SIGNED, _FLOAT) or (bits > 32 and bits != 64):
        raise ValueError(f"TIFF samples of {bits} bits and type {kind}: save it with 8 or 16 bits")
    if kind != _UNSIGNED and bits not in (16, 32, 64):
        raise ValueError(f"signed or float TIFF samples of {bits} bits: save it with 8 or 16 bits")
    width, height = header.value(WIDTH, 0), header.value(HEIGHT, 0)
    across = header.value(TILE_WIDTH, 0) or width
    columns = -(-width // across)
    row_bytes = -(-across * bits // 8)
    reverse = header.value(FILL_ORDER) == 2 and header.value(COMPRESSION) == 1
    changes = {WIDTH: columns * row_bytes, BITS: 8, PHOTOMETRIC: 1, PREDICTOR: 1, FORMAT: 1}
    if TILE_WIDTH in header.entries:
        changes[TILE_WIDTH] = row_bytes
    if reverse:  # which Pillow does for compressed files alone
        changes[FILL_ORDER] = 1
    rows = _decompressed(content, header, changes)
    if reverse:
        rows = _REVERSED[rows]
    parts = rows.reshape(height, columns, row_bytes)
    tiles = [_unpacked(np.ascontiguousarray(parts[:, column]), across, header) for column in range(columns)]
    samples = np.concatenate(tiles, axis=1)[:, :width]
    return DeepGray(samples, bits, header.value(PHOTOMETRIC) == 0, header.value(ORIENTATION))


def only_needed(content: bytes, header: Header) -> bytes:
    """The file with one directory, of the tags that its pixels depend on."""
    return _with_directory(content, header, header.with_values({}, NEEDED))


def _with_directory(content: bytes, header: Header, directory: bytes) -> bytes:
    """Never longer than the one that is there, so that it fits in its place."""
    return content[: header.place] + directory + content[header.place + len(directory) :]


def _decompressed(content: bytes, header: Header, changes: dict[int, int]) -> NDArray[np.uint8]:
    """`[H, bytes of a row]`."""
    changed = _with_directory(content, header, header.with_values(changes, _NEEDED))
    with Image.open(io.BytesIO(changed), formats=("TIFF",)) as image:
        if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode != "L":
            raise ValueError("TIFF samples that cannot be unpacked: save it with 8 or 16 bits")
        return np.array(image, dtype=np.uint8)


def _unpacked(rows: NDArray[np.uint8], width: int, header: Header) -> NDArray[Any]:
    """Samples `[H, width]` of rows uint8 `[H, bytes]`, with what the predictor took from them."""
    bits, kind, predictor = header.value(BITS), header.value(FORMAT), header.value(PREDICTOR)
    if predictor not in (1, 2, 3) or (predictor != 1 and bits not in (16, 32, 64)):
        raise ValueError(f"TIFF predictor {predictor} at {bits} bits: save it without compression")
    if predictor == 3:  # the bytes of a row lie apart by weight, the highest first, as differences
        planes = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(len(rows), bits // 8, width)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{bits // 8}")[..., 0]
    if bits not in (16, 32, 64):
        return _integers(rows, width, bits, header.order)
    integers = rows.view(f"{header.order}u{bits // 8}")
    if predictor == 2:
        integers = np.cumsum(integers, axis=1, dtype=f"u{bits // 8}")
        return integers.view({_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[kind] + str(bits // 8))
    return rows.view(header.order + {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[kind] + str(bits // 8))


def _integers(rows: NDArray[np.uint8], width: int, bits: int, order: str) -> NDArray[np.uint64]:
    """Packed samples of up to 32 bits; each row begins with a byte of its own.

    The highest bit comes first in files of either order; only whole bytes of a little-endian one are the other way.
    """
    if bits % 8 == 0 and order == "<":
        rows = rows.reshape(len(rows), width, bits // 8)[:, :, ::-1].reshape(len(rows), -1)
    offset = np.arange(width) * bits
    padded = np.pad(rows, ((0, 0), (0, 4)))
    found = np.zeros((len(rows), width), np.uint64)
    for byte in range(5):  # 32 bits that begin anywhere in a byte end in the fifth at the latest
        found = found << np.uint64(8) | padded[:, offset // 8 + byte]
    return found >> (40 - bits - offset % 8).astype(np.uint64) & np.uint64((1 << bits) - 1)
