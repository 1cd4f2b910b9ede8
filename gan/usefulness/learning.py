"""What learning by steps has in common: which images a step sees, its rate, and chance that a seed fixes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

AT_ONCE = 64
"""Images that are judged at once."""
_WARM_UP = 0.1
"""Of all steps: so long the rate rises."""


@dataclass(frozen=True)
class Chance:
    """Sources of randomness that do not disturb each other: one arm augments and another does not, both in one order.

    Attributes:
        weights: of the network to begin with.
        order: of the images.
        changes: what augmentation draws.
    """

    weights: torch.Generator
    order: torch.Generator
    changes: torch.Generator

    @classmethod
    def of(cls, seed: int) -> Chance:
        """All three from one seed."""
        first = torch.Generator().manual_seed(seed)
        seeds = torch.randint(2**62, (3,), generator=first).tolist()
        return cls(*(torch.Generator().manual_seed(each) for each in seeds))


def draws(count: int, weights: Tensor | None, batch_size: int, steps: int, random: torch.Generator) -> Iterator[Tensor]:
    """For each step the places of its images, int64 `[batch_size]`.

    In each round of `count` images every image comes as often as its weight says, rounded up or down (systematic
    resampling: Kitagawa, "Monte Carlo Filter and Smoother", J. Comput. Graph. Stat. 1996, appendix); with equal weights
    each comes once.

    Args:
        count: of images.
        weights: float64 `[count]`, not all 0; None: equal.
        batch_size: images in a step.
        steps: how many.
        random: draws the order.
    """
    heights = (torch.ones(count, dtype=torch.float64) if weights is None else weights.double()).cumsum(0)
    coming = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(coming) < batch_size:
            at = torch.arange(count) + torch.rand((), generator=random, dtype=torch.float64)
            places = torch.searchsorted(heights, at * (heights[-1] / count), right=True).clamp_max(count - 1)
            coming = torch.cat([coming, places[torch.randperm(count, generator=random)]])
        yield coming[:batch_size]
        coming = coming[batch_size:]


def learn(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, object]],
    rate: float,
    steps: int,
    batches: Iterable[Tensor],
    loss_of: Callable[[Tensor], Tensor],
) -> None:
    """Minimise a loss by AdamW; the rate rises for a tenth of the steps, and falls along a cosine to 0.

    Args:
        parameters: what is learned, or groups of it.
        rate: the highest.
        steps: how many batches there are.
        batches: places of images.
        loss_of: the loss on the images at these places.
    """
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-2)
    warm = max(1, round(_WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / warm) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    for places in batches:
        optimiser.zero_grad()
        torch.autograd.backward(loss_of(places))
        optimiser.step()
        schedule.step()


def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights of convolutions and linear layers for ReLU (He et al., ICCV 2015), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
