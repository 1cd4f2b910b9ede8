"""An ONNX generator computed by PyTorch, so that a file can be checked in float64 without its trained network."""

from __future__ import annotations

from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional


class Replay(nn.Module):
    """`images` of a graph as `gan-export` writes them: Reshape, ConvTranspose, Relu, Tanh, and casts of precision.

    Args:
        model: the graph; float16 weights are held as float32, which loses nothing.

    Raises:
        ValueError: the graph holds another operator on the way to `images`.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.steps: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.values = {}
        for tensor in model.graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            self.values[tensor.name] = value.float() if value.is_floating_point() else value
        for node in model.graph.node:
            if node.op_type not in ("Cast", "Reshape", "ConvTranspose", "Relu", "Tanh"):
                raise ValueError(f"operator {node.op_type}")
            settings = {part.name: onnx.helper.get_attribute_value(part) for part in node.attribute}
            self.steps.append((node.op_type, list(node.input), node.output[0], settings))
            if node.output[0] == "images":
                break

    def _apply(self, fn: Any, recurse: bool = True) -> Replay:
        """`double()` and `half()` change the constants too."""
        self.values = {name: fn(value) for name, value in self.values.items()}
        return self

    def forward(self, z: Tensor) -> Tensor:
        """Latents float `[N, z_dim]` to images `[N, C, H, W]` of the dtype that the weights have now."""
        dtype = next(value.dtype for value in self.values.values() if value.is_floating_point())
        values = {**self.values, "z": z.to(dtype)}
        for kind, inputs, output, settings in self.steps:
            x = values[inputs[0]]
            if kind == "ConvTranspose":
                (pad, *_), (stride, *_) = settings.get("pads", [0]), settings.get("strides", [1])
                bias = values[inputs[2]] if len(inputs) > 2 else None
                x = functional.conv_transpose2d(x, values[inputs[1]], bias, stride, pad)
            elif kind == "Reshape":
                x = x.reshape(values[inputs[1]].tolist())
            elif kind != "Cast":
                x = x.relu() if kind == "Relu" else x.tanh()
            values[output] = x
        return values["images"]
