"""Networks with unusual weights, what goes into them, how large they are, and their state dicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.networks.dcgan import DCGAN

State = dict[str, Tensor]


def unusual(network: nn.Module, seed: int = 3) -> nn.Module:
    """`network` in eval mode with weights and batch-norm statistics that no other has."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2, generator=random)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.2, generator=random)
    return network.eval()


def settled(seed: int = 0, **options: Any) -> DCGAN:
    """A generator with random weights, and batch-norm statistics that fit them."""
    random = torch.Generator().manual_seed(seed)
    generator = DCGAN(8, 1, **{"widths": [16, 8, 4], **options})
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.1, generator=random)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.3, generator=random)
            nn.init.normal_(module.bias, 0, 0.3, generator=random)
            module.momentum = None  # the statistics are those of the next batch
    with torch.no_grad():
        generator.train()(torch.randn(256, 8, generator=random))
    return generator.eval()


def latents(count: int, z_dim: int) -> Tensor:
    """Standard normal `[N, z_dim]`."""
    return torch.randn((count, z_dim), generator=torch.Generator().manual_seed(4))


def photos(count: int, channels: int = 1, seed: int = 5) -> Tensor:
    """Noise in [-1, 1]."""
    return torch.rand((count, channels, 128, 128), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def stage_shapes(network: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes of one image after each convolution."""
    shapes: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network(x)
    return shapes


def parameters(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def prefixed(prefix: str, state: State) -> State:
    """With every name behind `prefix`."""
    return {prefix + name: tensor for name, tensor in state.items()}
