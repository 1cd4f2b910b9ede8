"""Snapshots of StyleGAN as its programs pickle them, made by the format's description, without those programs."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)
SOURCE = "raise SystemExit('the source code in a snapshot was run')\n"


class EasyDict(dict[str, Any]):
    """What snapshots keep arguments in."""


class Stub:
    """A module of a network, which pickles as one of a persistent class."""

    def __init__(self, kind: str, state: dict[str, Any]) -> None:
        self.kind, self.state = kind, state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": self.kind, "state": self.state}
        return rebuilt, (meta,), None


def rebuilt(meta: dict[str, Any]) -> object:
    """The function that such a pickle names: it is here for its name, and never called."""
    raise AssertionError(meta)


@contextlib.contextmanager
def named_as_there() -> Iterator[None]:
    """Give the two the names and the modules that snapshots know them by."""
    modules = {
        name: types.ModuleType(name) for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    }
    for what, module, name in (
        (rebuilt, "torch_utils.persistence", "_reconstruct_persistent_obj"),
        (EasyDict, "dnnlib.util", "EasyDict"),
    ):
        what.__module__, what.__qualname__ = module, name
        setattr(modules[module], name, what)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def pickled(content: object, protocol: int = 4) -> bytes:
    """The bytes of a snapshot."""
    with named_as_there():
        return pickle.dumps(content, protocol=protocol)


def state_of(
    *,
    side: int = 32,
    channels: int = 1,
    z_dim: int = 8,
    style: int = 6,
    width: int = 8,
    classes: int = 0,
    form: str = "skip",
    layers: int = 2,
    noisy: bool = True,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Random weights of a StyleGAN2 generator by their names, the same for good."""
    random = np.random.RandomState(seed)
    state: dict[str, Tensor] = {}

    def add(name: str, *shape: int, mean: float = 0.0, deviation: float = 1.0) -> None:
        values = mean + deviation * random.standard_normal(shape)
        state[name] = torch.from_numpy(np.asarray(values, np.float32))

    def add_filter(name: str) -> None:
        taps = torch.tensor(TAPS)
        state[f"{name}.resample_filter"] = torch.outer(taps, taps) / taps.sum() ** 2

    def add_layer(name: str, inputs: int, outputs: int, kernel: int) -> None:
        add(f"{name}.affine.weight", inputs, style)
        add(f"{name}.affine.bias", inputs, mean=1, deviation=0.2)
        add(f"{name}.weight", outputs, inputs, kernel, kernel, deviation=1.0 if kernel == 3 else 0.4)
        add(f"{name}.bias", outputs, deviation=0.1)

    embedded = style if classes else 0
    if classes:
        add("mapping.embed.weight", embedded, classes)
        add("mapping.embed.bias", embedded)
    for layer in range(layers):
        add(f"mapping.fc{layer}.weight", style, style if layer else z_dim + embedded, deviation=100)
        add(f"mapping.fc{layer}.bias", style, deviation=20)
    add("mapping.w_avg", style, deviation=0.3)
    sides = [4 << number for number in range(side.bit_length() - 2)]
    for here in sides:
        block = f"synthesis.b{here}"
        add_filter(block)
        if here == 4:
            add(f"{block}.const", width, 4, 4)
        for conv in ("conv1",) if here == 4 else ("conv0", "conv1"):
            add_layer(f"{block}.{conv}", width, width, 3)
            add_filter(f"{block}.{conv}")
            if noisy:
                add(f"{block}.{conv}.noise_const", here, here)
                add(f"{block}.{conv}.noise_strength", mean=0.2, deviation=0.05)
        if here == side or form == "skip":
            add_layer(f"{block}.torgb", width, channels, 1)
        if here > 4 and form == "resnet":
            add(f"{block}.skip.weight", width, width, 1, 1)
            add_filter(f"{block}.skip")
    return state


def generator(
    state: Mapping[str, Tensor], clamp: float | None = 256, activation: str = "lrelu", rate: float = 0.01
) -> Stub:
    """The network that a snapshot of stylegan2-ada-pytorch holds for these weights."""
    tree = _module("Generator")
    for name, tensor in state.items():
        *path, leaf = name.split(".")
        module = tree
        for part in path:
            inner = module.state["_modules"]
            module = inner.setdefault(part, _module("SynthesisBlock"))
        is_buffer = leaf in ("resample_filter", "noise_const", "w_avg")
        where = module.state["_buffers" if is_buffer else "_parameters"]
        where[leaf] = tensor if is_buffer else nn.Parameter(tensor, requires_grad=False)
        layer = path[-1]
        if layer.startswith("fc"):
            module.state |= {"activation": "lrelu", "weight_gain": np.float64(0.0125), "bias_gain": rate}
        elif layer.startswith("conv"):
            module.state |= {"activation": activation, "conv_clamp": clamp, "up": 1, "act_gain": np.sqrt(2)}
        elif layer == "torgb":
            module.state |= {"conv_clamp": clamp}
    tree.state["_init_kwargs"] = EasyDict(z_dim=8, synthesis_kwargs=EasyDict(conv_clamp=clamp, num_fp16_res=4))
    return tree


def _module(kind: str) -> Stub:
    groups = {name: OrderedDict() for name in ("_parameters", "_buffers", "_modules", "_backward_hooks")}
    return Stub(kind, {"training": False, "_non_persistent_buffers_set": set(), **groups, "_init_args": ()})


def write_snapshot(path: Path, state: Mapping[str, Tensor], protocol: int = 4, **settings: Any) -> Path:
    """A snapshot whose `G_ema` has these weights; its `G` has others, and its `D` is none of ours."""
    other = {name: 2 * tensor for name, tensor in state.items()}
    discriminator = _module("Discriminator")
    discriminator.state["_parameters"]["b4.out.weight"] = nn.Parameter(torch.zeros(1, 2))
    discriminator.state["shape"] = np.array([1, 2])
    content = {
        "training_set_kwargs": {"path": "photos.zip", "use_labels": True, "resolution": 32},
        "G": generator(other, **settings),
        "D": discriminator,
        "G_ema": generator(state, **settings),
        "augment_pipe": None,
    }
    path.write_bytes(pickled(content, protocol))
    return path


def stored(tensor: Tensor) -> bytes:
    """A storage in PyTorch's old format, as a pickled tensor brings it."""
    buffer = io.BytesIO()
    torch.save(
        torch.storage.TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True),
        buffer,
        _use_new_zipfile_serialization=False,
    )
    return buffer.getvalue()
