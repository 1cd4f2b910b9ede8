"""A trained generator to an ONNX file that was compared with it before it got its name."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from export.defaults import OPSET, PRECISION
from export.exported import Exported, example, output_names
from export.gate import write_proven
from export.parity import ParityReport
from export.sessions import TF32, onnx_runs
from gan.networks.generator import FOLDED, Generator
from models.errors import CommandError, ExitCode
from models.info import IMAGES, MASKS, PIXELS, GeneratorInfo
from models.latents import LABEL, LATENT

MEANINGS = {
    LATENT: "latents, float32, standard normal",
    LABEL: "labels, int64, from 0 on, in the order of `gan.class_names`: what an image shows",
    IMAGES: "float32 in [-1, 1], what the trained network gives",
    PIXELS: "uint8, round-half-even(clip((images + 1) * 127.5, 0, 255)), height before width before channels",
    MASKS: "uint8, 255 where the image shows a defect, else 0, height before width",
}
"""Of the inputs and the outputs, as the file says it."""


def export_onnx(
    generator: Generator,
    path: Path,
    *,
    opset: int = OPSET,
    precision: str = PRECISION,
    batch_check: Sequence[int] | None = None,
    atol: float | None = None,
    training: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> ParityReport:
    """Export with dynamic batch, compare with PyTorch, and only then let the file appear at `path`.

    The file has the generator's inputs, `z` float32 `[batch, z_dim]` first, and these outputs: `images` float32
    `[batch, C, H, W]` in [-1, 1], `pixels` uint8 `[batch, H, W, C]` and, of a generator that has them, `masks` uint8
    `[batch, H, W]`, 0 or 255; its metadata is a `models.info.GeneratorInfo`.

    Args:
        generator: exported as in eval mode; it is not changed.
        path: file to write.
        opset: ONNX operator set.
        precision: `float32` or `fp16`, of the weights and of what is computed with them.
        batch_check: batch sizes to compare at; None: those of `export.defaults.BATCHES` whose maps fit into memory.
        atol: tolerance on `images`, and on masks before they are told from 0 and 255; by default derived from
            PyTorch's own error at that precision.
        training: what is known of the training, for the metadata.
        overwrite: replace an existing file.

    Returns:
        Every comparison that was made; all of them passed.

    Raises:
        ParityError: 76, a comparison fails; nothing is left, an existing file stays.
        CommandError: 76 the file does not run, 73 it exists or cannot be written.
        ValueError: no batch size.
    """
    generator = copy.deepcopy(generator).eval().float().cpu()
    model = build(generator, opset, precision)

    def save(temporary: Path, info: GeneratorInfo | None) -> None:
        if info is not None:
            onnx.helper.set_model_props(model, info.to_metadata())
            onnx.checker.check_model(model, full_check=True)
        onnx.save_model(model, str(temporary))

    return write_proven(
        generator,
        path,
        save,
        lambda temporary: onnx_runs(str(temporary), precision),
        precision=precision,
        batch_check=batch_check,
        atol=atol,
        training=training or {},
        overwrite=overwrite,
        reported=(TF32,),
    )


def build(generator: Generator, opset: int, precision: str = PRECISION) -> onnx.ModelProto:
    """The bare graph, without metadata and without traces of the machine it was made on."""
    exported = Exported(generator, precision).eval()
    values, shapes = example(generator)
    program = torch.onnx.export(
        exported,
        values,
        dynamo=True,
        input_names=list(generator.inputs),
        output_names=output_names(generator),
        dynamic_shapes=shapes,
        opset_version=opset,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    left = sorted(FOLDED.intersection(node.op_type for node in graph.node))
    if left:
        raise CommandError(ExitCode.CHECK_FAILED, f"opset {opset}: {', '.join(left)} was left in the graph")
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    _name_by_position(graph, {f"network.{name}": name for name in exported.network.state_dict()})
    graph.name = "generator"
    model.doc_string = "Makes images of surfaces from latents; see the metadata that begin with `gan.`."
    for value in (*graph.input, *graph.output):
        value.doc_string = MEANINGS.get(value.name, "float32, standard normal")
    return model


def _name_by_position(graph: onnx.GraphProto, weights: Mapping[str, str]) -> None:
    """Give nodes, values and constants names that do not depend on the exporter's counters; weights get theirs."""
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    names[""] = ""  # an input that a node may have, and has not
    for at, tensor in enumerate(graph.initializer):
        names[tensor.name] = weights.get(tensor.name, f"constant_{at}")
        tensor.name = names[tensor.name]
    for at, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{at}"
        for number, output in enumerate(node.output):
            names.setdefault(output, f"{node.name}_{number}" if len(node.output) > 1 else node.name)
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for value in graph.value_info:
        value.name = names[value.name]
