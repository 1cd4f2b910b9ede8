"""The network as it goes into a file: folded, at the file's precision, with what goes to disk beside the images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.defaults import PRECISION
from gan.networks.generator import Generator
from gan.networks.pixels import to_masks, to_pixels
from models.info import IMAGES, PIXELS

Inputs = Mapping[str, NDArray[Any]]
"""By name, `[N, …]` each."""
Floats = Callable[[Inputs], tuple[NDArray[Any], ...]]
"""Inputs to what a network computes, of any precision: images `[N, C, H, W]`, then masks `[N, 1, H, W]` where it has
them."""
PRECISIONS = {"float32": torch.float32, "fp16": torch.float16}


class Exported(nn.Module):
    """The generator's inputs, in their order, to the outputs of its file.

    These are `images` float32 `[N, C, H, W]`, `pixels` uint8 `[N, H, W, C]` and, of a generator that has them, `masks`
    uint8 `[N, H, W]`, 0 or 255.

    Args:
        generator: it is not changed.
        precision: `float32` or `fp16`, of the weights and of what is computed with them.
    """

    def __init__(self, generator: Generator, precision: str = PRECISION) -> None:
        super().__init__()
        self.dtype = PRECISIONS[precision]
        self.names = list(generator.inputs)
        self.network = generator.for_export().to(self.dtype)  # folded in float64, the weights are rounded once

    def forward(self, z: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        return outputs(*self.floats(dict(zip(self.names, (z, *others), strict=True))))

    def floats(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """What the network computes, images first, in float32."""
        given = self.network(**_cast(inputs, self.dtype))
        return tuple(values.to(torch.float32) for values in (given if isinstance(given, tuple) else (given,)))


def outputs(images: Tensor, *masks: Tensor) -> tuple[Tensor, ...]:
    """What a file gives for what the network computes: `images` as they are, `pixels`, and `masks` of 0 and 255."""
    return images, to_pixels(images), *map(to_masks, masks)


def output_names(generator: Generator) -> list[str]:
    """Of `outputs`, in their order."""
    return [IMAGES, PIXELS, *(name for name in generator.outputs if name != IMAGES)]


def example(generator: Generator) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Inputs to trace with, and which of their sizes may vary: what `torch.export` wants of `forward(z, *others)`."""
    values = tuple(
        torch.zeros(4, *needed.shape, dtype=getattr(torch, needed.dtype))  # 1 is taken for a constant
        for needed in generator.inputs.values()
    )
    batch = {0: torch.export.Dim("batch")}
    return values, {"z": batch, **({"others": (batch,) * (len(values) - 1)} if len(values) > 1 else {})}


def reference(generator: Generator) -> Floats:
    """What PyTorch computes in float64."""
    exact = copy.deepcopy(generator).double()
    return lambda inputs: _arrays(exact.named(**_cast(_tensors(inputs), torch.float64)).values())


def at_precision(generator: Generator, precision: str) -> Floats:
    """What PyTorch computes at that precision."""
    if precision == "float32":
        return lambda inputs: _arrays(generator.named(**_tensors(inputs)).values())
    exported = Exported(generator, precision)
    return lambda inputs: _arrays(exported.floats(_tensors(inputs)))


def _arrays(tensors: Iterable[Tensor]) -> tuple[NDArray[Any], ...]:
    return tuple(tensor.numpy() for tensor in tensors)


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in inputs.items()}


def _cast(inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Real numbers in that precision; whole ones stay."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
