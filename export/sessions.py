"""ONNX Runtime on each provider that this machine has, set up as the batch job sets it up."""

from __future__ import annotations

import contextlib
from pathlib import Path

import onnxruntime

from models.errors import CommandError, ExitCode, first_line, memory_error
from models.golden import Run
from models.info import IMAGES, MASKS, PIXELS
from models.providers import CPU, CUDA, cuda_options

TF32 = f"{CUDA}, TF32"
"""CUDA with the shorter mantissa that Ampere and later have: reported, not judged, since the job does not use it."""


def onnx_runs(model: str, precision: str) -> dict[str, Run]:
    """The file on every provider that a session really gets here: CPU, and where it works CUDA, then with TF32.

    Args:
        model: path of the ONNX file.
        precision: of its weights, `float32` or `fp16`.

    Raises:
        CommandError: 76 where ONNX Runtime cannot load the file.
    """
    runs = {CPU: _run_of(open_session(model, CPU))}
    if CUDA in onnxruntime.get_available_providers():
        onnxruntime.set_default_logger_severity(4)  # else it reports on stderr that there is no GPU
        with contextlib.suppress(CommandError):
            runs[CUDA] = _run_of(open_session(model, CUDA, cuda_options(precision)))
            if precision == "float32":
                runs[TF32] = _run_of(open_session(model, CUDA, {**cuda_options(precision), "use_tf32": "1"}))
    return runs


def open_session(
    model: str, provider: str, settings: dict[str, str] | None = None, threads: int = 1
) -> onnxruntime.InferenceSession:
    """A session on exactly this provider, with one thread, as `gan-batch` has it; 0 threads are one for each core.

    Raises:
        CommandError: 76 where the file does not load, 69 where the session did not get the provider.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised, or asked of the session below
    try:
        content = Path(model).read_bytes()  # ONNX Runtime itself opens only names in UTF-8
        session = onnxruntime.InferenceSession(
            content, options, providers=[(provider, settings or {})], enable_fallback=0
        )
    except Exception as error:
        failed = CommandError(ExitCode.CHECK_FAILED, f"parity: {provider} cannot load the file: {first_line(error)}")
        raise memory_error(error) or failed from None
    if session.get_providers()[0] != provider:
        raise CommandError(ExitCode.NO_DEVICE, f"parity: ONNX Runtime has no working {provider} here")
    return session


def _run_of(session: onnxruntime.InferenceSession) -> Run:
    has_masks = MASKS in (output.name for output in session.get_outputs())
    outputs = [IMAGES, PIXELS, *([MASKS] if has_masks else [])]
    return lambda inputs: session.run(outputs, inputs)
