"""All of `gan-export onnx` and `gan-export torch`: a file of weights to a proven file that says its training.

What is heavy is imported once nothing speaks against the export.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.defaults import PHOTOS
from export.target import refuse_existing, refuse_missing
from models.errors import CommandError, ExitCode
from models.log import log

if TYPE_CHECKING:
    from export.parity import ParityReport
    from gan.networks.generator import Generator

ONNX, TORCH = "onnx", "torch"
NAMES = {ONNX: "generator.onnx", TORCH: "generator.pt2"}
"""What a file can be, and what it is usually called."""


def export_file(
    model: Path,
    out: Path,
    to: str = ONNX,
    *,
    key: str = "",
    activation: str | None = None,
    slope: float | None = None,
    last_activation: str | None = None,
    bn_eps: float | None = None,
    truncation_psi: float | None = None,
    noise: str | None = None,
    class_names: str | Sequence[str] | None = None,
    photos: bool = PHOTOS,
    overwrite: bool = False,
    **settings: Any,
) -> ParityReport:
    """Export a file of weights. The new file says how they were trained, where that is known.

    Args:
        model: a `generator_model.pth` or snapshot of `gan.train`, which tells of its training, a snapshot of StyleGAN2
            in PyTorch, or a checkpoint made elsewhere.
        out: file to write.
        to: `onnx`, or `torch` for a program of `torch.export`.
        key: where in `model` the generator lies, its names joined by dots.
        activation, slope, last_activation, bn_eps: what the weights of a checkpoint made elsewhere do not show; the
            usual values where not given.
        truncation_psi, noise: of a StyleGAN2, see `gan.networks.stylegan2.StyleGAN2`; by default 1 and `const`.
        class_names: of a StyleGAN2 with classes, in the order of its labels, or with commas between them; by default
            their numbers.
        photos: say in the file which photos it was trained on and chosen by: names, hashes and thumbnails of 32×32,
            by which `gan-eval usefulness` knows them again.
        overwrite: replace an existing file.
        settings: those of `export_onnx` or `export_torch`: `batch_check`, `atol`, and of ONNX `opset` and `precision`.

    Returns:
        Every comparison that was made; all of them passed.

    Raises:
        ParityError: 76, a comparison fails; nothing is left, an existing file stays.
        CommandError: 2 `out` is `model`, there is no such `to`, or what the generator has not, or what is known of it,
            was given; 65 not one generator of a known architecture; 66 no such file; 69 too little memory; 73 `out`
            exists or cannot be written; 76 the file does not run.
    """
    if to not in NAMES:
        raise CommandError(ExitCode.USAGE, f"`to` is one of {', '.join(NAMES)}, not {to!r}")
    refuse_missing(model)
    if out.exists() and out.samefile(model):
        raise CommandError(ExitCode.USAGE, "`out` is `model` itself")
    refuse_existing(out, overwrite)
    from gan.networks.reader import load_generator, read_training, weights_sha256

    given = {
        "activation": activation, "slope": slope, "last_activation": last_activation, "bn_eps": bn_eps,
        "truncation_psi": truncation_psi, "noise": noise,
    }  # fmt: skip
    unseen = {name: value for name, value in given.items() if value is not None}
    if truncation_psi is not None and not math.isfinite(truncation_psi):
        raise CommandError(ExitCode.USAGE, f"`truncation_psi` is {truncation_psi}, not a number")
    generator = load_generator(model, key, **unseen)
    training = read_training(model, weights_sha256(generator.state_dict()))
    if not photos:
        training.pop("photos", None)
    if training and unseen:
        names = ", ".join(f"`{name}`" for name in unseen)
        raise CommandError(ExitCode.USAGE, f"{names}: {model} was trained by gan-train, so it is known")
    if class_names is not None:
        training["class_names"] = _named(generator, training, class_names)
    with without_notes():
        report = _exporter(to)(generator, out, training=training, overwrite=overwrite, **settings)
    if faults := training.get("figures", {}).get("faults"):
        log.warning("a detector would learn the faults of its images, and gan-batch refuses it: %s", "; ".join(faults))
    return report


def _named(generator: Generator, training: dict[str, Any], names: str | Sequence[str]) -> list[str]:
    """Names for the classes of a generator that has some and no names for them."""
    from models.mix import names_fault

    if training or not generator.class_names:
        raise CommandError(ExitCode.USAGE, "`class_names`: it has no classes without names")
    found = names.split(",") if isinstance(names, str) else list(names)
    fault = names_fault(found) or (len(found) != generator.classes and f"{len(found)} for {generator.classes} classes")
    if fault:
        raise CommandError(ExitCode.USAGE, f"`class_names`: {fault}")
    return found


def _exporter(to: str) -> Callable[..., ParityReport]:
    if to == ONNX:
        from export.onnx_exporter import export_onnx

        return export_onnx
    from export.torch_exporter import export_torch

    return export_torch


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Silence the exporter's notes to its own developers."""
    logs = [logging.getLogger(name) for name in ("torch", "onnxscript", "onnx_ir")]
    levels = [each.level for each in logs]
    for each in logs:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(logs, levels, strict=True):
            each.setLevel(level)
