"""Does an ONNX file compute what the PyTorch generator computes? Compared on fresh latents, floats and pixels."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from gan.networks import Generator
from gan.pixels import to_pixels
from models.console import CommandError, ExitCode
from models.latents import latents
from models.providers import CPU, CUDA, CUDA_OPTIONS

MARGIN = 10.0
"""The tolerance is this many times PyTorch's own float32 rounding error: another runtime sums in another order, and
folding batch norm rounds the weights once more, so its error is of that size but not that error."""
LEAST_ATOL = 1e-6
"""About ten float32 steps at 1.0; the tolerance where PyTorch's own error is measured as next to nothing."""
HALF_A_STEP = 0.501
"""What rounding to the nearest pixel value may take, and float32 on the way; cutting off would take a whole step."""


@dataclasses.dataclass(frozen=True)
class ParityRow:
    """One comparison.

    Attributes:
        provider: ONNX Runtime's execution provider.
        batch: number of latents.
        images_error: largest |difference| of `images` from PyTorch in float64.
        torch_error: the same for PyTorch in float32: how much of it is plain rounding.
        pixels_error: largest difference of `pixels` from PyTorch float32, in steps of 1/255.
        rounding_error: largest difference of `pixels` from the file's own `images` before rounding, in steps.
        pixels_share: share of pixels that differ at all.
    """

    provider: str
    batch: int
    images_error: float
    torch_error: float
    pixels_error: int
    rounding_error: float
    pixels_share: float


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """All comparisons of one file, and the tolerance they were held to."""

    atol: float
    rows: list[ParityRow]

    @property
    def passed(self) -> bool:
        """Whether `faults` finds nothing."""
        return not self.faults()

    def faults(self) -> list[str]:
        """What is wrong, a line for each row and criterion; empty where the file passes."""
        found = []
        for row in self.rows:
            where = f"{row.provider}, batch {row.batch}"
            if not (math.isfinite(row.images_error) and row.images_error <= self.atol):
                found.append(f"{where}: images differ by {row.images_error:.2e}, allowed {self.atol:.2e}")
            if row.pixels_error > 1:
                found.append(f"{where}: pixels differ by {row.pixels_error} steps, allowed 1")
            if not row.rounding_error <= HALF_A_STEP:
                found.append(
                    f"{where}: pixels are {row.rounding_error:.2f} steps from their images, allowed half a step"
                )
        return found

    def table(self) -> str:
        """The comparisons for a person."""
        lines = [
            f"{'provider':<24} {'batch':>5} {'max |Δ images|':>15} {'PyTorch float32':>15} "
            f"{'max Δ px':>8} {'px differ':>10} {'rounding':>8}"
        ]
        lines += [
            f"{row.provider:<24} {row.batch:>5} {row.images_error:>15.2e} {row.torch_error:>15.2e} "
            f"{row.pixels_error:>8} {row.pixels_share:>10.4%} {row.rounding_error:>8.4f}"
            for row in self.rows
        ]
        return "\n".join([*lines, f"tolerance {self.atol:.2e} on images, 1 step on pixels, half a step on rounding"])


class ParityError(CommandError):
    """The two do not agree; `report` says where."""

    def __init__(self, message: str, report: ParityReport) -> None:
        super().__init__(ExitCode.CHECK_FAILED, message)
        self.report = report


def check_parity(
    generator: Generator,
    model: str,
    batches: Sequence[int],
    seed: int,
    atol: float | None = None,
    providers: Sequence[str] = (CPU,),
) -> ParityReport:
    """Compare an ONNX file with the generator it was made from.

    The reference is PyTorch in float64 on the CPU. Each batch size gets latents of its own.

    Args:
        generator: in eval mode, float32.
        model: path of the ONNX file.
        batches: batch sizes; 1 and 2 catch graphs fixed to the example's size.
        seed: of the latents.
        atol: tolerance on `images`; by default `MARGIN` × the error that PyTorch's own float32 has.
        providers: ONNX Runtime execution providers, each must be there.

    Raises:
        CommandError: 76 where ONNX Runtime cannot load or run the file.
        ValueError: no batch size.
    """
    if not batches:
        raise ValueError("no batch size to compare at")
    exact = copy.deepcopy(generator).double()
    rows = []
    for provider in providers:
        session = open_session(model, provider)
        for number, batch in enumerate(batches):
            z = latents(seed, number * 4096, number * 4096 + batch, generator.z_dim)
            try:
                images, pixels = session.run(["images", "pixels"], {"z": z})
            except Exception as error:  # onnxruntime's exceptions have no common base of their own
                raise CommandError(
                    ExitCode.CHECK_FAILED, f"parity: {provider} cannot run batch {batch}: {str(error)[:200]}"
                ) from None
            rows.append(_compare(generator, exact, z, images, pixels, provider))
    return ParityReport(default_atol(rows) if atol is None else atol, rows)


def default_atol(rows: Sequence[ParityRow]) -> float:
    """The tolerance on `images` that follows from PyTorch's own float32 error, see `MARGIN`."""
    return max(LEAST_ATOL, MARGIN * max(row.torch_error for row in rows))


def working_providers(model: str) -> list[str]:
    """The execution providers that a session for this file really gets here: CPU, and CUDA where it works."""
    found = [CPU]
    if CUDA in onnxruntime.get_available_providers():
        onnxruntime.set_default_logger_severity(4)  # else it reports on stderr that there is no GPU
        with contextlib.suppress(CommandError):
            open_session(model, CUDA)
            found.append(CUDA)
    return found


def open_session(model: str, provider: str) -> onnxruntime.InferenceSession:
    """A session on exactly this provider.

    Raises:
        CommandError: 76 where the file does not load, 69 where the session did not get the provider.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, or asked of the session below
    settings = CUDA_OPTIONS if provider == CUDA else {}
    try:
        session = onnxruntime.InferenceSession(model, options, providers=[(provider, settings)], enable_fallback=0)
    except Exception as error:
        raise CommandError(
            ExitCode.CHECK_FAILED, f"parity: {provider} cannot load the file: {str(error)[:200]}"
        ) from None
    if session.get_providers()[0] != provider:
        raise CommandError(ExitCode.NO_DEVICE, f"parity: ONNX Runtime has no working {provider} here")
    return session


@torch.no_grad()
def _compare(
    generator: Generator,
    exact: Generator,
    z: NDArray[np.float32],
    images: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    provider: str,
) -> ParityRow:
    reference = exact(torch.from_numpy(z).double())
    ours = generator(torch.from_numpy(z))
    expected = to_pixels(ours).numpy()
    if images.shape != tuple(reference.shape) or pixels.shape != expected.shape:
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"parity: shapes {images.shape}, {pixels.shape} instead of {tuple(reference.shape)}, {expected.shape}",
        )
    steps = np.abs(pixels.astype(np.int16) - expected.astype(np.int16))
    return ParityRow(
        provider=provider,
        batch=len(z),
        images_error=_largest(images - reference.numpy()),
        torch_error=_largest(ours.double().numpy() - reference.numpy()),
        pixels_error=int(steps.max()),
        rounding_error=_largest(pixels - ((images.astype(np.float64) + 1) * 127.5).clip(0, 255).transpose(0, 2, 3, 1)),
        pixels_share=float((steps > 0).mean()),
    )


def _largest(difference: NDArray[np.float64]) -> float:
    """Largest |difference|; NaN counts as infinite, since no comparison with NaN would fail."""
    return float(np.nan_to_num(np.abs(difference), nan=np.inf).max())
