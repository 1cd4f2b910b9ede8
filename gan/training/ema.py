"""An exponential moving average of the generator (Yazıcı et al., "The Unusual Effectiveness of Averaging", 2019)."""

from __future__ import annotations

import torch
from torch import nn


def decay(batch_images: int, shown_kimg: float, half_life_kimg: float) -> float:
    """The factor that the average keeps in one step.

    The half-life grows with training, to at most a twentieth of what was shown so far, so that the first
    random weights are soon forgotten (Karras et al. 2020, StyleGAN2-ADA, the EMA ramp-up).

    Args:
        batch_images: real images shown in this step.
        shown_kimg: thousands of real images shown so far.
        half_life_kimg: the full half-life in thousands of images.
    """
    half_life = min(half_life_kimg, shown_kimg * 0.05) * 1000
    return float(0.5 ** (batch_images / max(half_life, 1e-8)))


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move `average` towards `network`; batch-norm statistics are averaged too, counters are copied."""
    source = network.state_dict()
    target = average.state_dict()
    assert target.keys() == source.keys()
    for name, tensor in target.items():
        if tensor.is_floating_point():
            tensor.lerp_(source[name], 1.0 - keep)
        else:
            tensor.copy_(source[name])
