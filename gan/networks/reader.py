"""PyTorch files read without executing anything in them: our own, and generators trained elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gan.networks.architectures import architecture_of, generator_of
from gan.networks.generator import Generator
from models.errors import CommandError, ExitCode, first_line
from models.log import log

_PLAIN = re.compile(
    r"collections (OrderedDict|Counter)|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch (\w+Storage|Size|device|b?float\d+|u?int\d+)"
)
"""What the pickles of a state dict, and of a training run, name: dense tensors and plain values.

PyTorch's own list of what `weights_only=True` may call is longer, and has calls that fill the memory (`bytearray`).
"""


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """The sha256 of a state dict's names, shapes and values (and batch norm's counters), whatever file they came in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Read a PyTorch file without executing anything in it, in about as much memory as the file has bytes.

    Raises:
        CommandError: 66 no such file; 65 damaged, not a PyTorch file, or one that holds more than dense tensors and
            plain values.
    """
    if not path.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"{path}: {error.strerror or error}") from None
    with file:
        try:
            foreign = next(_foreign_names(file), None)
            file.seek(0)
            content = None if foreign else torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            foreign = "more than tensors and plain values"
        except Exception as error:  # many kinds are raised on damaged files
            raise CommandError(
                ExitCode.BAD_DATA, f"{path} is damaged or no PyTorch file: {first_line(error)}"
            ) from None
    if foreign:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{path} is refused: it holds {_printable(foreign)}, and loading Python objects could run code; "
            "only dense tensors and plain values are read: give a state_dict (torch.save(model.state_dict(), …))",
        )
    if not isinstance(content, dict):
        raise CommandError(ExitCode.BAD_DATA, f"{path} holds a {type(content).__name__}, not a state_dict")
    return _plain(content)


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


def _plain(content: dict[Any, Any]) -> dict[Any, Any]:
    """The items alone: a pickled OrderedDict may bring attributes in place of its methods."""
    return dict(dict.items(content))


def _printable(text: object) -> str:
    """The beginning of what a file says, fit for a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(text)[:300])


def read_training(model: Path, sha256: str) -> dict[str, Any]:
    """What `training_options.json` beside a model says, where it is of weights with this `sha256`; else nothing."""
    options: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        options = json.loads(model.with_name("training_options.json").read_text(encoding="utf-8"))
    if not isinstance(options, dict) or options.get("weights_sha256") != sha256:
        log.info("no training_options.json of these weights beside %s: how they were trained is not known", model)
        return {}
    return options


def load_generator(path: Path, **unseen: Any) -> Generator:
    """The generator in a state dict, in a training checkpoint that has one, or in a `network-snapshot-*.pt`.

    Of a snapshot it is the average, where it has one. See `Generator.shaped_like` for which state dicts are read.

    Raises:
        CommandError: 66 no such file, 65 not one generator of this architecture.
    """
    content = load(path)
    if "snapshot_format" in content:
        average = content.get("g_ema")
        content = {"g": content.get("g") if average is None else average}
    try:
        state = _generator_state(content)
        if sum(tensor.nbytes for tensor in state.values() if isinstance(tensor, Tensor)) > path.stat().st_size:
            raise ValueError("its tensors claim more bytes than the file has")
        return generator_of(state, **unseen)
    except ValueError as error:
        raise CommandError(ExitCode.BAD_DATA, f"{path}: {_printable(error)}") from None


def _generator_state(content: dict[Any, Any]) -> dict[str, Tensor]:
    """`content`, or the one of its values that is the state dict of a DCGAN generator.

    Raises:
        ValueError: there is none, or more than one.
    """
    nested = {key: _plain(value) for key, value in content.items() if isinstance(key, str) and isinstance(value, dict)}
    if not nested:
        return content
    generators: dict[str, dict[Any, Any]] = {}
    reasons: list[str] = []
    for key, state in nested.items():
        try:
            architecture_of(state)
            generators[key] = state
        except ValueError as error:
            reasons.append(f"{key} is {error}")
    if len(generators) > 1:
        raise ValueError(
            f"each of {', '.join(generators)} is a DCGAN generator: give one (torch.save(checkpoint[…], …))"
        )
    if not generators:
        raise ValueError(f"holds no DCGAN generator: {'; '.join(reasons)}")
    return generators.popitem()[1]
