"""Does a runtime compute what the PyTorch generator computes? Compared on fresh latents: floats, pixels and masks."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.defaults import BATCHES, PRECISION
from export.exported import Floats, Inputs, outputs
from models.errors import CommandError, ExitCode, first_line, memory_error
from models.golden import Run, mask_differences, sure_masks
from models.latents import Input, inputs

MARGINS = {"float32": 10.0, "fp16": 4.0}
"""The tolerance is this many times PyTorch's own rounding error at that precision. Another runtime sums in another
order, and folding batch norm rounds the weights once more, so its error is of that size but not that error. Of float16
most is the rounding of the weights, which is the same in every runtime."""
LEAST_ATOL = 1e-6
"""About ten float32 steps at 1.0; the tolerance where PyTorch's own error is measured as next to nothing."""
HALF_A_STEP = 0.501
"""What rounding to the nearest pixel value may take, and float32 on the way; cutting off would take a whole step."""
HUGE_CASE = "one of 100 σ"
"""Three latents, one of them 100 times a usual one: no sample is ever so far out. fp16 is not held to it, since its
rounding grows with the values."""
_CHUNK, _MOST_PIXELS = 32, 2**20
"""Images that PyTorch makes at once, and their pixels together: 64 maps of that size take 512 bytes a pixel."""


@dataclasses.dataclass(frozen=True)
class ParityRow:
    """One comparison.

    Attributes:
        runtime: who computed; ONNX Runtime is named by its execution provider.
        latents: `batch N` with N usual latents, or which extreme ones.
        images_error: largest |difference| of `images` from PyTorch in float64.
        atol: the largest one allowed; None: reported only.
        pixels_error: largest difference of `pixels` from those of PyTorch in float64, in steps of 1/255.
        pixels_share: share of pixels that differ at all.
        rounding_error: largest difference of `pixels` from the runtime's own `images` before rounding, in steps.
        masks_error: how many pixels of `masks` differ where PyTorch's float64 is further than `atol` from the limit, so
            that rounding cannot decide; of a row that is only reported all that differ; None: no masks.
    """

    runtime: str
    latents: str
    images_error: float
    atol: float | None
    pixels_error: int
    pixels_share: float
    rounding_error: float
    masks_error: int | None = None

    def faults(self) -> list[str]:
        """What is wrong, a line for each criterion; empty where nothing is."""
        if self.atol is None:
            return []
        found = []
        where = f"{self.runtime}, {self.latents}"
        if not math.isfinite(self.atol):
            return [f"{where}: what PyTorch itself computes is not finite"]
        if not (math.isfinite(self.images_error) and self.images_error <= self.atol):
            found.append(f"{where}: images differ by {self.images_error:.2e}, allowed {self.atol:.2e}")
        if self.pixels_error > 1:
            found.append(f"{where}: pixels differ by {self.pixels_error} steps, allowed 1")
        if not self.rounding_error <= HALF_A_STEP:
            found.append(f"{where}: pixels are {self.rounding_error:.2f} steps from their images, allowed half a step")
        if self.masks_error:
            found.append(f"{where}: {self.masks_error} pixels of masks differ, allowed none")
        return found


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """All comparisons of one file.

    Attributes:
        seed: of the usual latents.
        precision: of the file.
        atol: tolerance on `images` of usual latents, and on masks before they are told from 0 and 255.
        derived_atol: what it is unless another is asked for.
        rows: the comparisons.
    """

    seed: int
    precision: str
    atol: float
    derived_atol: float
    rows: list[ParityRow]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ParityReport:
        """The inverse of `to_dict`.

        Raises:
            ValueError: it is damaged, or tells of no comparison.
        """
        try:
            report = cls(**{**values, "rows": [ParityRow(**row) for row in values["rows"]]})
            if not report.rows or report.faults() or not report.table():
                raise ValueError("no comparison, or one that failed")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its comparisons are damaged: {error}") from None
        return report

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it, without figures of masks where there are none."""
        values = dataclasses.asdict(self)
        for row in values["rows"]:
            if row["masks_error"] is None:
                del row["masks_error"]
        return values

    @property
    def passed(self) -> bool:
        """Whether `faults` finds nothing."""
        return not self.faults()

    def faults(self) -> list[str]:
        """What is wrong, a line for each row and criterion; empty where the file passes."""
        return [fault for row in self.rows for fault in row.faults()]

    def table(self) -> str:
        """The comparisons for a person; masks have a column where there are any."""
        masks = any(row.masks_error is not None for row in self.rows)
        head = (
            f"{'runtime':<28} {'latents':<12} {'max |Δ images|':>14} {'allowed':>9} "
            f"{'max Δ px':>8} {'px differ':>10} {'rounding':>8}"
        )
        lines = [f"{head} {'mask px':>8}" if masks else head]
        for row in self.rows:
            line = (
                f"{row.runtime:<28} {row.latents:<12} {row.images_error:>14.2e} "
                f"{'reported' if row.atol is None else format(row.atol, '.2e'):>9} "
                f"{row.pixels_error:>8} {row.pixels_share:>10.4%} {row.rounding_error:>8.4f}"
            )
            lines.append(f"{line} {row.masks_error!s:>8}" if masks else line)
        lines.append("differences from PyTorch in float64; allowed: 1 step on pixels, half on rounding")
        if masks:
            lines.append(
                "mask px: pixels of masks that differ where rounding cannot decide, none allowed; reported: all"
            )
        return "\n".join(lines)


class ParityError(CommandError):
    """The two do not agree; `report` says where."""

    def __init__(self, message: str, report: ParityReport) -> None:
        super().__init__(ExitCode.CHECK_FAILED, message)
        self.report = report


def check_parity(
    exact: Floats,
    own: Floats,
    runs: Mapping[str, Run],
    *,
    needed: Mapping[str, Input],
    seed: int,
    precision: str = PRECISION,
    batches: Sequence[int] = BATCHES,
    atol: float | None = None,
    reported: Sequence[str] = (),
) -> ParityReport:
    """Compare what runtimes make of one file with the generator it was made from.

    Each batch size gets latents of its own; zeros, ±4 σ in every component and one huge latent follow. Labels take
    turns; where there are more classes than images in any batch, another batch has each of them.

    Args:
        exact: the generator in float64 on the CPU, which is the reference.
        own: the same at `precision`, in PyTorch on the CPU: its error decides the tolerance.
        runs: by name.
        needed: the generator's inputs.
        seed: of the latents.
        precision: `float32` or `fp16`.
        batches: batch sizes.
        atol: tolerance on `images`, and on masks before they are told from 0 and 255; by default `MARGINS` × PyTorch's
            own error, the larger of the two, on usual latents or on these.
        reported: names in `runs` that are not held to a tolerance.

    Raises:
        CommandError: 76 where a runtime cannot run the latents, or gives another shape.
        ValueError: no batch size.
    """
    if not batches:
        raise ValueError("no batch size to compare at")
    classes = max(kind.high for kind in needed.values())
    batches = [*batches, *([classes] if classes > max(batches) else [])]
    usual = {f"batch {n}": inputs(seed, at * 4096, at * 4096 + n, needed) for at, n in enumerate(batches)}
    cases = {**usual, **_extremes(inputs(seed, 4096 * len(batches), 4096 * len(batches) + 3, needed), needed)}
    expected: dict[str, tuple[NDArray[Any], ...]] = {}
    rows, errors = [], {}
    with one_thread(), torch.no_grad():
        for name, case in cases.items():
            expected[name] = in_chunks(exact, case, np.float64)
            floats = in_chunks(own, case, np.float32)
            errors[name] = max(_largest(some - due) for some, due in zip(floats, expected[name], strict=True))
            rows.append(_compare(f"PyTorch {precision}", name, expected[name], _as_written(floats), None))
    margin = MARGINS[precision]
    derived = max(LEAST_ATOL, margin * max(errors[name] for name in usual))
    allowed = {name: max(derived, margin * error) if atol is None else atol for name, error in errors.items()}
    for runtime, run in runs.items():
        for name, case in cases.items():
            try:
                given = run(case)
            except CommandError:
                raise
            except Exception as error:  # onnxruntime's exceptions have no common base of their own
                failed = CommandError(
                    ExitCode.CHECK_FAILED, f"parity: {runtime} cannot run {name}: {first_line(error)}"
                )
                raise memory_error(error, "smaller sizes in `batch_check` need less") or failed from None
            judged = runtime not in reported and not (precision == "fp16" and name == HUGE_CASE)
            limit = allowed[name] if judged else None
            rows.append(_compare(runtime, name, expected[name], given, limit))
    return ParityReport(seed, precision, derived if atol is None else atol, derived, rows)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch sums on one thread inside: the figures do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _extremes(usual: Inputs, needed: Mapping[str, Input]) -> dict[str, Inputs]:
    """Of three usual ones: all inputs are extreme together; of labels that are the first and the last."""
    zeros, far, huge = ({name: values[:size].copy() for name, values in usual.items()} for size in (2, 2, 3))
    for name in usual:
        zeros[name][:] = 0
        if needed[name].high:
            far[name][:] = 0, needed[name].high - 1
            continue
        far[name][0], far[name][1] = 4, -4
        huge[name][1] *= 100
    return {"zeros": zeros, "+4 and -4 σ": far, HUGE_CASE: huge}


def in_chunks(floats: Floats, inputs: Inputs, dtype: type) -> tuple[NDArray[Any], ...]:
    """What a network computes, a few images at a time where they are large; the first one shows how large they are."""
    count, done, at_once = len(next(iter(inputs.values()))), 0, 1
    parts: list[tuple[NDArray[Any], ...]] = []
    while done < count:
        parts.append(floats({name: values[done : done + at_once] for name, values in inputs.items()}))
        done += at_once
        at_once = max(1, min(_CHUNK, _MOST_PIXELS // math.prod(parts[0][0].shape[2:])))
    return tuple(np.concatenate(values).astype(dtype) for values in zip(*parts, strict=True))


def _as_written(floats: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    return [values.numpy() for values in outputs(*map(torch.from_numpy, floats))]


def _compare(
    runtime: str,
    name: str,
    expected: Sequence[NDArray[np.float64]],
    given: Sequence[NDArray[Any]],
    atol: float | None,
) -> ParityRow:
    """One row: what the network computes in float64, and what a file gives for the same latents."""
    due = _as_written(expected)
    shapes, due_shapes = (", ".join(str(values.shape) for values in several) for several in (given, due))
    if shapes != due_shapes:
        raise CommandError(ExitCode.CHECK_FAILED, f"parity: {runtime}, {name}: shapes {shapes} instead of {due_shapes}")
    images, pixels, *masks = given
    steps = np.abs(pixels.astype(np.int16) - due[1].astype(np.int16))
    own_pixels = ((images.astype(np.float64) + 1) * 127.5).clip(0, 255).transpose(0, 2, 3, 1)
    return ParityRow(
        runtime=runtime,
        latents=name,
        images_error=_largest(images - expected[0]),
        atol=atol,
        pixels_error=int(steps.max()),
        pixels_share=float((steps > 0).mean()),
        rounding_error=_largest(pixels - own_pixels),
        masks_error=_masks_error(masks[0], expected[1], atol or 0.0) if masks else None,
    )


def _masks_error(masks: NDArray[np.uint8], expected: NDArray[np.float64], atol: float) -> int:
    """How many pixels are wrong; one whose expected value is no number is, since no comparison with NaN would fail."""
    return mask_differences(masks, sure_masks(expected, atol)) + int(np.isnan(expected).sum())


def _largest(difference: NDArray[np.float64]) -> float:
    """Largest |difference|; NaN counts as infinite, since no comparison with NaN would fail."""
    return float(np.nan_to_num(np.abs(difference), nan=np.inf).max())
