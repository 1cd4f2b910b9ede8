"""An ONNX generator computed in any precision, so that a file can be checked in float64 without its trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import Tensor
from torch.nn import functional

from models.errors import CommandError, ExitCode, first_line, memory_error
from models.info import IMAGES, MASKS

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


class Replay:
    """What the network in a graph computes: `images`, and of masks what is compared with the limit.

    By ONNX's own definition of each operator; convolutions and averages are PyTorch's, for their speed.

    Args:
        model: the graph; it is not changed.
        exact: in float64 throughout, whatever precision the graph is in; else as the graph says.

    Raises:
        ValueError: the graph holds an operator that ONNX does not define, or makes masks otherwise than by a limit.
    """

    def __init__(self, model: onnx.ModelProto, exact: bool) -> None:
        self._exact = exact
        wanted = onnx.ModelProto()
        wanted.CopyFrom(model)
        self._names = [IMAGES, *_before_the_limit(wanted.graph)]
        _keep(wanted.graph, self._names)
        if exact:
            _widen(wanted.graph)
        try:
            self._evaluator = ReferenceEvaluator(wanted, new_ops=[Conv, ConvTranspose, AveragePool, GatherElements])
        except Exception as error:  # of many kinds, for an operator that is not there
            raise ValueError(first_line(error)) from None

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Images `[N, C, H, W]`, and masks `[N, 1, H, W]` before they are told from 0 and 255, where there are any.

        Raises:
            CommandError: 76 the graph cannot be computed, 69 too little memory.
        """
        given = {
            name: values.astype(np.float64) if self._exact and values.dtype.kind == "f" else values
            for name, values in inputs.items()
        }
        try:
            outputs: Any = self._evaluator.run(self._names, given)
        except Exception as error:  # of many kinds
            reason = f"parity: the file's own graph cannot be computed in float64: {first_line(error)}"
            raise memory_error(error) or CommandError(ExitCode.CHECK_FAILED, reason) from None
        images, *masks = outputs
        return images, *(values[:, None] for values in masks)


def _before_the_limit(graph: onnx.GraphProto) -> list[str]:
    """The value, `[N, H, W]`, of which `masks` tell where it is greater; none where the graph gives no masks.

    Raises:
        ValueError: `masks` are something else.
    """
    if MASKS not in {value.name for value in graph.output}:
        return []
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(MASKS)
    while node is not None and node.op_type in ("Cast", "Mul"):
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Greater":
        raise ValueError(f"{MASKS} are not made by a limit")
    return [node.input[0]]


def _keep(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Leave what these values depend on."""
    needed, kept = set(names), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)


def _widen(graph: onnx.GraphProto) -> None:
    """Make every real number one of float64; those that are there keep their values."""
    for tensor in graph.initializer:
        tensor.CopyFrom(_wide(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in _FLOATS:
                attribute.i = TensorProto.DOUBLE
            elif attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.CopyFrom(_wide(attribute.t))


def _wide(tensor: TensorProto) -> TensorProto:
    if tensor.data_type not in _FLOATS:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)


class _Convolution(OpRun):
    """By PyTorch: ONNX's own is right, and takes minutes for a generator."""

    op_domain = ""
    transposed = False

    def _run(
        self,
        x: NDArray[Any],
        weight: NDArray[Any],
        bias: NDArray[Any] | None = None,
        auto_pad: str | None = None,
        dilations: Sequence[int] | None = None,
        group: int | None = None,
        kernel_shape: Sequence[int] | None = None,
        output_padding: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[NDArray[Any]]:
        if auto_pad not in (None, "NOTSET") or output_shape is not None:
            raise ValueError("padding that is not written down")
        dims = x.ndim - 2
        begin, end = (list(part) for part in np.split(np.array(pads or [0] * 2 * dims), 2))
        extra = list(output_padding or [0] * dims)
        settings: dict[str, Any] = {
            "bias": None if bias is None else torch.from_numpy(bias.copy()),  # a constant cannot be written to
            "stride": tuple(strides or [1] * dims),
            "dilation": tuple(dilations or [1] * dims),
            "groups": group or 1,
        }
        if begin == end and not any(extra):
            settings["padding"], begin, end = tuple(begin), [0] * dims, [0] * dims
        image, kernel = torch.from_numpy(x), torch.from_numpy(weight.copy())
        if self.transposed:  # padding takes off what the whole result has at its sides
            image = getattr(functional, f"conv_transpose{dims}d")(image, kernel, **settings)
            end = [after - more for after, more in zip(end, extra, strict=True)]
            return (_padded(image, [-before for before in begin], [-after for after in end]).numpy(),)
        return (getattr(functional, f"conv{dims}d")(_padded(image, begin, end), kernel, **settings).numpy(),)


class Conv(_Convolution):
    """The operator of this name."""


class ConvTranspose(_Convolution):
    """The operator of this name."""

    transposed = True


class AveragePool(OpRun):
    """The operator of this name, by PyTorch: ONNX's own goes through the places in Python."""

    op_domain = ""

    def _run(
        self,
        x: NDArray[Any],
        auto_pad: str | None = None,
        ceil_mode: int | None = None,
        count_include_pad: int | None = None,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[NDArray[Any]]:
        usual = auto_pad in (None, "NOTSET") and not ceil_mode and set(dilations or [1]) == {1}
        if not usual or kernel_shape is None or (any(pads or ()) and not count_include_pad):
            raise ValueError("averages of windows that are cut, dilated or padded in a way that is not written down")
        dims = x.ndim - 2
        begin, end = (list(part) for part in np.split(np.array(pads or [0] * 2 * dims), 2))
        pool = getattr(functional, f"avg_pool{dims}d")
        image = _padded(torch.from_numpy(x), begin, end)
        return (pool(image, tuple(kernel_shape), tuple(strides or [1] * dims)).numpy(),)


class GatherElements(OpRun):
    """The operator of this name, by NumPy: ONNX's own takes no more than 64 places along an axis."""

    op_domain = ""

    def _run(self, x: NDArray[Any], places: NDArray[Any], axis: int | None = None) -> tuple[NDArray[Any]]:
        axis = (axis or 0) % x.ndim
        beside = tuple(slice(None if dim == axis else count) for dim, count in enumerate(places.shape))
        return (np.take_along_axis(x[beside], places, axis),)


def _padded(image: Tensor, begin: Sequence[int], end: Sequence[int]) -> Tensor:
    """With that many zeros more at the beginning and the end of each side, or fewer rows where it is negative."""
    if not any((*begin, *end)):
        return image
    sides = zip(reversed(begin), reversed(end), strict=True)  # PyTorch names the last side first
    return functional.pad(image, [int(count) for side in sides for count in side])
