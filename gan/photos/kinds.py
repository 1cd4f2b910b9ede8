"""What a file is by its first bytes, whatever its name says: for the line that refuses it."""

from __future__ import annotations

HEAD = 512
"""Bytes to look at."""
READ = "PNG, JPEG, BMP, TIFF and WebP"
"""The formats that are read."""
_READ = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_READ |= {b"II+\0": "TIFF", b"MM\0+": "TIFF"}
_PICTURES = {
    b"GIF8": "GIF", b"8BPS": "Photoshop", b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL", b"II\xbc": "JPEG XR", b"\0\0\1\0": "an icon",
    b"v/1\1": "OpenEXR", b"#?RADIANCE": "Radiance HDR", b"SIMPLE  =": "FITS", b"FUJIFILMCCD-RAW": "camera raw (RAF)",
    b"IIRO": "camera raw (ORF)", b"IIRS": "camera raw (ORF)", b"IIU\0": "camera raw (RW2)", b"FOVb": "camera raw (X3F)",
    b"\0MRM": "camera raw (MRW)", b"qoif": "QOI", b"DDS ": "DDS", b"farbfeld": "farbfeld", b"\x8aMNG": "MNG",
    b"gimp xcf": "GIMP", b"AT&TFORM": "DjVu", b"\xd7\xcd\xc6\x9a": "a Windows metafile",
}  # fmt: skip
_OTHERS = {
    b"%!": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript", b"%PDF": "PDF", b"PK\3\4": "a zip", b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x1a\x45\xdf\xa3": "WebM or Matroska video", b"FLV\1": "video", b"\0\0\1\xba": "MPEG video",
    b"\0\0\1\xb3": "MPEG video", b"OggS": "Ogg", b"\x93NUMPY": "a NumPy array", b"\x89HDF": "HDF5",
    b"SQLite": "a database", b"\x7fELF": "a program", b"MZ": "a program",
    b"\0\5\x16\7": "what a Mac keeps beside a file",
    b"version https://git-lfs": "a Git LFS pointer (git lfs pull brings the photo)",
    b"\xd0\xcf\x11\xe0": "an Office document", b"{\\rtf": "an RTF document",
}  # fmt: skip
_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC",
    b"avif": "AVIF", b"avis": "AVIF", b"crx ": "camera raw (CR3)",
}  # fmt: skip


def refusal(head: bytes) -> str:
    """Why a file that begins so is no photo that can be read, in a few words.

    Args:
        head: its first bytes, up to `HEAD`.
    """
    if not head:
        return "empty file"
    if not head.strip(b"\0"):
        return "nothing but zero bytes at its start: a copy that failed"
    for listed, name in _READ.items():
        if head.startswith(listed):
            return f"a {name} that is damaged or of a rare kind"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP that is damaged or of a rare kind"
    if picture := _picture(head):
        return f"{picture}: only {READ} are read; save it as one of these"
    if (other := _other(head)) is not None:
        return f"{other}, not a photo"
    return "not an image, or damaged at its start"


def _picture(head: bytes) -> str | None:
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[:1] == b"P" and head[1:2] in b"1234567fF" and head[2:3].isspace():
        return "a portable pixmap (PNM)"
    if head[:1] == b"\n" and head[1:2] in b"\0\2\3\4\5" and head[2:3] == b"\1" and head[3:4] in b"\1\2\4\x08":
        return "PCX"
    return next((name for start, name in _PICTURES.items() if head.startswith(start)), None)


def _other(head: bytes) -> str | None:
    if head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"AVI ") or head[4:8] in (b"moov", b"mdat"):
        return "video"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "sound"
    if known := next((name for start, name in _OTHERS.items() if head.startswith(start)), None):
        return known
    if head[:4] == b"RIFF":
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if b"<svg" in text and text.startswith(b"<"):
        return "SVG"
    if text.startswith(b"<?xml"):
        return "XML"
    if b"/annex/objects/" in text:
        return "a git-annex pointer (git annex get brings the photo)"
    return "text" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        text = head[: len(head) - 3 if len(head) == HEAD else None].decode()  # a letter may be cut at the end
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
