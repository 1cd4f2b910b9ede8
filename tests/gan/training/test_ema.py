"""The moving average of the generator."""

from __future__ import annotations

import copy

import pytest
import torch

from gan.networks.dcgan import DCGAN
from gan.training import ema


def filled(value: float, batches: int = 0) -> DCGAN:
    """A tiny generator whose tensors all hold `value`."""
    network = DCGAN(z_dim=2, width=1)
    for tensor in network.state_dict().values():
        tensor.fill_(value if tensor.is_floating_point() else batches)
    return network


def test_after_one_half_life_half_of_the_old_average_is_left() -> None:
    keep = ema.decay(batch_images=100, shown_kimg=1e6, half_life_kimg=10.0)
    assert keep ** (10_000 / 100) == pytest.approx(0.5)


def test_half_life_counts_images_and_not_steps() -> None:
    small, large = (ema.decay(images, shown_kimg=1e6, half_life_kimg=10.0) for images in (32, 64))
    assert small**2 == pytest.approx(large)


def test_early_on_the_half_life_is_a_twentieth_of_what_was_shown() -> None:
    keep = ema.decay(batch_images=100, shown_kimg=20.0, half_life_kimg=10.0)
    assert keep ** (1_000 / 100) == pytest.approx(0.5)


def test_half_life_grows_until_it_is_the_one_asked_for() -> None:
    kept = [ema.decay(64, shown, 10.0) for shown in (1.0, 10.0, 100.0, 200.0, 300.0)]
    assert kept[0] < kept[1] < kept[2] < kept[3] == kept[4]


def test_before_anything_was_shown_the_average_is_the_network() -> None:
    assert ema.decay(64, 0.0, 10.0) == 0.0


@pytest.mark.parametrize("name", ["main.0.weight", "main.1.weight", "main.1.running_mean", "main.1.running_var"])
def test_weights_and_batch_norm_statistics_are_averaged(name: str) -> None:
    average = filled(0.0)
    ema.update(average, filled(1.0), keep=0.75)
    torch.testing.assert_close(average.state_dict()[name], torch.full_like(average.state_dict()[name], 0.25))


def test_counters_are_copied() -> None:
    average = filled(0.0, batches=3)
    ema.update(average, filled(1.0, batches=7), keep=0.75)
    assert average.state_dict()["main.1.num_batches_tracked"].item() == 7


def test_the_network_itself_is_left_alone() -> None:
    network = filled(1.0)
    before = copy.deepcopy(network.state_dict())
    ema.update(filled(0.0), network, keep=0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_an_average_of_equal_networks_stays_what_it_is() -> None:
    average = filled(0.3)
    for _ in range(10):
        ema.update(average, filled(0.3), keep=0.9)
    assert torch.equal(average.state_dict()["main.0.weight"], filled(0.3).state_dict()["main.0.weight"])
