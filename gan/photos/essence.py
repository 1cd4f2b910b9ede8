"""A picture's file without what no pixel depends on: notes, profiles and tags whose damage must not refuse a photo."""

from __future__ import annotations

import io
import struct

from gan.photos import tiff

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}
_JPEG_KEPT = {0xE0: 16, 0xE1: 8, 0xEE: 14}
"""Of the segments for applications: JFIF, EXIF (which way is up), Adobe (which colours); each with its least length."""


def essence(content: bytes) -> bytes | None:
    """The bytes of a PNG, JPEG or TIFF with only what its pixels need, or None for other files.

    Of an animation what is left is the still picture.
    """
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content)
    header = tiff.read_header(io.BytesIO(content))
    return None if header is None else tiff.only_needed(content, header)


def _png(content: bytes) -> bytes:
    parts, at = [_PNG], len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if kind in _PNG_NEEDED:
            parts.append(content[at:end])
        at = end
    return b"".join(parts)


def _jpeg(content: bytes) -> bytes:
    parts, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xDA:  # the picture itself
            break
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        note = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not note or length >= _JPEG_KEPT.get(marker, 1 << 16):
            parts.append(content[at : at + 2 + length])
        at += 2 + length
    return b"".join([*parts, content[at:]])
