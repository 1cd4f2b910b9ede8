"""A file checked again on this machine: its form, its golden images, and the whole comparison with PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
from onnx import TensorProto

from export.defaults import BATCHES, SMALL_BATCHES
from export.exported import at_precision, reference
from export.gate import check_golden, refuse_faults
from export.parity import ParityReport, check_parity
from export.reading import PROGRAM, load_onnx
from export.replay import Replay
from export.sessions import TF32, onnx_runs
from export.torch_exporter import ProgramFile, program_runs
from gan.networks.generator import FOLDED, Generator
from gan.networks.reader import load_generator, weights_sha256
from models.errors import CommandError, ExitCode, first_line
from models.info import IMAGES, MASKS, PIXELS, GeneratorInfo

_KINDS = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
NEWEST_IR = 10
"""Of ONNX's file format: the newest that ONNX Runtime 1.20 reads."""


def verify_file(path: Path, model: Path | None = None, key: str = "") -> ParityReport:
    """Check an exported file as the exporter did, on this machine's runtimes and on latents of its own.

    Without `model` the reference is the file's own graph in float64 (of a `.pt2` its weights), and the golden images
    in it stand for the network it was made from.

    Args:
        path: a file of `gan-export`.
        model: the `generator_model.pth` or snapshot that it was made from.
        key: where in `model` the generator lies, if there are several.

    Returns:
        Every comparison that was made; all of them passed.

    Raises:
        CommandError: 66 no such file; 65 not a file of gan-export; 76 it is not as it should be, was made from other
            weights, or its images differ.
    """
    if not path.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}")
    if path.suffix == PROGRAM:
        program = ProgramFile(path)
        generator, info = program.generator(), program.info
        exact, own = reference(generator), at_precision(generator, info.precision)
        runs = program_runs(program.content)
    else:
        graph, info = load_onnx(path)
        faults = _faults(graph, info)
        if faults:
            raise CommandError(ExitCode.CHECK_FAILED, f"{path} is not as gan-export writes it: {'; '.join(faults)}")
        try:
            exact, own = Replay(graph, exact=True), Replay(graph, exact=False)
        except ValueError as error:
            raise CommandError(ExitCode.CHECK_FAILED, f"{path} is not as gan-export writes it: {error}") from None
        runs = onnx_runs(str(path), info.precision)
    try:
        ParityReport.of(info.parity)
    except ValueError as error:
        raise CommandError(ExitCode.CHECK_FAILED, f"{path} is not as gan-export writes it: {error}") from None
    for runtime, run in runs.items():
        if runtime != TF32:
            check_golden(path, info, runtime, run)
    if model is not None:
        generator = _generator_of(model, key, info, path)
        exact, own = reference(generator), at_precision(generator, info.precision)
    report = check_parity(
        exact,
        own,
        runs,
        needed=info.inputs,
        seed=(info.golden["seed"] + 1) % 2**64,  # other latents than at the export
        precision=info.precision,
        batches=_batches(info),
        reported=(TF32,),
    )
    refuse_faults(report, f"{path} does not give PyTorch's images here")
    return report


def _batches(info: GeneratorInfo) -> list[int]:
    """Those of `BATCHES` that are no larger than what was compared at the export: of large networks, what fits."""
    usual = re.findall(r"batch (\d+)", " ".join(str(row["latents"]) for row in info.parity["rows"]))
    most = max(SMALL_BATCHES, *map(int, usual), 0)
    return [size for size in BATCHES if size <= most]


def _faults(model: onnx.ModelProto, info: GeneratorInfo) -> list[str]:
    """What of the file's form is not as `gan-export onnx` writes it."""
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        return ["its weights lie in another file"]
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [f"onnx.checker refuses it: {first_line(error)}"]
    faults = []
    if model.ir_version > NEWEST_IR:
        faults.append(f"IR version {model.ir_version}, at most {NEWEST_IR}")
    if any(entry.domain for entry in model.opset_import) or model.functions:
        faults.append("operators that are not ONNX's own")
    faults += [f"a {kind} that is not folded" for kind in sorted(FOLDED & {node.op_type for node in model.graph.node})]
    real = {TensorProto.FLOAT, TensorProto.FLOAT16}
    kinds = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1}
    if kinds & real != {TensorProto.FLOAT16 if info.precision == "fp16" else TensorProto.FLOAT}:
        faults.append(f"weights that are not of its precision, {info.precision}")
    form = {value.name: _form(value) for value in (*model.graph.input, *model.graph.output)}
    size = [info.height, info.width]
    expected = {
        **{name: (_KINDS[needed.dtype], ["batch", *needed.shape]) for name, needed in info.inputs.items()},
        IMAGES: (TensorProto.FLOAT, ["batch", info.channels, *size]),
        PIXELS: (TensorProto.UINT8, ["batch", *size, info.channels]),
        **({MASKS: (TensorProto.UINT8, ["batch", *size])} if info.has_masks else {}),
    }
    if form != expected:
        faults.append(f"inputs and outputs {form}, not {expected}")
    return faults


def _form(value: onnx.ValueInfoProto) -> tuple[int, list[int | str]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]


def _generator_of(model: Path, key: str, info: GeneratorInfo, path: Path) -> Generator:
    generator = load_generator(model, key, **info.assumed)
    sha256 = weights_sha256(generator.state_dict())
    if sha256 != info.weights_sha256:
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{path} was made from weights {info.weights_sha256[:12]}…, {model} holds {sha256[:12]}…",
        )
    return generator
