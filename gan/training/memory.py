"""Whether a run fits into the memory, known before a step: where it does not, Linux kills a process without a word."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.config import TrainConfig
from gan.networks.architectures import AnyDiscriminator, new_discriminator, new_generator
from gan.networks.generator import Generator
from models.errors import CommandError, ExitCode, free_memory, size

LESS_MEMORY = "take a smaller `batch_size`, `g_width` and `d_width`, or `image_size`"


def refuse_large_networks(config: TrainConfig, device: torch.device) -> None:
    """Refuse networks that cannot fit, before they are made. (A GPU says so itself.)

    Raises:
        CommandError: 69 with what is needed at least and what is free.
    """
    with torch.device("meta"):  # shapes alone
        networks = new_generator(config), new_discriminator(config)
    _refuse(_weight_bytes(*networks), device)


def refuse_large_batch(
    g: Generator, d: AnyDiscriminator, config: TrainConfig, batch: int, device: torch.device
) -> None:
    """Refuse a batch that cannot fit beside its networks.

    Args:
        g, d: the networks; nothing in them changes.
        config: the options.
        batch: images of a batch that are this process's.
        device: where they are.

    Raises:
        CommandError: 69 with what is needed at least and what is free.
    """
    _refuse(_weight_bytes(g, d) * 3 // 4 + step_bytes(g, d, config, batch), device)  # the weights are there


def step_bytes(g: Generator, d: AnyDiscriminator, config: TrainConfig, batch: int) -> int:
    """What a step holds at once, and no less, beside weights and averages: what the layers give for the generated
    images, and for these and the photos in the discriminator. It is counted with two images.
    """
    device = next(d.parameters()).device
    kinds = {"float32": torch.float32, "int64": torch.int64}
    inputs = {
        name: torch.zeros((2, *needed.shape), dtype=kinds[needed.dtype], device=device)
        for name, needed in g.inputs.items()
    }
    width, height = config.size
    seen = torch.zeros((2, d.channels, height, width), device=device)
    numbers = (_numbers_given(g, **inputs) + 2 * _numbers_given(d, seen)) / 2
    return int(numbers * batch * (2 if config.precision == "bfloat16" else 4))


def _weight_bytes(*networks: nn.Module) -> int:
    """Of float32 weights, their gradients, and Adam's two averages."""
    return 4 * 4 * sum(parameter.numel() for network in networks for parameter in network.parameters())


def _refuse(needed: int, device: torch.device) -> None:
    free = free_memory()
    if device.type == "cpu" and needed > free:
        raise CommandError(
            ExitCode.NO_DEVICE,
            f"not enough memory: at least {size(needed)} are needed, {size(free)} are free; {LESS_MEMORY}",
        )


@torch.no_grad()
def _numbers_given(network: nn.Module, *arguments: Tensor, **named: Tensor) -> int:
    """How many numbers the layers of a network give in all; what one writes over another's counts once."""
    found: dict[int, Tensor] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            found[output.data_ptr()] = output  # kept, so that no other gets its place

    layers = [module for module in network.modules() if not list(module.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    was_training = network.training
    network.eval()  # so that no statistic moves
    network(*arguments, **named)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return sum(output.numel() for output in found.values())
