"""A trained generator to an ONNX file that was compared with it before it got its name."""

from __future__ import annotations

import copy
import dataclasses
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from export.parity import ParityError, ParityReport, check_parity, default_atol, open_session, working_providers
from gan.checkpoint import weights_sha256
from gan.networks import Generator
from gan.pixels import to_pixels
from models.console import CommandError, ExitCode, writing_error
from models.files import write_atomically
from models.info import GOLDEN_COUNT, GeneratorInfo, Golden
from models.latents import latents
from models.providers import CPU

DEFAULT_OPSET = 18
DEFAULT_BATCHES = (1, 2, 3, 64)


class _WithPixels(nn.Module):
    """The generator with the second output that goes to disk."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        images = self.generator(z)
        return images, to_pixels(images)


def export_onnx(
    generator: Generator,
    path: Path,
    *,
    opset: int = DEFAULT_OPSET,
    batch_check: Sequence[int] = DEFAULT_BATCHES,
    atol: float | None = None,
    training: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> ParityReport:
    """Export with dynamic batch, compare with PyTorch, and only then let the file appear at `path`.

    The file has one input, `z` float32 `[batch, z_dim]`, and two outputs: `images` float32 `[batch, C, H, W]` in
    [-1, 1] and `pixels` uint8 `[batch, H, W, C]`; its metadata is a `models.info.GeneratorInfo`.

    Args:
        generator: exported as in eval mode; it is not changed.
        path: file to write.
        opset: ONNX operator set.
        batch_check: batch sizes to compare at.
        atol: tolerance on `images`; by default derived from PyTorch's own float32 error.
        training: what is known of the training, for the metadata.
        overwrite: replace an existing file.

    Raises:
        ParityError: 76, a comparison fails; nothing is left, an existing file stays.
        CommandError: 76 the file does not run, 73 it exists or cannot be written.
    """
    if path.exists() and not overwrite:
        raise CommandError(ExitCode.CANNOT_WRITE, f"{path} exists: add --overwrite, or name another --out")
    generator = copy.deepcopy(generator).eval().cpu()
    model = build(generator, opset)
    sha256 = weights_sha256(generator.state_dict())
    seed = int(sha256[:16], 16)
    reports: list[ParityReport] = []

    def write(temporary: Path) -> None:
        onnx.save_model(model, str(temporary))
        providers = working_providers(str(temporary))
        report = check_parity(generator, str(temporary), batch_check, seed, atol, providers)
        if not report.passed:
            faults = report.faults()
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise ParityError(f"the ONNX file differs from PyTorch, {path} was not written: {faults[0]}{more}", report)
        info = _info(generator, str(temporary), report, seed, sha256, training or {})
        onnx.helper.set_model_props(model, info.to_metadata())
        onnx.checker.check_model(model, full_check=True)
        onnx.save_model(model, str(temporary))
        _check_whole(str(temporary))
        reports.append(report)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise writing_error(error) from None
    return reports[0]


def build(generator: Generator, opset: int) -> onnx.ModelProto:
    """The bare graph, without metadata and without traces of the machine it was made on."""
    program = torch.onnx.export(
        _WithPixels(generator).eval(),
        (torch.zeros(4, generator.z_dim),),  # not 1, which would be taken for a constant
        dynamo=True,
        input_names=["z"],
        output_names=["images", "pixels"],
        dynamic_shapes={"z": {0: torch.export.Dim("batch")}},
        opset_version=opset,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    if any(node.op_type == "BatchNormalization" for node in graph.node):
        raise CommandError(ExitCode.CHECK_FAILED, f"opset {opset}: a BatchNormalization was left in the graph")
    return model


def _info(
    generator: Generator, model: str, report: ParityReport, seed: int, sha256: str, training: dict[str, Any]
) -> GeneratorInfo:
    z = latents(seed, 0, GOLDEN_COUNT, generator.z_dim)
    images, pixels = open_session(model, CPU).run(["images", "pixels"], {"z": z})
    return GeneratorInfo(
        architecture=f"dcgan, width {generator.width}",
        z_dim=generator.z_dim,
        channels=generator.channels,
        height=generator.image_size,
        width=generator.image_size,
        weights_sha256=sha256,
        training=training,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        parity=dataclasses.asdict(report),
        # A tighter atol was asked of this machine; others round otherwise.
        golden=Golden.of(seed, max(report.atol, default_atol(report.rows)), images, pixels).to_dict(),
    )


def _check_whole(model: str) -> None:
    """Whether the bytes that will stay say what they must and give their golden images."""
    session = open_session(model, CPU)
    info = GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    fault = Golden.from_dict(info.golden).fault(info.z_dim, lambda z: session.run(["images", "pixels"], {"z": z}))
    if fault:
        raise CommandError(ExitCode.CHECK_FAILED, f"the file as written does not give its golden images: {fault}")
