"""Shift generators whose images have contrast, what goes into them, and what their ONNX files have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor

from gan.networks.grain import GRAIN_BITS
from gan.networks.shift import SHIFT_BITS, ShiftGenerator

Z = 8 + SHIFT_BITS + GRAIN_BITS


def lively(
    channels: int = 1, height: int = 64, wide: int = 64, seed: int = 0, turns: Sequence[str] = ()
) -> ShiftGenerator:
    """A generator whose images have contrast, with batch-norm statistics that fit."""
    random = torch.Generator().manual_seed(seed)
    made = ShiftGenerator(Z, channels, 4, height, wide, turns=turns)
    made.initialise(random)
    with torch.no_grad():
        for weights in made.parameters():
            if weights.ndim == 4 and weights.requires_grad and len(weights) > 1:
                weights.normal_(0, 0.2, generator=random)
        for norm in made.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None
        made.train()(**made.draw(32, random))
    return made.eval()


def latents(count: int, seed: int = 1) -> Tensor:
    return torch.randn((count, Z), generator=torch.Generator().manual_seed(seed))


def blind(generator: ShiftGenerator) -> ShiftGenerator:
    """One that draws the same whatever the shift, and neither bends nor has grain."""
    with torch.no_grad():
        for name, weights in generator.named_parameters():
            if name.endswith(("gate.0.weight", "mixed.weight")):
                weights[:, generator.content - generator.turn.hidden :] = 0
            if name.endswith(("grain", "grain_gain", "amounts.weight")):
                weights.zero_()
    return generator


def no_batch_norm_and_one_input(file: Path) -> None:
    graph = onnx.load(file).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert [value.name for value in graph.input] == ["z"]
