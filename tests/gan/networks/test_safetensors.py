"""Generators in safetensors files, which are written here from the format's own description."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.networks import reader
from tests.gan.networks.conftest import refusal
from tests.gan.networks.made import State, prefixed, settled


def safetensors(tensors: State, metadata: dict[str, str] | None = None) -> bytes:
    """A file of them, written from the format's own description."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
    content = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        offsets = [len(content), len(content) + len(raw)]
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        content += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_generator_in_a_safetensors_file_is_read(tmp_path: Path, state: State, dtype: torch.dtype) -> None:
    other = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    (tmp_path / "netG.safetensors").write_bytes(safetensors(prefixed("netG.", other), {"format": "pt"}))
    found = reader.load_generator(tmp_path / "netG.safetensors").state_dict()
    assert all(torch.equal(found[name], tensor.to(found[name].dtype)) for name, tensor in other.items())


def damaged() -> dict[str, bytes]:
    """safetensors files that are not as the format says, or hold no generator."""
    whole = safetensors(dict(settled().state_dict()))
    one = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}

    def headed(header: object, content: bytes = bytes(4), length: int | None = None) -> bytes:
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + content

    return {
        "cut off in its numbers": whole[:-10],
        "cut off in its header": whole[:100],
        "header that is longer than the file": headed(one, length=10**7),
        "header that is no JSON": struct.pack("<Q", 4) + b"{abc" + bytes(4),
        "offsets beyond its end": headed({"w": {**one["w"], "data_offsets": [4, 8]}}),
        "offsets that run backwards": headed({"w": {**one["w"], "data_offsets": [8, 4]}}),
        "shape of 10 GB": headed({"w": {**one["w"], "shape": [10**10]}}),
        "size below zero": headed({"w": {**one["w"], "shape": [-1, -1]}}),
        "kind that no generator has": headed({"w": {**one["w"], "dtype": "F8_E4M3"}}),
        "entry that is no entry": headed({"w": [1]}),
        "entry without a shape": headed({"w": {"dtype": "F32", "data_offsets": [0, 4]}}),
        "no generator": headed(one),
    }


@pytest.mark.parametrize("fault", damaged())
def test_a_safetensors_file_is_refused_with(tmp_path: Path, fault: str) -> None:
    (tmp_path / "weights.pth").write_bytes(damaged()[fault])
    message = refusal(tmp_path / "weights.pth")
    assert "cut off" in message or "header" in message or "holds" in message or "safetensors" in message
