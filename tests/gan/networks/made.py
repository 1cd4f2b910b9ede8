"""Networks with unusual weights, what goes into them, and how large they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def unusual(network: nn.Module, seed: int = 3) -> nn.Module:
    """`network` in eval mode with weights and batch-norm statistics that no other has."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2, generator=random)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.2, generator=random)
    return network.eval()


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
