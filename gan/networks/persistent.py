"""Snapshots of StyleGAN's programs: pickles that bring source code along, read without running anything.

A pickle is a list of instructions for a machine with a stack, and Python's own machine calls what a file names. The one
here follows the instructions that build plain values; a name stands for one of the makers below, which take their
arguments apart and call nothing, or the file is refused. Of a pickled network that is its classes' names, its tensors
and its numbers; the source code is a text like any other, and left aside.
"""

from __future__ import annotations

import io
import mmap
import pickletools
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MARKS = (b"torch_utils.persistence", b"dnnlib.tflib")
"""What the pickles name of StyleGAN for PyTorch, and for TensorFlow."""
_MOST_INSTRUCTIONS = 150_000
"""The largest snapshots have some 50,000. Each instruction may take some 200 bytes of memory."""
_MOST_OF_A_STORAGE = 100
"""Of each of the five pickles around a storage, which have some 25."""
_MOST_ENTRIES = 20_000
"""Tensors and numbers of a network: a file may hold one dictionary in many places."""
_DEEPEST, _LONGEST = 16, 100
"""Modules within modules, and the characters of a name."""
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""What PyTorch's old format begins with, in which each storage is written."""
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


class ForeignNameError(ValueError):
    """The file names something that nothing here makes; `name` says what."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


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
        of_torch_save = content.find(_MAGIC.to_bytes(10, "little"), 0, 32) >= 0
        return not of_torch_save and any(content.find(mark) >= 0 for mark in _MARKS)


def read_snapshot(file: BinaryIO) -> dict[str, PickledNetwork]:
    """The networks in a snapshot by their names, `G`, `D`, `G_ema`, …, in about as much memory as the file has bytes.

    Raises:
        ForeignNameError: it names what no snapshot of a network names.
        ValueError: it is damaged, too large to be one, or holds no network.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # it reads no further than there is
        found = _Machine(_MAKERS, _MOST_INSTRUCTIONS).run(content)
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


class _Unread:
    """What no network needs, such as NumPy's arrays."""


@dataclass(frozen=True)
class _Scalar:
    """A kind of NumPy's numbers."""

    code: str


_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": _Unread
}  # fmt: skip


class _Machine:
    """Follows the instructions of a pickle (`pickletools` tells what each of them does).

    Args:
        makers: what a name stands for.
        most: instructions.
        persistent: makes what stands outside the pickle, of a description.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[..., Any]],
        most: int,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._makers, self._most, self._persistent = makers, most, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """The value that the pickle builds; the file is behind it afterwards."""
        for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            if number >= self._most:
                raise ValueError("it has too many instructions")
            self._follow(instruction.name, argument)
        (value,) = self._stack
        return value

    def _follow(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "POP":
                self._last(1)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "NONE":
                stack.append(argument)
            case (
                "BINUNICODE"
                | "SHORT_BINUNICODE"
                | "BINUNICODE8"
                | "BINBYTES"
                | "SHORT_BINBYTES"
                | "BINBYTES8"
                | "BYTEARRAY8"
            ):
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                stack.append(_EMPTY[name]())
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._last(int(name[-1]))))
            case "APPEND" | "APPENDS" | "ADDITEMS":
                self._append(self._last(1) if name == "APPEND" else self._since_mark())
            case "SETITEM" | "SETITEMS":
                self._set(self._last(2) if name == "SETITEM" else self._since_mark())
            case "MEMOIZE" | "BINPUT" | "LONG_BINPUT":
                self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(self._maker(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._maker(*self._last(2)))
            case "REDUCE" | "NEWOBJ":
                maker, arguments = self._last(2)
                if not isinstance(maker, _Maker) or not isinstance(arguments, tuple):
                    raise ForeignNameError("a call")
                stack.append(maker.make(*arguments))
            case "BUILD":
                self._last(1)  # of dictionaries the attributes, and of NumPy's kinds and arrays what is in them
                if not isinstance(stack[-1], dict | _Unread | _Scalar):
                    raise ForeignNameError("an object with a state of its own")
            case "BINPERSID" if self._persistent is not None:
                stack.append(self._persistent(*self._last(1)))
            case _:
                raise ForeignNameError(f"a pickle's {name}")

    def _last(self, count: int) -> list[Any]:
        """Take them off the stack."""
        begin = len(self._stack) - count
        if begin < (self._marks[-1] if self._marks else 0):
            raise ValueError("an instruction lacks its values")
        taken = self._stack[begin:]
        del self._stack[begin:]
        return taken

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        taken = self._stack[mark:]
        del self._stack[mark:]
        return taken

    def _append(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)
        elif not isinstance(self._stack[-1], _Unread):
            raise ValueError("values are added to what is no list")

    def _set(self, values: list[Any]) -> None:
        target, keys = self._stack[-1], values[::2]
        # Only texts: what else may be a key can be made to take very long, or too deep, when it is hashed.
        if not isinstance(target, dict) or not all(isinstance(key, str) for key in keys):
            raise ValueError("a dictionary has keys that are no names")
        target.update(zip(keys, values[1::2], strict=True))

    def _maker(self, module: Any, name: Any) -> _Maker:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ForeignNameError("a name that is no text")
        maker = self._makers.get(f"{module}.{name}")
        if maker is None:
            tensorflow = module.startswith("dnnlib.tflib")
            raise ValueError(_TENSORFLOW) if tensorflow else ForeignNameError(f"{module}.{name}")
        return _Maker(maker)


@dataclass(frozen=True)
class _Maker:
    make: Callable[..., Any]


_TENSORFLOW = (
    "it is a snapshot of StyleGAN for TensorFlow: legacy.py of stylegan2-ada-pytorch makes one of PyTorch of it, which "
    "is read"
)


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
        if word != "storage" or not isinstance(kind, _Maker) or view is not None or type(count) is not int:
            raise ValueError("a storage in it is damaged")
        described.append((*kind.make(), count))

    def read() -> Any:
        return _Machine(_KINDS, _MOST_OF_A_STORAGE, describe).run(file)

    magic, version, system = read(), read(), read()
    read(), read()  # what is described, and the keys
    ((code, dtype, count),) = described
    if magic != _MAGIC or version != _VERSION or system["little_endian"] is not True or count < 0:
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
    "builtins.set": lambda values: _Unread(),
    "numpy.dtype": lambda code, align, copied: _Scalar(code if isinstance(code, str) else "no text"),
    **{
        f"numpy.{core}.{name}": maker
        for core in ("core", "_core")
        for name, maker in (
            ("multiarray.scalar", _scalar),
            ("multiarray._reconstruct", lambda kind, shape, code: _Unread()),
            ("numeric._frombuffer", lambda raw, kind, shape, order: _Unread()),
        )
    },
    "numpy.ndarray": lambda: _Unread(),
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
