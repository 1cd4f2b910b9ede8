"""What the networks of a DCGAN share: the width of each stage, and the weights to begin with."""

from __future__ import annotations

import torch
from torch import nn

from gan.config import IMAGE_SIZES

MAX_FACTOR = 16
"""No stage has more than this many times the width: of the usual network up to 128×128, beyond it to bound its size."""


def stage_channels(image_size: int, width: int) -> list[int]:
    """Channels of the hidden stages from the largest side, `image_size` / 2, down to 4×4.

    Raises:
        ValueError: a size that is not one of `IMAGE_SIZES`.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size {image_size} is not one of {', '.join(map(str, IMAGE_SIZES))}")
    return [width * min(2**stage, MAX_FACTOR) for stage in range(image_size.bit_length() - 3)]


def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights as in Radford et al., section 4: convolutions N(0, 0.02), batch norm N(1, 0.02) and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Under spectral norm `weight` is computed from an original, and from vectors that are drawn as well.
            state = module.state_dict(keep_vars=True)
            weight = state.get("parametrizations.weight.original", module.weight)
            nn.init.normal_(weight, 0.0, 0.02, generator=random)
            for name in ("_u", "_v"):
                vector = state.get(f"parametrizations.weight.0.{name}")
                if vector is not None:
                    vector.normal_(generator=random).div_(vector.norm())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=random)
            nn.init.zeros_(module.bias)
