"""Networks of the usual DCGAN, their checkpoints, and what runs when it is unpickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

State = Mapping[str, Tensor]


def classic(z_dim: int, width: int, channels: int, size: int) -> nn.Sequential:
    """The usual DCGAN's generator of 64×64 or 128×128 images, in eval mode, with statistics that fit its weights."""
    features = [width * 2**stage for stage in reversed(range(size.bit_length() - 3))]
    layers: list[nn.Module] = [nn.ConvTranspose2d(z_dim, features[0], 4, 1, 0, bias=False)]
    for wide, narrow in zip(features, [*features[1:], channels], strict=True):
        layers += [
            nn.BatchNorm2d(wide, momentum=None),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
        ]
    network = nn.Sequential(*layers, nn.Tanh())
    random = torch.Generator().manual_seed(size + channels)
    for parameter in network.parameters():
        mean, deviation = (0.0, 0.1) if parameter.ndim == 4 else (1.0, 0.2)
        nn.init.normal_(parameter, mean, deviation, generator=random)
    with torch.no_grad():
        network(torch.randn(32, z_dim, 1, 1, generator=random))
    return network.eval()


def under(prefix: str, state: State) -> dict[str, Tensor]:
    """`state` with a prefix before its names."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def discriminator() -> dict[str, Tensor]:
    """The state dict of the usual DCGAN's discriminator of 64×64 images."""
    layers: list[nn.Module] = [nn.Conv2d(1, 2, 4, 2, 1, bias=False), nn.LeakyReLU()]
    for features in (2, 4, 8):
        layers += [nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * features), nn.LeakyReLU()]
    return under("main.", nn.Sequential(*layers, nn.Conv2d(16, 1, 4, 1, 0, bias=False)).state_dict())


def as_old_format(content: object, path: Path) -> None:
    """The format before PyTorch 1.6, which is no zip."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


class Call:
    """Unpickled by a reader that trusts it, it is what `function` returns."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call
