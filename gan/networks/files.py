"""Files of weights read without executing anything in them: PyTorch's, in both of its formats, safetensors, and
StyleGAN's snapshots.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from gan.networks.kinds import certain_kind, likely_kind
from gan.networks.persistent import is_snapshot, read_snapshot
from gan.networks.pickles import ForeignNameError
from gan.networks.safetensors import is_safetensors, read_safetensors
from models.errors import CommandError, ExitCode, first_line, memory_error

_PLAIN = re.compile(
    r"collections (OrderedDict|Counter)|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch (\w+Storage|Size|device|b?float\d+|u?int\d+)"
)
"""What the pickles of a state dict, and of a training run, name: dense tensors and plain values.

PyTorch's own list of what `weights_only=True` may call is longer, and has calls that fill the memory (`bytearray`).
"""


def load(path: Path) -> dict[Any, Any]:
    """Read a file of weights without executing anything in it, in about as much memory as the file has bytes.

    Returns:
        What it holds: the tensors of a safetensors file by name; of a snapshot of StyleGAN its networks by name, each a
        `persistent.PickledNetwork`; of a PyTorch file its dictionary, or its list or tuple as a dictionary by place.

    Raises:
        CommandError: 66 no such file; 69 too little memory; 65 damaged, a file of another kind, or one that holds more
            than dense tensors and plain values.
    """
    if not path.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"{path}: {error.strerror or error}") from None
    with file:
        kind = certain_kind(file)
        if kind:
            raise CommandError(ExitCode.BAD_DATA, f"{path} is {kind}")
        foreign: str | None = None
        snapshot = False
        try:
            if is_safetensors(file):
                return {**read_safetensors(file)}
            if snapshot := is_snapshot(file):
                return {**read_snapshot(file)}
            foreign = next(_foreign_names(file), None)
            file.seek(0)
            content = None if foreign else torch.load(file, map_location="cpu", weights_only=True)
        except ForeignNameError as error:
            foreign = error.name
        except pickle.UnpicklingError:
            foreign = "more than tensors and plain values"
        except Exception as error:  # many kinds are raised on damaged files
            kind = "" if snapshot else likely_kind(file)
            unread = "not read as a snapshot of StyleGAN" if snapshot else "damaged or no PyTorch file"
            reason = f"{path} is {kind or f'{unread}: {first_line(error)}'}"
            raise memory_error(error) or CommandError(ExitCode.BAD_DATA, reason) from None
    if foreign:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{path} is refused: it holds {excerpt(foreign)}, and loading Python objects could run code; "
            "only dense tensors and plain values are read: give a state_dict (torch.save(model.state_dict(), …))",
        )
    if isinstance(content, list | tuple):
        return dict(enumerate(content))
    if not isinstance(content, dict):
        raise CommandError(ExitCode.BAD_DATA, f"{path} holds a {type(content).__name__}, not a state_dict")
    return plain(content)


def holds_safetensors(path: Path) -> bool:
    """Whether a file begins like one of safetensors, whatever its name is."""
    with path.open("rb") as file:
        return is_safetensors(file)


def _foreign_names(file: BinaryIO) -> Iterator[str]:
    """What the pickles in a PyTorch file name beside `_PLAIN`.

    Raises:
        ValueError: damaged, or a zip that takes more room than the file when it is read.
        zipfile.BadZipFile: damaged.
    """
    for content in _pickles(file):
        for opcode, name, _ in pickletools.genops(content):
            if opcode.name.endswith("GLOBAL") and not _PLAIN.fullmatch(str(name)):
                yield str(name).replace(" ", ".") if name else "Python objects"


def _pickles(file: BinaryIO) -> Iterator[BinaryIO | bytes]:
    """Everything that PyTorch would unpickle, in either of its formats."""
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)  # before PyTorch 1.6: magic number, protocol, system, content, storage keys, one after the other
        yield from [file] * 5
        return
    room = os.fstat(file.fileno()).st_size
    _check_end(file, room)
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            room -= entry.file_size
            if room < 0 or entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("it is compressed, which no file of torch.save is")
            if entry.orig_filename.lower().endswith("data.pkl"):  # PyTorch, too, finds it in any case
                del entry.CRC  # torch.save can be told to leave it out, and PyTorch does not look at it
                yield archive.read(entry)


def _check_end(file: BinaryIO, size: int) -> None:
    """Hold a zip's end to what torch.save writes: else Python might find another directory in it than PyTorch.

    It is the directory, its zip64 record (56 bytes), where that record is (20 bytes), and the end record (22 bytes).
    """
    file.seek(max(0, size - 98))
    record, length, start, locator, place, end = struct.unpack("<4s36xQQ4s4xQ4x4s18x", file.read().rjust(98))
    marks = (record, locator, end)
    if marks != (b"PK\6\6", b"PK\6\7", b"PK\5\6") or not start + length == place == size - 98:
        raise ValueError("it is cut off, or was packed by another program than torch.save")


def plain(content: dict[Any, Any]) -> dict[Any, Any]:
    """The items alone: a pickled OrderedDict may bring attributes in place of its methods."""
    return dict(dict.items(content))


def excerpt(text: object) -> str:
    """The beginning of what a file says, fit for a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(text)[:300])
