"""What a file is that is no PyTorch file: by its first bytes, so that the one line about it says what to do."""

from __future__ import annotations

import re
import struct
import zipfile
from typing import BinaryIO

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (rb"\s*<(!doctype html|html|head|body)", "a web page (HTML): the download gave a page, perhaps to sign in"),
    (rb"\s*<\?xml|\s*<svg", "XML: the download gave a page, perhaps an error"),
    (rb"version https://git-lfs", "a pointer of Git LFS: the file itself was not fetched (git lfs pull)"),
    (rb"\x93NUMPY", "a NumPy array: give the generator's state_dict"),
    (rb"\x89HDF\r\n", "an HDF5 file, such as Keras writes: only PyTorch's generators are read"),
    (rb"\x08[\x03-\x1f][\x12\x1a\x22\x2a\x32\x3a]", "an ONNX file: it is exported already"),
    (rb"\x08\x01\x12", "a SavedModel of TensorFlow: only PyTorch's generators are read"),
    (rb"....TFL3", "a model of TensorFlow Lite: only PyTorch's generators are read"),
    (rb"GGUF", "a GGUF file: only PyTorch's generators are read"),
    (rb"\x1f\x8b", "compressed by gzip: unpack it first"),
    (rb"\xfd7zXZ|BZh|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "a packed file: unpack it first"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP", "a picture"),
    (rb"%PDF", "a PDF"),
)
_TAR_MARK = 257
_TENSORFLOW_END = struct.pack("<Q", 0xDB4775248B80FB57)
"""The end of the table in a TensorFlow checkpoint's `.index`."""
MAGIC = 0x1950A86A20F9469CFC6C
"""The number that PyTorch's old format begins with."""


def begins_in_the_old_format(head: bytes) -> bool:
    """Whether a file with these first bytes, some 30 of them, is of PyTorch before 1.6."""
    return MAGIC.to_bytes(10, "little") in head[:32]


def certain_kind(file: BinaryIO) -> str:
    """What the file is, and what to do about it; nothing where it may be a PyTorch or a safetensors file."""
    head = file.read(512)
    file.seek(max(0, file.seek(0, 2) - len(_TENSORFLOW_END)))
    end = file.read()
    file.seek(0)
    if not head:
        return "empty"
    for beginning, kind in _BEGINNINGS:
        if re.match(beginning, head.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE | re.DOTALL):
            return kind
    if head[_TAR_MARK : _TAR_MARK + 5] == b"ustar":
        return "a tar archive: unpack it first"
    if end == _TENSORFLOW_END:
        return "a checkpoint of TensorFlow: only PyTorch's generators are read"
    if head.startswith(b"PK\x03\x04"):
        return _other_zip(file)
    return ""


def likely_kind(file: BinaryIO) -> str:
    """What a file seems to be that could not be read; nothing where it seems to be a PyTorch file that is damaged."""
    file.seek(0)
    head = file.read(512)
    if head.startswith(b"\x80") and not begins_in_the_old_format(head):
        return "a pickle, but not one of torch.save: give a state_dict (torch.save(model.state_dict(), …))"
    if not any(byte < 9 for byte in head):  # binary files of this length have some
        return "text, not weights"
    return ""


def _other_zip(file: BinaryIO) -> str:
    """What a zip holds in place of a pickle of PyTorch's; nothing where that is there, or the zip is cut off."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return ""
    finally:
        file.seek(0)
    inner = {name.rpartition("/")[2].lower() for name in names}
    if "data.pkl" in inner:
        return ""
    if any(name.endswith(".npy") for name in inner):
        return "NumPy arrays (.npz): give the generator's state_dict"
    if "model.weights.h5" in inner:
        return "a model of Keras: only PyTorch's generators are read"
    if any(name.endswith(("models/model.json", "archive_format")) for name in names):
        return "a program of torch.export: give the weights that it was made from"
    for name in sorted(names):
        if name.lower().endswith((".pth", ".pt", ".ckpt", ".safetensors")):
            return f"a zip archive with {name} in it: unpack it first"
    return f"a zip archive of other things ({', '.join(sorted(names)[:3])})" if names else "an empty zip archive"
