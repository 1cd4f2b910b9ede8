"""What an exported file says of itself: sizes, origin, and the proof that it equals the trained network."""

from __future__ import annotations

import copy
import dataclasses
import platform
from typing import Any

import onnx
import onnxruntime
import torch

from export.parity import ParityReport, one_thread
from gan.networks.dcgan import Generator
from gan.networks.pixels import to_pixels
from gan.networks.reader import weights_sha256
from models.info import GOLDEN_COUNT, GeneratorInfo, Golden
from models.latents import latents


def seed_of(generator: Generator) -> int:
    """Seed of the latents of the check: fresh for other weights, the same for the same ones."""
    return int(weights_sha256(generator.state_dict())[:16], 16)


def evidence(generator: Generator, report: ParityReport, training: dict[str, Any]) -> GeneratorInfo:
    """The metadata of a file that passed its check; its golden images are those of PyTorch in float64."""
    z = torch.from_numpy(latents(report.seed, 0, GOLDEN_COUNT, generator.z_dim))
    with one_thread(), torch.no_grad():
        images = copy.deepcopy(generator).double()(z.double())
    return GeneratorInfo(
        architecture=f"dcgan, width {generator.width}",
        precision=report.precision,
        class_names=[],
        z_dim=generator.z_dim,
        channels=generator.channels,
        height=generator.image_size,
        width=generator.image_size,
        weights_sha256=weights_sha256(generator.state_dict()),
        training=training,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        parity=dataclasses.asdict(report),
        # A tighter atol may be asked of this machine; others round otherwise.
        golden=Golden.of(
            report.seed, max(report.atol, report.derived_atol), images.float().numpy(), to_pixels(images).numpy()
        ).to_dict(),
    )
