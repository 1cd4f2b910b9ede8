"""A small generator that gives a mask with each image."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from gan.config import TrainConfig
from gan.networks.generator import Generator
from models.latents import Input


class Masked(Generator):
    """A latent to 32×32, gray: a matrix and a transposed convolution, whose second channel is the mask."""

    architecture = "masked"

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.z_dim, self.channels, self.height, self.width = z_dim, 1, 32, 32
        self.first = nn.Linear(z_dim, 4 * 16 * 16)
        self.last = nn.ConvTranspose2d(4, 2, 4, 2, 1)

    @property
    def inputs(self) -> dict[str, Input]:
        return {"z": Input("float32", (self.z_dim,))}

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("images", "masks")

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        return cls(config.z_dim)

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        if set(state) != {"first.weight", "first.bias", "last.weight", "last.bias"}:
            raise ValueError("not a masked generator")
        with torch.device("meta"):
            return cls(state["first.weight"].shape[1])

    def initialise(self, random: torch.Generator) -> None:
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, 0.3, generator=random)

    def for_export(self) -> nn.Module:
        return copy.deepcopy(self).eval().double()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        made = self.last(self.first(z).reshape(-1, 4, 16, 16).relu()).tanh()
        return made[:, :1], made[:, 1:]


def masked(z_dim: int = 8) -> Masked:
    """One whose images and masks have contrast."""
    generator = Masked(z_dim)
    generator.initialise(torch.Generator().manual_seed(0))
    return generator.eval()
