"""What a file is decides how it is read, not its name; and nothing but its pixels decides whether."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gan.photos.decode import FORMATS, decode
from gan.photos.find import SUFFIXES
from gan.photos.read import find_images, load_images
from tests.conftest import write_photos

SIDE = 64
CHILD_PROCESSES = ("Popen", "run", "call", "check_call", "check_output")


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(decode(path).image.convert("L"))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# Which files, and what they are


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_usual_name_of_the_formats_that_are_read_is_found(tmp_path: Path, suffix: str) -> None:
    kind = {"jp": "JPEG", "jf": "JPEG", "ji": "JPEG", "mp": "JPEG", "ti": "TIFF", "bt": "TIFF", "we": "WEBP"}.get(
        suffix[1:3], {"d": "DIB", "b": "BMP"}.get(suffix[1], "PNG")
    )
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        Image.fromarray(noise()).save(tmp_path / name, format=kind)
    assert [path.name for path in find_images(tmp_path)] == [f"a{suffix}", f"b{suffix.upper()}"]
    assert np.abs(pixels(tmp_path / f"a{suffix}").astype(int) - noise()).mean() < 25


def test_a_photo_is_read_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(pixels(tmp_path / "a.jpg"), noise())


def saved(kind: str) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(noise()).convert("RGB").save(path, format=kind)


OTHERS: dict[str, tuple[Callable[[Path], object] | bytes, str]] = {
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n{ } loop\n", "PostScript, not a photo"),
    "PostScript with a preview": (b"\xc5\xd0\xd3\xc6" + bytes(26) + b"%!PS", "PostScript, not a photo"),
    "PDF": (b"%PDF-1.7\n", "PDF, not a photo"),
    "HTML": (b"\n<!DOCTYPE html>\n<html>", "an HTML page, not a photo"),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG, not a photo"),
    "text": ("Schicht 3, Öl auf der Walze\n".encode(), "text, not a photo"),
    "long text": (("ä" * 600).encode()[1:] + b"", "not an image, or damaged at its start"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--0.png\n", "a git-annex pointer"),
    "zip": (b"PK\3\4" + bytes(30), "a zip, not a photo"),
    "video": (b"\0\0\0\x20ftypisom" + bytes(30), "video, not a photo"),
    "WebM": (b"\x1a\x45\xdf\xa3" + bytes(30), "WebM or Matroska video, not a photo"),
    "AVI": (b"RIFF\0\0\0\0AVI LIST", "video, not a photo"),
    "HEIC": (b"\0\0\0\x20ftypheic" + bytes(30), "HEIC: only PNG, JPEG, BMP, TIFF and WebP are read"),
    "CR3": (b"\0\0\0\x20ftypcrx " + bytes(30), "camera raw (CR3): only"),
    "DICOM": (bytes(128) + b"DICM" + bytes(30), "DICOM: only"),
    "zeros": (bytes(4000), "nothing but zero bytes"),
    "damaged PNG": (b"\x89PNG\r\n\x1a\n" + bytes(30), "a PNG that is damaged"),
    "damaged TIFF": (b"II*\0" + b"\xff" * 30, "a TIFF that is damaged or of a rare kind"),
    "GIF": (saved("GIF"), "GIF: only"),
    "AVIF": (saved("AVIF"), "AVIF: only"),
    "JPEG 2000": (saved("JPEG2000"), "JPEG 2000: only"),
    "PCX": (saved("PCX"), "PCX: only"),
    "PPM": (saved("PPM"), "a portable pixmap (PNM): only"),
    "icon": (saved("ICO"), "an icon: only"),
    "TGA": (saved("TGA"), "not an image"),
    "NumPy": (lambda path: np.save(path.open("wb"), noise()), "a NumPy array, not a photo"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["odd.png", "odd.TIF"])
def test_what_is_no_photo_is_named_for_what_it_is(tmp_path: Path, kind: str, name: str) -> None:
    content, said = OTHERS[kind]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        decode(tmp_path / name)


def test_a_tiff_in_lab_is_read_in_its_colours(tmp_path: Path) -> None:
    rgb = np.full((SIDE, SIDE, 3), 128, np.uint8)
    rgb[:, :, 0] += np.arange(SIDE, dtype=np.uint8)[:, None]
    rgb[:, :, 2] -= np.arange(SIDE, dtype=np.uint8)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(rgb), srgb, lab, outputMode="LAB")
    assert image is not None
    image.save(tmp_path / "lab.tif")
    picture = decode(tmp_path / "lab.tif")
    assert (picture.mode, picture.image.mode) == ("LAB", "RGB")
    assert np.abs(np.asarray(picture.image).astype(int) - rgb).max() <= 4  # L*a*b* of 8 bits has steps of its own


def test_no_file_starts_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a program was started")

    for name in CHILD_PROCESSES:
        monkeypatch.setattr(subprocess, name, refuse)
    for name in ("system", "fork", "posix_spawn", "execv"):
        monkeypatch.setattr(os, name, refuse)
    write_photos(tmp_path, 12)
    for number, (content, _) in enumerate(OTHERS.values()):
        if isinstance(content, bytes):
            for suffix in SUFFIXES:
                (tmp_path / f"odd{number}{suffix}").write_bytes(content)
    assert len(load_images(tmp_path, 1, SIDE, skip_bad_files=True).names) == 12
    assert "EPS" not in FORMATS


# What no pixel depends on


def exif(*tags: tuple[int, int, int, int], tail: bytes = b"") -> bytes:
    """An EXIF block of raw entries: tag, type, count, value or place."""
    rows = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + rows + bytes(4) + tail


BROKEN_EXIF = {
    "a resolution of -1/0": exif((274, 3, 1, 6), (282, 10, 1, 38), tail=struct.pack("<ii", -1, 0)),
    "a resolution of 1/0": exif((274, 3, 1, 6), (282, 5, 1, 38), tail=struct.pack("<II", 1, 0)),
    "a value beyond the end": exif((274, 3, 1, 6), (282, 5, 1, 60_000)),
    "details beyond the end": exif((274, 3, 1, 6), (34665, 4, 1, 60_000)),
    "a type that there is not": exif((274, 3, 1, 6), (282, 99, 1, 1)),
    "a number in the place of text": exif((274, 3, 1, 6), (271, 3, 1, 7)),
}


@pytest.mark.parametrize("damage", BROKEN_EXIF)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_broken_tag_refuses_no_photo_and_the_orientation_beside_it_holds(
    tmp_path: Path, damage: str, suffix: str
) -> None:
    marked = np.zeros((SIDE, 96), np.uint8)
    marked[:16, :16] = 255
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(marked).save(tmp_path / f"a.{suffix}", exif=BROKEN_EXIF[damage], **options)
    found = pixels(tmp_path / f"a.{suffix}")
    assert (found.shape, found[0, -1] > 200, found[0, 0] < 50) == ((96, SIDE), True, True)


@pytest.mark.parametrize("content", [b"Exif\0\0", b"Exif\0\0no exif at all", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_exif_that_is_none_refuses_no_photo(tmp_path: Path, content: bytes) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg", exif=content)
    assert pixels(tmp_path / "a.jpg").shape == (SIDE, SIDE)


def png_with(extra: bytes, path: Path) -> None:
    """A PNG with more chunks between its header and its picture, and behind."""
    Image.fromarray(noise()).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + extra + content[33:-12] + extra + content[-12:])


PNG_NOTES = {
    "much text": chunk(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * 2_000_000)),
    "much international text": chunk(b"iTXt", b"notes\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000)),
    "text that does not unpack": chunk(b"zTXt", b"notes\0\0no zlib"),
    "text of an unknown packing": chunk(b"zTXt", b"notes\0\7" + zlib.compress(b"x")),
    "text with a wrong checksum": chunk(b"tEXt", b"notes\0shift 3")[:-1] + b"?",
    "a profile that does not unpack": chunk(b"iCCP", b"name\0\0no zlib"),
    "a profile of 2 MB": chunk(b"iCCP", b"name\0\0" + zlib.compress(b"x" * 2_000_000)),
    "a resolution of 0": chunk(b"pHYs", bytes(9)),
    "short chunks": chunk(b"pHYs", b"") + chunk(b"gAMA", b"") + chunk(b"cHRM", b"1") + chunk(b"sRGB", b""),
    "an animation of no frames": chunk(b"acTL", bytes(8)),
    "an unknown chunk": chunk(b"vpAg", b"abc"),
}


@pytest.mark.parametrize("note", PNG_NOTES)
def test_a_note_in_a_png_refuses_no_photo(tmp_path: Path, note: str) -> None:
    png_with(PNG_NOTES[note], tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), noise())


def test_a_great_many_notes_refuse_no_photo(tmp_path: Path) -> None:
    png_with(40 * chunk(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * 1_000_000)), tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), noise())


def test_a_png_without_its_end_mark_is_whole(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-12])
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), noise())


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(SIDE, SIDE), (61, 67)])
def test_a_jpeg_without_its_end_mark_is_whole_and_one_that_lacks_more_is_not(
    tmp_path: Path, size: tuple[int, int], progressive: bool
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(noise()).resize(size).save(path, quality=90, progressive=progressive)
    whole, expected = path.read_bytes(), pixels(path)
    for lost in (1, 2):
        path.write_bytes(whole[:-lost])
        np.testing.assert_array_equal(pixels(path), expected)
    for lost in (6, 40, 400):
        path.write_bytes(whole[:-lost])
        with pytest.raises(ValueError, match="truncated"):
            decode(path)


JPEG_NOTES = {
    "a comment": b"\xff\xfe\0\6note",
    "a broken profile": b"\xff\xe2" + struct.pack(">H", 18) + b"ICC_PROFILE\0\7\1no",
    "a broken list of pictures": b"\xff\xe2" + struct.pack(">H", 14) + b"MPF\0II*\0\xff\xff\xff\xff",
    "broken Photoshop notes": b"\xff\xed" + struct.pack(">H", 24) + b"Photoshop 3.0\x008BIM\xff\xff\xff\xff",
    "a short Adobe mark": b"\xff\xee\0\4Ad",
    "a short JFIF mark": b"\xff\xe0\0\7JFIF\0",
}


@pytest.mark.parametrize("note", JPEG_NOTES)
def test_a_note_in_a_jpeg_refuses_no_photo(tmp_path: Path, note: str) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg", quality=95)
    content = (tmp_path / "a.jpg").read_bytes()
    expected = pixels(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(content[:2] + JPEG_NOTES[note] + content[2:])
    np.testing.assert_array_equal(pixels(tmp_path / "a.jpg"), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(
    ("tag", "entry"), [(282, (5, 1, 9_999_999)), (34665, (4, 1, 9_999_999)), (34675, (7, 99_999, 9))]
)
def test_a_broken_tag_in_a_tiff_refuses_no_photo(
    tmp_path: Path, tag: int, entry: tuple[int, int, int], compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(noise()).save(path, compression=compression, tiffinfo={274: 6, tag: b"1" if tag == 34675 else 1})
    content = bytearray(path.read_bytes())
    at = content.find(struct.pack("<H", tag), struct.unpack_from("<I", content, 4)[0] + 2)
    struct.pack_into("<HII", content, at + 2, *entry)
    path.write_bytes(content)
    np.testing.assert_array_equal(pixels(path), np.rot90(noise(), -1))


# More than one picture in a file


def test_of_a_jpeg_with_several_pictures_the_first_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("L", (SIDE, SIDE), level) for level in (40, 200))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert abs(int(pixels(tmp_path / "a.jpg")[0, 0]) - 40) <= 2


def test_of_an_animated_png_the_first_picture_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("L", (SIDE, SIDE), level) for level in (40, 200))
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    assert pixels(tmp_path / "a.png")[0, 0] == 40
