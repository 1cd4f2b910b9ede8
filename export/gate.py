"""The gate before every exported file: it appears only after the runtimes gave the images of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.defaults import BATCHES, SMALL_BATCHES
from export.evidence import class_names, evidence, seed_of
from export.exported import at_precision, reference
from export.parity import ParityError, ParityReport, check_parity
from export.target import refuse_existing
from gan.networks.generator import Generator
from models.errors import CommandError, ExitCode, writing_error
from models.files import write_atomically
from models.golden import Golden, InfoError, Run
from models.info import GeneratorInfo
from models.log import log

_MOST_BYTES = 2**30
"""Of the largest map of a batch; there are a few such at once."""


def write_proven(
    generator: Generator,
    path: Path,
    save: Callable[[Path, GeneratorInfo | None], None],
    runs_of: Callable[[Path], Mapping[str, Run]],
    *,
    precision: str,
    batch_check: Sequence[int] | None,
    atol: float | None,
    training: dict[str, Any],
    overwrite: bool,
    reported: Sequence[str] = (),
) -> ParityReport:
    """Write a file, compare it, write it again with the evidence, check that, and only then give it its name.

    Args:
        generator: in eval mode, float32, on the CPU.
        path: file to write.
        save: writes the file, without and then with what it shall say of itself.
        runs_of: the runtimes that load such a file, by name.
        precision, atol, reported: see `check_parity`.
        batch_check: sizes to compare at; None: those of `BATCHES` whose maps fit into memory.
        training: what is known of the training, for the evidence.
        overwrite: replace an existing file.

    Raises:
        ParityError: 76, a comparison fails; nothing is left, an existing file stays.
        CommandError: 76 the file does not run, 73 it exists or cannot be written, 65 it has classes whose names are not
            known.
    """
    refuse_existing(path, overwrite)
    class_names(generator, training)  # known before the work
    if not training and not generator.told:
        _tell_assumed(generator)
    batches = fitting_batches(generator) if batch_check is None else batch_check
    reports: list[ParityReport] = []

    def write(temporary: Path) -> None:
        save(temporary, None)
        report = check_parity(
            reference(generator),
            at_precision(generator, precision),
            runs_of(temporary),
            needed=generator.inputs,
            seed=seed_of(generator),
            precision=precision,
            batches=batches,
            atol=atol,
            reported=reported,
        )
        refuse_faults(report, f"the file differs from PyTorch, {path} was not written")
        info = evidence(generator, report, training)
        save(temporary, info)
        for runtime, run in runs_of(temporary).items():  # the bytes that stay
            if runtime not in reported:
                check_golden(path, info, runtime, run)
        reports.append(report)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise writing_error(error) from None
    return reports[0]


def fitting_batches(generator: Generator) -> tuple[int, ...]:
    """Those of `BATCHES` whose largest map, by what an image takes, is within `_MOST_BYTES`."""
    largest = 0

    def look(module: nn.Module, given: Any, value: Any) -> None:
        nonlocal largest
        largest = max(largest, value.nbytes if isinstance(value, Tensor) else 0)

    handles = [module.register_forward_hook(look) for module in generator.modules()]
    with torch.no_grad():
        generator.named(**generator.inputs_at(0, 0, 1))
    for handle in handles:
        handle.remove()
    fitting = tuple(size for size in BATCHES if size <= SMALL_BATCHES or size * largest <= _MOST_BYTES)
    if fitting != BATCHES:
        log.info(
            "its maps are large, so batches of %s alone are compared; `batch_check` says others",
            ", ".join(map(str, fitting)),
        )
    return fitting


def _tell_assumed(generator: Generator) -> None:
    """Say of weights from elsewhere what they do not show, and whether they speak against it."""
    if generator.unseen:
        assumed = ", ".join(f"{name} {value}" for name, value in generator.unseen.items())
        log.info("%s: weights do not show all of it, so this is assumed: %s", generator.summary, assumed)
    if likelier := generator.likelier():
        better = ", ".join(f"{name} {value}" for name, value in likelier.items())
        log.warning("these weights fit %s better than what is assumed: the images may be wrong without it", better)


def refuse_faults(report: ParityReport, what: str) -> None:
    """Raise `ParityError`, which begins with `what`, where the report does not pass."""
    faults = report.faults()
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ParityError(f"{what}: {faults[0]}{more}", report)


def check_golden(path: Path, info: GeneratorInfo, runtime: str, run: Run) -> None:
    """Compare the golden images in a file with what `run` makes of their inputs.

    Raises:
        CommandError: 76, they differ.
    """
    try:
        fault = Golden.from_dict(info.golden).fault(info.inputs, run)
    except InfoError as error:
        fault = str(error)
    if fault:
        raise CommandError(ExitCode.CHECK_FAILED, f"{path} does not give its golden images on {runtime}: {fault}")
