"""Generators of one matrix that can be told to misbehave: 32×32, gray, some 10 KB, made without PyTorch.

Their golden images are their own, so every one of them is what its file says: only its images are bad.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from models.golden import GOLDEN_COUNT, Golden
from models.info import GeneratorInfo
from models.latents import Input, inputs, latents

SIZE, Z_DIM, GOLDEN_SEED = 32, 6, 77
LEVELS = np.array([-0.9, -0.3, 0.3, 0.9])
"""Of brightness, of the classes: before the tanh."""
RARE = 1.5
"""A limit for `masks` that leaves a fifth of them empty."""
_OF_CLASS = [
    helper.make_node("Gather", ["gains", "label"], ["gain"], axis=0),
    helper.make_node("Gather", ["levels", "label"], ["level"], axis=0),
    helper.make_node("Mul", ["product", "gain"], ["own"]),
    helper.make_node("Add", ["own", "level"], ["of_class"]),
]
_OF_MASKS = [
    helper.make_node("MatMul", ["z", "mask_weights"], ["mask_product"]),
    helper.make_node("Sub", ["mask_product", "mask_limit"], ["above"]),
    helper.make_node("Tanh", ["above"], ["mask_flat"]),
    helper.make_node("Reshape", ["mask_flat", "shape"], ["mask_values"]),
    helper.make_node("Greater", ["above", "low"], ["is_inside"]),
    helper.make_node("Where", ["is_inside", "inside", "outside"], ["mask_bytes"]),
    helper.make_node("Reshape", ["mask_bytes", "mask_shape"], ["masks"]),
]


def write_model(
    path: Path, *, gain: float = 0.5, offset: float = 0.0, broken_above: float | None = None, seed: int = 0,
    faults: list[str] | None = None, classes: Sequence[str] = (), collapsed: Sequence[str] = (),
    masks: float | None = None, line: float = 0.0, parts: dict[str, int] | None = None,
    channels: int = 1,
) -> Path:  # fmt: skip
    """Write a generator: images = tanh(pattern · offset + z · weights · gain), of a class lighter than the one before.

    Args:
        path: file to write.
        gain: how much of an image depends on its latent.
        offset: how much of it all images share.
        broken_above: images whose first latent value is larger are not finite.
        seed: of the weights.
        faults: what `gan-train` found in the images; None: nobody asked.
        classes: that its labels tell apart; `class_of` tells the class of an image.
        collapsed: those whose images are hardly different from each other.
        masks: makes masks of squares of 4×4 pixels, each where a normal value is above this limit.
        line: how much of a short level line depends on the first latent value, bright or dark.
        parts: that its latents are said to be made of.
        channels: of the images, all alike: 2 and 4 end with transparency.
    """
    training = {} if faults is None else {"figures": {"faults": faults}}
    random = np.random.RandomState(seed)
    constants = {
        "weights": random.standard_normal((Z_DIM, SIZE * SIZE)) * gain / np.sqrt(Z_DIM),
        "pattern": random.standard_normal(SIZE * SIZE) * offset,
        "one": 1.0,
        "half": 127.5,
        "low": 0.0,
        "high": 255.0,
        "nan": np.nan,
        "limit": 1e9 if broken_above is None else broken_above,
    }
    if line:
        drawn = np.zeros((SIZE, SIZE))
        drawn[15:17, 10:20] = line
        constants["weights"][0] += drawn.ravel()
    if classes:
        constants["gains"] = np.array([[1e-3 if name in collapsed else 1.0] for name in classes])
        constants["levels"] = LEVELS[: len(classes), None] + 0.3 * np.linspace(-1, 1, SIZE * SIZE)
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    shapes = {"shape": [-1, 1, SIZE, SIZE], "first": [0], "per_image": [-1, 1, 1, 1]}
    tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in shapes.items()]
    if masks is not None:
        tensors += _mask_tensors(masks, seed)
    nodes = [
        helper.make_node("MatMul", ["z", "weights"], ["product"]),
        *(_OF_CLASS if classes else []),
        *(_OF_MASKS if masks is not None else []),
        helper.make_node("Add", ["of_class" if classes else "product", "pattern"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["whole"]),
        helper.make_node("Gather", ["z", "first"], ["z0"], axis=1),
        helper.make_node("Greater", ["z0", "limit"], ["is_broken"]),
        helper.make_node("Reshape", ["is_broken", "per_image"], ["broken"]),
        helper.make_node("Where", ["broken", "nan", "whole"], ["one_channel"]),
        helper.make_node("Concat", ["one_channel"] * channels, ["images"], axis=1),
        helper.make_node("Add", ["images", "one"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "half"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["pixels"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", Z_DIM]),
            *([helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])] if classes else []),
        ],
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", channels, SIZE, SIZE]),
            helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIZE, SIZE, channels]),
            *([_MASKS] if masks is not None else []),
        ],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    info = dataclasses.replace(_info(model, classes, channels), training=training, parts=parts or {})
    helper.set_model_props(model, info.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


_MASKS = helper.make_tensor_value_info("masks", TensorProto.UINT8, ["batch", SIZE, SIZE])
_MASK_VALUES = helper.make_tensor_value_info("mask_values", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])


def _mask_tensors(limit: float, seed: int) -> list[TensorProto]:
    squares = np.random.RandomState([seed, 1]).standard_normal((Z_DIM, SIZE // 4, SIZE // 4)) / np.sqrt(Z_DIM)
    weights = squares.repeat(4, axis=1).repeat(4, axis=2).reshape(Z_DIM, SIZE * SIZE)
    values = {
        "mask_weights": weights.astype(np.float32),
        "mask_limit": np.float32(limit),
        "inside": np.uint8(255),
        "outside": np.uint8(0),
        "mask_shape": np.array([-1, SIZE, SIZE], np.int64),
    }
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _info(model: onnx.ModelProto, classes: Sequence[str], channels: int) -> GeneratorInfo:
    has_masks = _MASKS in model.graph.output
    told = onnx.ModelProto()
    told.CopyFrom(model)
    told.graph.output.extend([_MASK_VALUES] if has_masks else [])
    session = onnxruntime.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    needed = {"z": Input("float32", (Z_DIM,))} | ({"label": Input("int64", (), len(classes))} if classes else {})
    names = ["images", "pixels", *(["mask_values"] if has_masks else [])]
    outputs = session.run(names, inputs(GOLDEN_SEED, 0, GOLDEN_COUNT, needed))
    return GeneratorInfo(
        architecture="one matrix",
        precision="float32",
        class_names=list(classes),
        inputs=needed,
        outputs=["images", "pixels", *(["masks"] if has_masks else [])],
        channels=channels,
        height=SIZE,
        width=SIZE,
        weights_sha256="0" * 64,
        assumed={},
        training={},
        versions={},
        parity={},
        golden=Golden.of(GOLDEN_SEED, 1e-4, *outputs).to_dict(),
    )


def class_of(pixels: np.ndarray) -> int:
    """Which class an image `[H, W, 1]` shows of a generator with at most four whose `gain` is at most 0.1."""
    return int(np.abs(np.tanh(LEVELS) - (pixels.mean() / 127.5 - 1)).argmin())


def first_values(seed: int, count: int) -> np.ndarray:
    """The first value of each latent of a run."""
    return latents(seed, 0, count, Z_DIM)[:, 0]
