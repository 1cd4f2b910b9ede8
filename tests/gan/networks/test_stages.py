"""The weights that a network begins with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.networks.stages import initialise


def test_convolutions_begin_with_mean_0_and_deviation_002() -> None:
    generator = DCGAN()
    initialise(generator, torch.Generator().manual_seed(0))
    weights = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert abs(weights.mean().item()) < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


def test_batch_norm_begins_with_weights_around_1_of_deviation_002() -> None:
    generator = DCGAN()
    initialise(generator, torch.Generator().manual_seed(0))
    weights = torch.cat([m.weight for m in generator.modules() if isinstance(m, nn.BatchNorm2d)])
    assert weights.mean().item() == pytest.approx(1.0, abs=0.003)
    assert weights.std().item() == pytest.approx(0.02, rel=0.15)


def test_biases_begin_at_zero() -> None:
    discriminator = Discriminator(1, 2, batch_norm=False)
    initialise(discriminator, torch.Generator().manual_seed(0))
    assert all((m.bias == 0).all() for m in discriminator.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)


def test_the_same_seed_begins_with_the_same_weights() -> None:
    first, second = DCGAN(8, 1, 2), DCGAN(8, 1, 2)
    for network in (first, second):
        initialise(network, torch.Generator().manual_seed(6))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
