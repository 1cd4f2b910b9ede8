"""A PNG encoder for textures: row filter "up", then deflate with Huffman coding only.

Grain has no repetitions worth searching for, so a match search costs time and saves nothing (BENCHMARKS.md). Masks are
little else than runs of equal values, and written as such: a tenth of the bytes and of the time. Format: W3C PNG
Specification (Third Edition), sections 5 and 9.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng as zlib

ENCODER = f"png-up-huffman, zlib-ng {zlib.ZLIBNG_VERSION}"
"""Names what decides the bytes, for a run's fingerprint."""
MASK_ENCODER = "png-up-rle"
"""Of masks, by the same zlib-ng."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""What Pillow and the manifest call images of so many channels; an even number has transparency as the last."""
_UP = 2


def encode_masks(masks: NDArray[np.uint8]) -> Iterator[bytes]:
    """The PNG files of a batch of masks uint8 `[N, H, W]`, one after the other."""
    return encode(masks[..., None], zlib.Z_RLE)


def encode(pixels: NDArray[np.uint8], strategy: int = zlib.Z_HUFFMAN_ONLY) -> Iterator[bytes]:
    """The PNG files of a batch of images, one after the other.

    Args:
        pixels: uint8 `[N, H, W, C]`, C 1 (gray) or 3 (colour), and one more with transparency.
        strategy: of zlib.
    """
    n, height, width, channels = pixels.shape
    rows = pixels.reshape(n, height, width * channels)
    filtered = np.empty((n, height, width * channels + 1), np.uint8)
    filtered[:, :, 0] = _UP
    filtered[:, 0, 1:] = rows[:, 0]
    np.subtract(rows[:, 1:], rows[:, :-1], out=filtered[:, 1:, 1:])  # modulo 256, as the filter wants it
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    head = _SIGNATURE + _chunk(b"IHDR", header)
    tail = _chunk(b"IEND", b"")
    for image in filtered:
        deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        yield head + _chunk(b"IDAT", deflate.compress(image) + deflate.flush()) + tail


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
