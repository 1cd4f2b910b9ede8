"""An ONNX generator ready to run: device policy, metadata, golden images, fixed batches."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.console import CommandError, ExitCode, log
from models.info import GeneratorInfo, Golden, InfoError
from models.providers import CPU, CUDA, CUDA_OPTIONS

PROVIDERS = {"cuda": CUDA, "cpu": CPU}


class GeneratorSession:
    """One ONNX Runtime session on one provider; `pixels` may be called from several threads at once.

    On the CPU a session has one thread of its own, so that as many callers as there are cores fill the machine.

    Args:
        path: the ONNX file.
        device: `cuda`, `cpu`, or `auto`: CUDA where the session gets it.

    Attributes:
        provider: the execution provider that the session got.
        info: what the file says of itself.
        model_sha256: of the file.

    Raises:
        CommandError: 66 no such file, 65 not a generator, 69 the device is not there, 76 the file does not give its
            golden images here.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        try:
            if path.exists() and not path.is_file():
                raise CommandError(ExitCode.NO_INPUT, f"the model {path.absolute()} is no file")
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(
                ExitCode.NO_INPUT, f"cannot read the model {path.absolute()}: {error.strerror}"
            ) from None
        self.path = path
        self.model_sha256 = hashlib.sha256(content).hexdigest()
        self._session = _open(path, content, device)
        self.provider: str = self._session.get_providers()[0]
        try:
            self.info = GeneratorInfo.from_metadata(self._session.get_modelmeta().custom_metadata_map)
            self._check_golden(Golden.from_dict(self.info.golden))
        except InfoError as error:
            raise CommandError(ExitCode.BAD_DATA, f"{path} is no generator for gan-batch: {error}") from None

    @property
    def on_gpu(self) -> bool:
        """Whether the session runs on CUDA."""
        return self.provider == CUDA

    def pixels(self, z: NDArray[np.float32], batch_size: int) -> NDArray[np.uint8]:
        """Images for latents.

        Args:
            z: float32 `[N, z_dim]`, N at most `batch_size`.
            batch_size: on CUDA a smaller batch is padded to it, since every new shape costs a new plan.

        Returns:
            uint8 `[N, H, W, C]`.
        """
        count = len(z)
        if self.on_gpu and count < batch_size:
            z = np.concatenate([z, np.zeros((batch_size - count, z.shape[1]), np.float32)])
        try:
            (pixels,) = self._session.run(["pixels"], {"z": z})
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CommandError(ExitCode.BAD_DATA, f"{self.path} does not run: {_first_line(error)}") from None
        images: NDArray[np.uint8] = pixels[:count]
        return images

    def _check_golden(self, golden: Golden) -> None:
        try:
            fault = golden.fault(self.info.z_dim, lambda z: self._session.run(["images", "pixels"], {"z": z}))
        except InfoError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CommandError(ExitCode.BAD_DATA, f"{self.path} does not run: {_first_line(error)}") from None
        if fault:
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{self.path} does not give its golden images on {self.provider}: {fault}; export the model again",
            )


def _open(path: Path, content: bytes, device: str) -> onnxruntime.InferenceSession:
    reason = ""
    if device != "cpu":
        try:
            session = _create(content, [(CUDA, CUDA_OPTIONS), CPU])
            if session.get_providers()[0] == CUDA:
                log.info("device: CUDA")
                return session
            reason = "ONNX Runtime finds no usable GPU"
        except Exception as error:
            reason = _first_line(error)
        if device == "cuda":
            raise CommandError(ExitCode.NO_DEVICE, f"CUDA is not to be had here: {reason}; begin with --device cpu")
    try:
        session = _create(content, [CPU])
    except Exception as error:
        raise CommandError(ExitCode.BAD_DATA, f"{path} is not an ONNX model: {_first_line(error)}") from None
    log.info("device: CPU (%s)", f"auto: {reason}" if device == "auto" else "as asked")
    return session


def _create(content: bytes, providers: list[str | tuple[str, dict[str, str]]]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, or asked of the session afterwards
    if providers[0] != CPU and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.set_default_logger_severity(4)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where it finds no CUDA libraries
            onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
