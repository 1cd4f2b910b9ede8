"""One photo's file to upright pixels of 8 bits, whatever it is and whatever else is in it."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from gan.photos import tiff
from gan.photos.essence import essence
from gan.photos.find import Photo
from gan.photos.kinds import HEAD, refusal
from gan.photos.scale import Scale, eight_bit, kind_of, range_of, white_of
from models.errors import first_line
from models.times import taken_at

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP")
"""Pillow's decoders that a photo may reach: others start programs (PostScript) or read what nobody would train on."""
MIN_SIDE = 32
"""Pixels; a smaller photo would be mostly interpolation."""
MAX_PIXELS = 100_000_000
"""A file that claims more is taken for a decompression bomb and is not decoded."""
ORIENTATION = 0x0112
_DARK = 15
"""Of 255: more is never reached where 12 bits lie in 16; Pillow gives the upper eight of colour only."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""


@dataclass(frozen=True)
class Picture:
    """A photo, decoded.

    Attributes:
        image: upright, of 8 bits a channel or one bit, without transparency.
        mode: how it was stored, in Pillow's words.
        bits: a channel, as stored.
        see_through: part of it was transparent and became black.
        taken: seconds, by its EXIF; see `models.times.taken_at`.
    """

    image: Image.Image
    mode: str
    bits: int
    see_through: bool = False
    taken: float | None = None


@dataclass(frozen=True)
class _Stored:
    """What a file holds: an image of 8 bits a channel, or deep gray samples."""

    image: Image.Image | None
    deep: tiff.DeepGray | None
    mode: str
    bits: int
    orientation: int
    taken: float | None = None


def read_plain(photo: Photo | Path, channels: int, scales: Mapping[str, Scale] | None = None) -> Image.Image:
    """One photo in its own size, turned upright, of mode L or RGB; the arguments are those of `decode`.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    return decode(photo, scales).image.convert("L" if channels == 1 else "RGB")


def decode(photo: Photo | Path, scales: Mapping[str, Scale] | None = None) -> Picture:
    """One photo; of several pages or frames the first.

    Args:
        photo: of a folder or zip, or a file.
        scales: of the folder's deep gray, from `scales_of`; without one a photo is scaled by its own largest sample.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    with _in_a_few_words(photo):
        stored = _stored(_as_photo(photo))
        if stored.deep is not None:
            image = eight_bit(stored.deep, scales or {})
        elif stored.image is not None:
            image = stored.image
        if stored.bits == 16 and stored.deep is None and max(_highest(image)) <= _DARK:
            raise ValueError("16 bits a channel, of which only the lower ones are used: save it with 8 bits")
        see_through = "transparency" in image.info or image.mode in {"LA", "PA", "La", "RGBa", "RGBA"}
        if see_through:
            rgba = image.convert("RGBA")
            see_through = rgba.getchannel("A").histogram()[255] < rgba.width * rgba.height
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
        turn = _TURNS.get(stored.orientation)
        upright = image if turn is None else image.transpose(turn)
        return Picture(upright, stored.mode, stored.bits, see_through, stored.taken)


def shape_of(photo: Photo | Path) -> tuple[int, int, int]:
    """Channels, 1 for gray or else 3, width and height that a file's header tells.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    with _in_a_few_words(photo):
        found = _as_photo(photo)
        with found.opened() as file:
            header = tiff.read_header(file)
        if header is not None and tiff.is_deep_gray(header):
            return 1, header.value(tiff.WIDTH, 0), header.value(tiff.HEIGHT, 0)
        with Image.open(found.source(), formats=FORMATS) as image:
            _refuse_size(*image.size)
            return (1 if image.mode in {"1", "L", "F"} or image.mode.startswith("I") else 3), *image.size


def upright_size(photo: Photo) -> tuple[tuple[int, int], int]:
    """Width and height that `decode` gives, and the EXIF orientation that it obeys, 1 to 8; by a file's header.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    with _in_a_few_words(photo):
        with photo.opened() as file:
            header = tiff.read_header(file)
        if header is not None and tiff.is_deep_gray(header):
            size, orientation = (
                (header.value(tiff.WIDTH, 0), header.value(tiff.HEIGHT, 0)),
                header.value(tiff.ORIENTATION),
            )
        else:
            with Image.open(photo.source(), formats=FORMATS) as image:
                size, orientation = image.size, 1 if image.format == "TIFF" else _orientation(image)
        _refuse_size(*size)
        return (size[::-1] if orientation in SIDEWAYS else size), orientation


def scales_of(photos: Iterable[Photo]) -> dict[str, Scale]:
    """The scale of each kind of deep gray among the photos, by its name; of most folders there is none.

    Photos that cannot be read are passed over: whoever decodes them says why.
    """
    found: dict[str, tuple[float, float, int]] = {}
    for photo in photos:
        with contextlib.suppress(ValueError), _in_a_few_words(photo):
            deep = _stored(photo).deep if _may_be_deep(photo) else None
            if deep is not None:
                _, largest = range_of(deep)
                before = found.get(kind_of(deep), (0.0, 0.0, 0))
                found[kind_of(deep)] = (
                    max(before[0], white_of(deep, largest)),
                    max(before[1], largest),
                    before[2] + 1,
                )
    return {kind: Scale(kind, white, largest, count) for kind, (white, largest, count) in sorted(found.items())}


def _may_be_deep(photo: Photo) -> bool:
    """By a look at its first bytes, so that other photos are not decoded twice."""
    with photo.opened() as file:
        head = file.read(26)
        if head.startswith(b"\x89PNG"):
            return head[24:26] == b"\x10\0"
        header = tiff.read_header(file)
    return header is not None and header.value(tiff.BITS) > 8 and header.value(tiff.CHANNELS) == 1


def _stored(photo: Photo) -> _Stored:
    source = photo.source()
    with photo.opened() if isinstance(source, Path) else contextlib.nullcontext(source) as file:
        header = tiff.read_header(file)
        if header is not None and tiff.is_deep_gray(header):
            _refuse_size(header.value(tiff.WIDTH, 0), header.value(tiff.HEIGHT, 0))
            file.seek(0)
            deep = tiff.read_deep_gray(file.read(), header)
            mode = "F" if deep.samples.dtype.kind == "f" else "I;16" if deep.bits <= 16 else "I"
            return _Stored(None, deep, mode, deep.bits, deep.orientation)
    try:
        return _by_pillow(source)
    except Exception as error:
        content = essence(photo.read())
        if content is None or isinstance(error, _Refusal):
            raise
        try:
            return _by_pillow(io.BytesIO(content))
        except Exception:
            with contextlib.suppress(Exception):
                if (whole := _without_end_mark(content)) is not None:
                    return whole
            raise error from None  # of the file as it is


def _without_end_mark(content: bytes) -> _Stored | None:
    """A JPEG that is whole but for the two bytes at its end, or None.

    Whatever stands between a whole picture and the mark is passed over; of one that was cut off it becomes pixels.
    """
    if not content.startswith(b"\xff\xd8"):
        return None
    start = content.rstrip(b"\xff")
    found = [_by_pillow(io.BytesIO(start + filling * 64 + b"\xff\xd9")) for filling in (b"", b"\x55", b"\xaa")]
    first, *others = [np.asarray(stored.image) for stored in found]
    return found[0] if all(np.array_equal(first, other) for other in others) else None


class _Refusal(ValueError):
    """Of a photo for what it is, not for damage."""


def _by_pillow(source: Path | BinaryIO) -> _Stored:
    with Image.open(source, formats=FORMATS) as image:
        _refuse_size(*image.size)
        mode, bits = image.mode, _bits(image)
        turned = image.format == "TIFF"  # Pillow turns these itself, and no others
        image.load()
        orientation = 1 if turned else _orientation(image)
        if not mode.startswith(("I", "F")):
            plain = _from_lab(image) if mode == "LAB" else image.copy()
            return _Stored(plain, None, mode, bits, orientation, taken_at(image))
        deep = tiff.DeepGray(np.asarray(image), bits, False, orientation)
        return _Stored(None, deep, mode, bits, orientation, taken_at(image))


def _from_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b* of 8 bits a channel as sRGB, which Pillow's `convert` cannot do."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert found is not None  # it is where the image is not changed in place
    return found


def _refuse_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _Refusal(f"{width}×{height} pixels are more than {MAX_PIXELS:,}")
    if min(width, height) < MIN_SIDE:
        raise _Refusal(f"{width}×{height} pixels, the shorter side needs at least {MIN_SIDE}")


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(ORIENTATION, 1)
        return found if isinstance(found, int) else 1
    except Exception:  # damaged EXIF raises many kinds; the picture is whole
        return 1


def _bits(image: Image.Image) -> int:
    """A channel as stored; Pillow opens 16-bit colour as 8-bit and tells only in what it hands its decoder."""
    if image.mode == "1":
        return 1
    if image.mode in {"I", "F"}:
        return 32
    raw = "".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    return 16 if image.mode.startswith("I;16") or ";16" in raw else 8


def _highest(image: Image.Image) -> list[int]:
    """The largest value of each colour; alpha is none."""
    extrema = image.getextrema()
    pairs: Any = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return [int(high) for (_, high), band in zip(pairs, image.getbands(), strict=True) if band != "A"]


def _as_photo(photo: Photo | Path) -> Photo:
    return Photo(photo.name, photo) if isinstance(photo, Path) else photo


@contextlib.contextmanager
def _in_a_few_words(photo: Photo | Path) -> Iterator[None]:
    """What fails in the block becomes a `ValueError` of a few words: decoders raise many kinds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning; MAX_PIXELS decides
            yield
    except UnidentifiedImageError:
        raise ValueError(refusal(_as_photo(photo).head(HEAD))) from None
    except Image.DecompressionBombError:
        raise ValueError(f"claims more than {MAX_PIXELS:,} pixels") from None
    except ValueError:
        raise
    except OSError as error:  # its text would hold the path, which is said before
        raise ValueError(f"unreadable: {error.strerror or first_line(error)}") from None
    except Exception as error:  # one damaged file must not hide the others
        raise ValueError(f"unreadable: {first_line(error)}") from None
