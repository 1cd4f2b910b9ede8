"""What an exported file says of itself: sizes, origin, and the proof that it equals the trained network."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from export.exported import output_names, reference
from export.parity import ParityReport, in_chunks, one_thread
from gan.networks.generator import Generator
from gan.networks.pixels import to_pixels
from gan.networks.reader import weights_sha256
from models.errors import CommandError, ExitCode
from models.golden import GOLDEN_COUNT, Golden
from models.info import GeneratorInfo
from models.latents import LABEL, inputs
from models.mix import names_fault


def seed_of(generator: Generator) -> int:
    """Seed of the latents of the check: fresh for other weights, the same for the same ones."""
    return int(weights_sha256(generator.state_dict())[:16], 16)


def class_names(generator: Generator, training: dict[str, Any]) -> list[str]:
    """What the generator's labels stand for, in their order, as its training or it says; empty where it has none.

    Raises:
        CommandError: 65 where the names are not known, or not one for each label.
    """
    if LABEL not in generator.inputs:
        return []
    found, labels = training.get("class_names") or generator.class_names, generator.inputs[LABEL].high
    names = found if isinstance(found, list) else []
    fault = f"{len(names)} names for {labels} classes" if len(names) != labels else names_fault(names)
    if fault:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"the generator has classes, and what is known of its training does not name them rightly: {fault}; "
            "export it from the folder that it was trained in",
        )
    return names


def evidence(generator: Generator, report: ParityReport, training: dict[str, Any]) -> GeneratorInfo:
    """The metadata of a file that passed its check; its golden images are those of PyTorch in float64."""
    with one_thread(), torch.no_grad():
        golden = inputs(report.seed, 0, GOLDEN_COUNT, generator.inputs)
        images, *masks = in_chunks(reference(generator), golden, np.float64)
    return GeneratorInfo(
        architecture=generator.summary,
        precision=report.precision,
        class_names=class_names(generator, training),
        inputs=generator.inputs,
        parts=generator.parts,
        outputs=output_names(generator),
        channels=generator.channels,
        height=generator.height,
        width=generator.width,
        weights_sha256=weights_sha256(generator.state_dict()),
        assumed=generator.unseen,
        training=training,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        parity=report.to_dict(),
        # A tighter atol may be asked of this machine; others round otherwise.
        golden=Golden.of(
            report.seed,
            max(report.atol, report.derived_atol),
            images.astype(np.float32),
            to_pixels(torch.from_numpy(images)).numpy(),
            *masks,
        ).to_dict(),
    )
