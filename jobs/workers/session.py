"""An ONNX generator ready to run: device policy, metadata, golden images, fixed batches, reused buffers."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jobs.dataset import png
from jobs.dataset.state import SessionFacts
from models.errors import CommandError, ExitCode, first_line, memory_error
from models.golden import Golden, InfoError
from models.info import MASKS, PIXELS, GeneratorInfo
from models.latents import Candidates, inputs_of
from models.mix import Mix
from models.providers import CPU, CUDA, cuda_options, may_have_gpu

Inputs = Mapping[str, NDArray[Any]]
"""By name, `[N, …]` each; for one image that is what `GeneratorInfo.inputs` says."""


_WEIGHTS = re.compile(rb"PK\x03\x04|\x80[\x02-\x05]|.{8}\{\"|\([dl]p?\d*\n|c[a-z_][\w.]*\n\w+\n|[\]}]q", re.DOTALL)
"""How a file of PyTorch begins, a pickle, a safetensors file, and a pickle of protocol 0 or 1."""
_SUFFIXES = {".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".safetensors"}
"""What files of weights are called; what is no ONNX model and has such a name is likely one, damaged or not."""


class GeneratorSession:
    """One ONNX Runtime session on one provider, with one thread: a process a core fills the machine.

    Args:
        path: the ONNX file.
        device: `cuda`, `cpu`, or `auto`: CUDA where the session gets it.

    Attributes:
        provider: the execution provider that the session got.
        reason: why it is this one, for people.
        info: what the file says of itself.
        model_sha256: of the file.

    Raises:
        CommandError: 66 no such file, 65 not a generator, 69 no such device or too little memory, 76 the file does not
            give its golden images here.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        content = read_model(path)
        self.path = path
        self.model_sha256 = hashlib.sha256(content).hexdigest()
        self._session, self.reason = _open(path, content, device)
        self.provider: str = self._session.get_providers()[0]
        self._bound: BoundRun | None = None
        try:
            self.info = GeneratorInfo.from_metadata(self._session.get_modelmeta().custom_metadata_map)
            self._check_golden(Golden.from_dict(self.info.golden))
        except InfoError as error:
            raise CommandError(ExitCode.BAD_DATA, f"{path} is no generator for gan-batch: {error}") from None

    @property
    def on_gpu(self) -> bool:
        """Whether the session runs on CUDA."""
        return self.provider == CUDA

    def inputs(self, seed: int, start: int, stop: int, mix: Mix | None = None) -> Inputs:
        """What images `start` to `stop - 1` of a seed are made from, by the names that the file has for it.

        Without a mix, the classes of a generator that has some take turns.
        """
        return self.inputs_of(seed, Candidates.plain(start, stop), mix)

    def inputs_of(self, seed: int, candidates: Candidates, mix: Mix | None = None) -> Inputs:
        """What candidates are made from, as `inputs` has it."""
        labels = None if mix is None else mix.labels_of(candidates.images)
        return inputs_of(seed, candidates, self.info.inputs, labels)

    def pixels(self, inputs: Inputs, batch_size: int) -> NDArray[np.uint8]:
        """Images for inputs, as `run` has them: uint8 `[N, H, W, C]`."""
        return self.run(inputs, batch_size)[0]

    def run(self, inputs: Inputs, batch_size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Images for inputs, and their masks.

        Args:
            inputs: `[N, …]` each, N at most `batch_size`.
            batch_size: on CUDA a smaller batch is padded to it, since every new shape costs a new plan.

        Returns:
            uint8 `[N, H, W, C]`; and uint8 `[N, H, W]`, 0 or 255, or None where the generator makes no masks.
        """
        if not self.on_gpu:
            pixels, *masks = self._run(wanted(self.info), inputs)
            return pixels, masks[0] if masks else None
        count = len(next(iter(inputs.values())))
        if count < batch_size:
            inputs = {name: _padded(values, batch_size) for name, values in inputs.items()}
        try:
            if self._bound is None or self._bound.batch_size != batch_size:
                self._bound = BoundRun(self._session, self.info, batch_size, "cuda")
            pixels, *masks = self._bound(inputs)
            return pixels[:count], masks[0][:count] if masks else None
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise self._failure(error) from None

    def finite(self, inputs: Inputs) -> NDArray[np.bool_]:
        """Which images of inputs `[N, …]` hold only finite values, before they become pixels: bool `[N]`."""
        finite: NDArray[np.bool_] = np.isfinite(self._run(["images"], inputs)[0]).all(axis=(1, 2, 3))
        return finite

    @property
    def facts(self) -> SessionFacts:
        """All of it that a run depends on."""
        info = self.info
        golden = Golden.from_dict(info.golden)
        return SessionFacts(
            model_sha256=self.model_sha256,
            z_dim=info.z_dim,
            width=info.width,
            height=info.height,
            channels=info.channels,
            provider=self.provider,
            reason=self.reason,
            onnxruntime=onnxruntime.__version__,
            image_bytes=_mean(png.encode(golden.pixels)),
            faults=info.faults,
            class_names=info.classes,
            mask_bytes=None if golden.masks is None else _mean(png.encode_masks(golden.masks)),
        )

    def _run(self, outputs: list[str], inputs: Inputs) -> list[NDArray[Any]]:
        try:
            result: list[NDArray[Any]] = self._session.run(outputs, inputs)
        except Exception as error:
            raise self._failure(error) from None
        return result

    def _failure(self, error: Exception) -> CommandError:
        if too_little := memory_error(error, "a smaller `batch_size` or fewer `workers` need less"):
            return too_little
        if self.on_gpu:
            return CommandError(ExitCode.NO_DEVICE, f"the GPU failed: {first_line(error)}; run again to continue")
        return CommandError(ExitCode.BAD_DATA, f"{self.path} does not run: {first_line(error)}")

    def _check_golden(self, golden: Golden) -> None:
        fault = golden.fault(self.info.inputs, partial(self._run, self.info.outputs))
        if fault:
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{self.path} does not give its golden images on {self.provider}: {fault}; export the model again",
            )


def read_model(path: Path) -> bytes:
    """An ONNX file's content.

    Raises:
        CommandError: 66 where it cannot be read, 65 where it is empty or holds weights that are not exported yet.
    """
    try:
        if path.exists() and not path.is_file():
            raise CommandError(ExitCode.NO_INPUT, f"the model {path.absolute()} is no file")
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read the model {path.absolute()}: {error.strerror}") from None
    if not content:
        raise CommandError(ExitCode.BAD_DATA, f"the model {path} is empty")
    if _WEIGHTS.match(content):
        raise CommandError(
            ExitCode.BAD_DATA, f"{path} holds weights as PyTorch has them: export it first, gan-export onnx {path}"
        )
    return content


class BoundRun:
    """One batch size with its inputs and outputs kept on the device, so that no run allocates.

    Args:
        session: whose `wanted` outputs are.
        info: its inputs and sizes.
        batch_size: images a run.
        device: `cuda` or `cpu`.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, info: GeneratorInfo, batch_size: int, device: str
    ) -> None:
        allocate = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        self.batch_size = batch_size
        self._session = session
        self._inputs = {
            name: allocate([batch_size, *needed.shape], np.dtype(needed.dtype), device, 0)
            for name, needed in info.inputs.items()
        }
        sizes = [batch_size, info.height, info.width]
        shapes = {PIXELS: [*sizes, info.channels], MASKS: sizes}
        self._outputs = {name: allocate(shapes[name], np.uint8, device, 0) for name in wanted(info)}
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def __call__(self, inputs: Inputs) -> list[NDArray[np.uint8]]:
        """Inputs `[batch_size, …]` each to the `wanted` outputs, each valid until the next call."""
        for name, values in inputs.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(values))
        self._session.run_with_iobinding(self._binding)
        return [value.numpy() for value in self._outputs.values()]


def wanted(info: GeneratorInfo) -> list[str]:
    """The outputs that a run needs: pixels uint8 `[N, H, W, C]`, and masks uint8 `[N, H, W]` where there are any."""
    return [PIXELS, MASKS] if info.has_masks else [PIXELS]


def _mean(files: Iterable[bytes]) -> int:
    """Of their sizes in bytes."""
    sizes = list(map(len, files))
    return sum(sizes) // len(sizes)


def _padded(values: NDArray[Any], batch_size: int) -> NDArray[Any]:
    return np.concatenate([values, np.zeros((batch_size - len(values), *values.shape[1:]), values.dtype)])


def _open(path: Path, content: bytes, device: str) -> tuple[onnxruntime.InferenceSession, str]:
    reason = "no NVIDIA driver is there"
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        try:
            session = _create(content, [(CUDA, cuda_options(_precision(content))), CPU])
            if session.get_providers()[0] == CUDA:
                return session, "as asked" if device == "cuda" else "auto: it is there"
            reason = "ONNX Runtime finds no usable GPU"
        except Exception as error:
            reason = first_line(error)
        if device == "cuda":
            raise CommandError(
                ExitCode.NO_DEVICE, f"CUDA is not to be had here: {reason}; a new run can have `device=cpu`"
            )
    try:
        session = _create(content, [CPU])
    except AttributeError:  # something else has the name of ONNX Runtime: that says nothing about the model
        raise
    except Exception as error:
        reason = first_line(error)
        if path.suffix.lower() in _SUFFIXES:
            reason = f"if it holds weights as PyTorch has them, export it first, gan-export onnx {path}"
        no_model = CommandError(ExitCode.BAD_DATA, f"{path} is not an ONNX model: {reason}")
        raise memory_error(error, "fewer `workers` need less") or no_model from None
    return session, f"auto: {reason}" if device == "auto" else "as asked"


def _precision(content: bytes) -> str:
    metadata = _create(content, [CPU]).get_modelmeta().custom_metadata_map
    return "fp16" if metadata.get("gan.precision") == '"fp16"' else "float32"


def _create(content: bytes, providers: list[str | tuple[str, dict[str, str]]]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, or asked of the session afterwards
    if providers[0] != CPU and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.set_default_logger_severity(4)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where it finds no CUDA libraries
            onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)
