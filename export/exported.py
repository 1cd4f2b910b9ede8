"""The network as it goes into a file: folded, at the file's precision, with the pixels beside the images."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from export.parity import Images, Inputs
from gan.networks.generator import Generator
from gan.networks.pixels import to_pixels

PRECISIONS = {"float32": torch.float32, "fp16": torch.float16}


class Exported(nn.Module):
    """`images` float32 `[N, C, H, W]` and `pixels` uint8 `[N, H, W, C]` for the generator's inputs, in their order.

    Args:
        generator: it is not changed.
        precision: `float32` or `fp16`, of the weights and of what is computed with them.
    """

    def __init__(self, generator: Generator, precision: str = "float32") -> None:
        super().__init__()
        self.dtype = PRECISIONS[precision]
        self.names = list(generator.inputs)
        self.network = generator.for_export().to(self.dtype)  # folded in float64, the weights are rounded once

    def forward(self, z: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        named = dict(zip(self.names, (z, *others), strict=True))
        images = self.network(**_cast(named, self.dtype)).to(torch.float32)
        return images, to_pixels(images)


def example(generator: Generator) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Inputs to trace with, and which of their sizes may vary: what `torch.export` wants of `forward(z, *others)`."""
    values = tuple(
        torch.zeros(4, *needed.shape, dtype=getattr(torch, needed.dtype))  # 1 is taken for a constant
        for needed in generator.inputs.values()
    )
    batch = {0: torch.export.Dim("batch")}
    return values, {"z": batch, **({"others": (batch,) * (len(values) - 1)} if len(values) > 1 else {})}


def reference(generator: Generator) -> Images:
    """What PyTorch computes in float64."""
    exact = copy.deepcopy(generator).double()
    return lambda inputs: exact(**_cast(_tensors(inputs), torch.float64)).numpy()


def at_precision(generator: Generator, precision: str) -> Images:
    """What PyTorch computes at that precision."""
    if precision == "float32":
        return lambda inputs: generator(**_tensors(inputs)).numpy()
    exported = Exported(generator, precision)
    return lambda inputs: exported(*_tensors(inputs).values())[0].numpy()


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in inputs.items()}


def _cast(inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Real numbers in that precision; whole ones stay."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
