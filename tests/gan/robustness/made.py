"""What the tests of robustness share: photos of scratches whose attributes are known, their masks, and detectors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from models.attributes import Attributes

SIDE = 48


def attributes(
    length: float = 20, contrast: float = 30, direction: float = 0, x: float = 24, y: float = 24, count: int = 1
) -> Attributes:
    """Of an image with a bright line."""
    return Attributes(count, 2 * length, length, 2, direction, contrast, "bright", x, y)


def none_seen() -> Attributes:
    """Of an image in which no defect was found."""
    nan = math.nan
    return Attributes(0, nan, nan, nan, nan, nan, "", nan, nan)


def plate(random: np.random.Generator, length: int = 0, upright: bool = False) -> tuple[NDArray[np.uint8], ...]:
    """A gray plate uint8 `[SIDE, SIDE]` with a bright line of this length somewhere, and its mask, 0 or 255."""
    pixels, mask = random.normal(100, 4, (SIDE, SIDE)), np.zeros((SIDE, SIDE), np.uint8)
    if length:
        along, across = int(random.integers(2, SIDE - length - 1)), int(random.integers(6, SIDE - 6))
        rows, columns = slice(along, along + length), slice(across, across + 2)
        mask[(rows, columns) if upright else (columns, rows)] = 255
        pixels[mask > 0] += 60
    return pixels.clip(0, 255).astype(np.uint8), mask


def write_parts(folder: Path, count: int = 24, good: int = 12, sub_folders: bool = False) -> Path:
    """`bad/`, every other line upright, `good/` and `masks/` in `folder`."""
    random = np.random.default_rng(0)
    for number in range(count):
        pixels, mask = plate(random, int(random.integers(8, 36)), number % 2 == 0)
        name = f"{('upright', 'lying')[number % 2]}/{number:03d}.png" if sub_folders else f"{number:03d}.png"
        for part, image in (("bad", pixels), ("masks", mask)):
            (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / part / name)
    (folder / "good").mkdir(exist_ok=True)
    for number in range(good):
        Image.fromarray(plate(random)[0]).save(folder / "good" / f"{number:03d}.png")
    return folder


MODULE = '''
import sys
import numpy as np

def rows(images):
    """Finds lying lines: the mean of a row is above the others."""
    print("a detector may talk")
    means = images[..., 0].astype(float).mean(2)
    return 1 / (1 + np.exp(-(means.max(1) - np.median(means, 1) - 6)))

def two_columns(images):
    found = rows(images)
    return np.stack([1 - found, found], 1)
two_columns.class_names = ["good", "defect"]

def raises(images):
    raise KeyError("no such layer")

def too_many(images):
    return np.zeros(len(images) + 1)

def images_back(images):
    return images

def words(images):
    return ["defect"] * len(images)

def ragged(images):
    return [[0.1]] + [[0.1, 0.2]] * (len(images) - 1)

def nan(images):
    return np.full(len(images), np.nan)

def logits(images):
    return np.full(len(images), 7.5)

def leaves(images):
    sys.exit(3)

def vandal(images):
    found = rows(images)
    images[:] = 0
    return found

number = 7
'''


def write_onnx(path: Path, floats: bool, batch: int | str = "n", columns: int = 0, names: str = "") -> Path:
    """A model whose score is the mean of an image, 0 to 1; of `columns` the mean in each."""
    kind, shape = (TensorProto.FLOAT, [batch, 1, 8, 8]) if floats else (TensorProto.UINT8, [batch, 8, 8, 1])
    nodes = [] if floats else [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["white"], value_float=255.0),
        helper.make_node("Div", ["cast", "white"], ["x"]),
    ]  # fmt: skip
    nodes += [helper.make_node("ReduceMean", ["images" if floats else "x", "axes"], ["mean"], keepdims=0)]
    if columns:
        nodes += [helper.make_node("Unsqueeze", ["mean", "last"], ["wide"]),
                  helper.make_node("Concat", ["wide"] * columns, ["scores"], axis=1)]  # fmt: skip
    else:
        nodes += [helper.make_node("Identity", ["mean"], ["scores"])]
    graph = helper.make_graph(
        nodes, "detector", [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, columns] if columns else [batch])],
        [helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
         helper.make_tensor("last", TensorProto.INT64, [1], [1])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if names:
        helper.set_model_props(model, {"class_names": names})
    onnx.save(model, path)
    return path
