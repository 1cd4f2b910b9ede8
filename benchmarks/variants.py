"""Other forms of the same generator on the CPU, against the float32 file in the same run: size, speed, pixels.

    python benchmarks/variants.py models/generator_model.pth

Without a model a random network of the default size stands in: its speed is right, its pixels are nobody's.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from torch import Tensor, nn
from torch.nn import functional

from export import onnx_exporter
from export.defaults import OPSET
from export.exported import Exported
from export.onnx_exporter import build
from gan.networks.dcgan import DCGAN
from gan.networks.pixels import to_pixels
from gan.networks.reader import load_generator
from models.latents import latents

BATCH_SIZE = 8
ROUNDS = 12
SETTINGS = {
    "denormals as zero": lambda options: options.add_session_config_entry("session.set_denormal_as_zero", "1"),
    "no memory pattern": lambda options: setattr(options, "enable_mem_pattern", False),
    "no arena": lambda options: setattr(options, "enable_cpu_mem_arena", False),
    "basic graph optimisation": lambda options: setattr(
        options, "graph_optimization_level", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    ),
}
"""Of a session on the float32 file."""
SECONDS = 0.5  # of one variant in one round


class Subpixel(nn.Module):
    """Every transposed convolution of stride 2 as a 2×2 convolution of four times the channels and a pixel shuffle.

    The two rows of outputs 2j - 1 and 2j depend on the inputs j - 1 and j alone (Shi et al., CVPR 2016, section 3).
    """

    def __init__(self, generator: DCGAN, precision: str) -> None:
        super().__init__()
        self.z_dim = generator.z_dim
        first, *layers = [m for m in Exported(generator).network.main if isinstance(m, nn.ConvTranspose2d)]
        self.first = first
        self.layers = nn.ModuleList(map(self._convolution, layers))

    @property
    def network(self) -> nn.Module:
        """As of `Exported`."""
        return self

    @staticmethod
    @torch.no_grad()
    def _convolution(layer: nn.ConvTranspose2d) -> nn.Conv2d:
        taps = torch.tensor([[2, 0], [3, 1]])  # [output 2j - 1 or 2j, input j - 1 or j]
        convolution = nn.Conv2d(layer.in_channels, 4 * layer.out_channels, 2, padding=1)
        weight = layer.weight[:, :, taps[:, None, :, None], taps[None, :, None, :]]  # in, out, row, column, tap, tap
        convolution.weight.copy_(weight.permute(1, 2, 3, 0, 4, 5).flatten(0, 2))
        bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
        convolution.bias.copy_(bias.repeat_interleave(4))
        return convolution

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(z.reshape(-1, self.z_dim, 1, 1)).relu()
        for layer in self.layers:
            x = functional.pixel_shuffle(layer(x), 2)[:, :, 1:-1, 1:-1]
            x = x.tanh() if layer is self.layers[-1] else x.relu()
        return x, to_pixels(x)


class Calibration(quantization.CalibrationDataReader):
    """160 usual latents."""

    def __init__(self, z_dim: int) -> None:
        self.batches = iter(latents(1, 0, 160, z_dim).reshape(20, 8, z_dim))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch of 8."""
        return next(({"z": batch} for batch in self.batches), None)


def variants(generator: DCGAN, folder: Path) -> dict[str, Path]:
    """The files, by what they are; the first is what `gan-export onnx` writes."""
    plain, static, dynamic = folder / "float32.onnx", folder / "static.onnx", folder / "dynamic.onnx"
    onnx.save_model(build(generator, OPSET), plain)
    quantization.quantize_static(
        plain, static, Calibration(generator.z_dim), op_types_to_quantize=["ConvTranspose"], per_channel=False
    )
    quantization.quantize_dynamic(plain, dynamic)
    made: dict[str, Callable[[], onnx.ModelProto]] = {
        "opset 20": lambda: build(generator, 20),
        "fp16": lambda: build(generator, OPSET, "fp16"),
        "2×2 convolution, pixel shuffle": lambda: _build_as(Subpixel, generator),
    }
    files = {"float32": plain}
    for name, make in made.items():
        files[name] = folder / f"{len(files)}.onnx"
        onnx.save_model(make(), files[name])
    return {**files, "int8, static": static, "int8, dynamic range": dynamic}


def _build_as(network: type[nn.Module], generator: DCGAN) -> onnx.ModelProto:
    onnx_exporter.Exported, before = network, onnx_exporter.Exported
    try:
        return build(generator, OPSET)
    finally:
        onnx_exporter.Exported = before


def open_session(path: Path, change: Callable[[onnxruntime.SessionOptions], object] = bool) -> Any:
    """One thread, as `gan-batch` has it, and one more setting."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    change(options)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def stand_in() -> DCGAN:
    """A random generator whose batch norms fit its values."""
    torch.manual_seed(0)
    generator = DCGAN().train()
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        generator(torch.randn(64, generator.z_dim))
    return generator.eval()


def main() -> None:
    """Measure in turns, so that a busy machine slows all alike, and print the medians' ratios."""
    warnings.simplefilter("ignore")  # torch.onnx warns its own developers
    logging.disable(logging.WARNING)
    generator = load_generator(Path(sys.argv[1])) if len(sys.argv) > 1 else stand_in()
    z = latents(7, 0, BATCH_SIZE, generator.z_dim)
    many = latents(7, 0, 64, generator.z_dim)
    with tempfile.TemporaryDirectory() as folder:
        files = variants(generator, Path(folder))
        sizes = {name: path.stat().st_size / 1e6 for name, path in files.items()}
        sessions = {name: open_session(path) for name, path in files.items()}
        for name, change in SETTINGS.items():
            sessions[name], sizes[name] = open_session(files["float32"], change), sizes["float32"]
    rates: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < SECONDS:
                session.run(["pixels"], {"z": z})
                count += BATCH_SIZE
            rates[name].append(count / elapsed)
    expected = sessions["float32"].run(["pixels"], {"z": many})[0].astype(int)
    base = float(np.median(rates["float32"]))
    print(f"one thread, batches of {BATCH_SIZE}; float32: {base:.0f} images/s")
    print(f"{'':<32} {'MB':>6} {'speed':>7} {'largest step':>13} {'pixels that differ':>19}")
    for name, session in sessions.items():
        steps = np.abs(session.run(["pixels"], {"z": many})[0] - expected)
        speed = float(np.median(rates[name])) / base
        print(f"{name:<32} {sizes[name]:>6.1f} {speed:>6.2f}× {steps.max():>13} {(steps > 0).mean():>18.4%}")


if __name__ == "__main__":
    main()
