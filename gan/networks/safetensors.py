"""The tensors of a safetensors file: a length, a header in JSON, and the numbers one after the other."""

from __future__ import annotations

import json
import math
import os
import struct
from typing import BinaryIO

import torch
from torch import Tensor

_KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


def is_safetensors(file: BinaryIO) -> bool:
    """Whether it begins like one; it is at its beginning again afterwards."""
    head = file.read(9)
    file.seek(0)
    return len(head) == 9 and head[8:] == b"{" and 2 <= _length(head) <= _LONGEST_HEADER


def read_safetensors(file: BinaryIO) -> dict[str, Tensor]:
    """Its tensors by name, in the order of the header, in about as much memory as the file has bytes.

    Raises:
        ValueError: it is damaged, cut off, or holds a kind of number that no generator has.
    """
    size = os.fstat(file.fileno()).st_size
    length = _length(file.read(8))
    if length > min(size - 8, _LONGEST_HEADER):
        raise ValueError("it is cut off in its header")
    try:
        header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        content = bytearray(file.read())
        return {name: _tensor(content, **entry) for name, entry in entries.items()}
    except (AttributeError, KeyError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"its header is damaged: {error}") from None


def _tensor(content: bytearray, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    begin, end = data_offsets
    if dtype not in _KINDS:
        raise ValueError(f"it holds numbers of the kind {dtype}")
    kind = _KINDS[dtype]
    if any(type(value) is not int or value < 0 for value in (*shape, begin, end)):
        raise ValueError("its header is damaged: a size below zero")
    if end - begin != math.prod(shape) * kind.itemsize or end > len(content):
        raise ValueError("it is cut off, or its header does not fit what follows")
    if begin == end:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(content, dtype=kind, offset=begin, count=math.prod(shape)).reshape(shape)


def _length(head: bytes) -> int:
    return int(struct.unpack("<Q", head[:8])[0]) if len(head) >= 8 else 0
