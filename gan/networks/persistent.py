"""Snapshots of StyleGAN's programs: pickles that bring source code along, read without running anything.

Of a pickled network that is its classes' names, its tensors and its numbers, built by the makers below; the source code
is a text like any other, and left aside.
"""

from __future__ import annotations

import io
import mmap
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.networks.kinds import MAGIC, begins_in_the_old_format
from gan.networks.pickles import ForeignNameError, Named, PickleMachine, Stateless, Unread

_TFLIB = "dnnlib.tflib"
_MARKS = (b"torch_utils.persistence", _TFLIB.encode())
"""What the pickles name of StyleGAN for PyTorch, and for TensorFlow."""
_MOST_INSTRUCTIONS = 150_000
"""The largest snapshots have some 50,000. Each instruction may take some 200 bytes of memory."""
_MOST_OF_A_STORAGE = 100
"""Of each of the five pickles around a storage, which have some 25."""
_MOST_ENTRIES = 20_000
"""Tensors and numbers of a network: a file may hold one dictionary in many places."""
_DEEPEST, _LONGEST = 16, 100
"""Modules within modules, and the characters of a name."""
_VERSION = 1001
"""Of PyTorch's old format, in which each storage is written."""
_STORAGES: dict[str, tuple[str, torch.dtype]] = {
    "DoubleStorage": ("<f8", torch.float64),
    "FloatStorage": ("<f4", torch.float32),
    "HalfStorage": ("<f2", torch.float16),
    "LongStorage": ("<i8", torch.int64),
    "IntStorage": ("<i4", torch.int32),
    "ShortStorage": ("<i2", torch.int16),
    "CharStorage": ("i1", torch.int8),
    "ByteStorage": ("u1", torch.uint8),
    "BoolStorage": ("?", torch.bool),
}
_SCALARS = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "b1": "<?"}
"""Kinds of NumPy's numbers, and how `struct` reads them."""
_TENSORFLOW = (
    "it is a snapshot of StyleGAN for TensorFlow: legacy.py of stylegan2-ada-pytorch makes one of PyTorch of it, which "
    "is read"
)


class PickledNetwork(dict[str, Tensor]):
    """A network of a snapshot: its tensors by the names of a state dict.

    Attributes:
        kind: the name of its class.
        settings: its modules' other values, texts, numbers and None, by such names.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.settings: dict[str, str | float | None] = {}


def is_snapshot(file: BinaryIO) -> bool:
    """Whether a file is a pickle that speaks of StyleGAN; it is at its beginning again afterwards."""
    head = file.read(2)
    file.seek(0)
    if len(head) < 2 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        return False
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return not begins_in_the_old_format(content[:32]) and any(content.find(mark) >= 0 for mark in _MARKS)


def read_snapshot(file: BinaryIO) -> dict[str, PickledNetwork]:
    """The networks in a snapshot by their names, `G`, `D`, `G_ema`, …, in about as much memory as the file has bytes.

    Raises:
        ForeignNameError: it names what no snapshot of a network names.
        ValueError: it is damaged, too large to be one, or holds no network.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # it reads no further than there is
        try:
            found = PickleMachine(_MAKERS, _MOST_INSTRUCTIONS).run(content)
        except ForeignNameError as error:
            if error.name.startswith(_TFLIB):
                raise ValueError(_TENSORFLOW) from None
            raise
    modules = {"G_ema": found} if isinstance(found, _Module) else found
    if not isinstance(modules, dict):
        raise ValueError("it holds no networks")
    networks = {name: _network(module) for name, module in modules.items() if isinstance(module, _Module)}
    if not networks:
        raise ValueError("it holds no networks")
    return networks


@dataclass(frozen=True)
class _Module:
    kind: str
    state: dict[str, Any]


@dataclass(frozen=True)
class _Scalar(Stateless):
    """A kind of NumPy's numbers."""

    code: str


def _module(meta: dict[str, Any]) -> _Module:
    kind, state = meta["class_name"], meta["state"]
    if meta["type"] != "class" or not isinstance(kind, str) or not isinstance(state, dict):
        raise ValueError("a network in it is damaged")
    return _Module(kind, state)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    # Nothing of unknown depth may be hashed or put into a message: it could take for ever.
    if not isinstance(storage, Tensor) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor in it is damaged")
    if any(type(number) is not int or number < 0 for number in (*size, *stride, offset)):
        raise ValueError("a tensor in it is damaged")
    return torch.as_strided(storage, size, stride, offset)  # which stays within the storage, or fails


def _parameter(tensor: Tensor, *_: object) -> Tensor:
    return tensor


def _storage(raw: bytes) -> Tensor:
    """The one storage in a file of PyTorch's old format: float or integer `[N]`, on the bytes themselves."""
    file = io.BytesIO(raw)
    described: list[tuple[str, torch.dtype, int]] = []

    def describe(value: Any) -> None:
        word, kind, _, _, count, view = value
        if word != "storage" or not isinstance(kind, Named) or view is not None or type(count) is not int:
            raise ValueError("a storage in it is damaged")
        described.append((*kind.make(), count))

    def read() -> Any:
        return PickleMachine(_KINDS, _MOST_OF_A_STORAGE, describe).run(file)

    magic, version, system = read(), read(), read()
    read(), read()  # what is described, and the keys
    ((code, dtype, count),) = described
    if magic != MAGIC or version != _VERSION or system["little_endian"] is not True or count < 0:
        raise ValueError("a storage in it is damaged")
    begin = file.tell() + 8
    values: NDArray[Any] = np.frombuffer(raw, code, offset=begin)
    if len(values) != count or struct.unpack("<q", raw[begin - 8 : begin])[0] != count:
        raise ValueError("a storage in it has another length than it says")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nobody may write to it, and nobody does
        return torch.from_numpy(values) if count else torch.empty(0, dtype=dtype)


def _scalar(kind: _Scalar, raw: bytes) -> float:
    if kind.code not in _SCALARS:
        raise ValueError("a number in it is of a kind that no snapshot has")
    (value,) = struct.unpack(_SCALARS[kind.code], raw)
    return value  # type: ignore[no-any-return]  # each of `_SCALARS` is a number


def _kinds() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, kind in _STORAGES.items():
        yield f"torch.{name}", lambda kind=kind: kind


_KINDS = dict(_kinds())
_MAKERS: dict[str, Callable[..., Any]] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _module,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.storage._load_from_bytes": _storage,
    "collections.OrderedDict": lambda: {},
    "dnnlib.util.EasyDict": lambda: {},
    "builtins.set": lambda values: Unread(),
    "numpy.dtype": lambda code, align, copied: _Scalar(code if isinstance(code, str) else "no text"),
    **{
        f"numpy.{core}.{name}": maker
        for core in ("core", "_core")
        for name, maker in (
            ("multiarray.scalar", _scalar),
            ("multiarray._reconstruct", lambda kind, shape, code: Unread()),
            ("numeric._frombuffer", lambda raw, kind, shape, order: Unread()),
        )
    },
    "numpy.ndarray": lambda: Unread(),
}
"""All that a snapshot may name. What makes containers takes no content: it comes by instructions of its own."""


def _network(top: _Module) -> PickledNetwork:
    """The tensors and settings of a module and those within it."""
    network = PickledNetwork(top.kind)
    waiting = [("", top)]
    entries = 0
    while waiting:
        place, module = waiting.pop()
        if place.count(".") > _DEEPEST:
            raise ValueError("its modules lie too deep in each other")
        parts = ((part, module.state.get(part)) for part in ("_parameters", "_buffers", "_modules"))
        inner = [pair for _, values in parts if isinstance(values, dict) for pair in values.items()]
        for name, value in [*inner, *module.state.items()]:
            entries += 1
            if entries > _MOST_ENTRIES or len(name) > _LONGEST:
                raise ValueError("its networks are too large, or their names too long")
            if isinstance(value, Tensor):
                network[place + name] = value
            elif isinstance(value, _Module):
                waiting.append((f"{place}{name}.", value))
            elif not name.startswith("_") and (value is None or isinstance(value, str | int | float)):
                network.settings[place + name] = value
    return network
