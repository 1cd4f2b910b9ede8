"""What each option of a training step does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gan.networks.pixels import to_float
from gan.photos.read import ImageSet
from gan.training.trainer import Trainer
from gan.training.validation import Measured
from tests.gan.conftest import CPU, after, numbered, same, tiny

OPTIONS: dict[str, Any] = {
    "instance_noise": 0.1,
    "grad_clip": 0.01,
    "label_smoothing": 0.1,
    "d_steps": 2,
    "d_lr": 0.001,
    "lr": 0.001,
    "beta1": 0.0,
    "beta2": 0.9,
    "r1_gamma": 10.0,
    "augment": True,
    "flip": "both",
    "standardize": True,
    "minibatch_stddev": True,
    "d_batch_norm": True,
    "loss": "relativistic",
    "precision": "bfloat16",
    "batch_size": 6,
    "r2_gamma": 10.0,
    "d_spectral_norm": True,
    "d_patches": True,
    "d_decoder": True,
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_what_a_few_steps_teach(plates: ImageSet, option: str) -> None:
    plain = after(3, plates.images, tiny(d_batch_norm=False))
    changed = after(3, plates.images, tiny(**{"d_batch_norm": False, option: OPTIONS[option]}))
    assert not same(dict(changed.g.state_dict()), dict(plain.g.state_dict()))


def test_bands_change_what_a_few_steps_teach(plates: ImageSet) -> None:
    plain, banded = (after(3, plates.images, tiny(standardize=True, bands=bands)) for bands in (False, True))
    assert not same(dict(banded.g.state_dict()), dict(plain.g.state_dict()))


def test_an_average_changes_what_is_saved_and_not_what_is_trained(plates: ImageSet) -> None:
    plain, averaged = after(3, plates.images, tiny()), after(3, plates.images, tiny(ema_kimg=1.0))
    assert same(dict(averaged.g.state_dict()), dict(plain.g.state_dict()))
    assert not same(dict(averaged.generator.state_dict()), dict(plain.generator.state_dict()))


def test_clipping_bounds_the_gradient_of_each_network(plates: ImageSet) -> None:
    trainer = after(1, plates.images, tiny(grad_clip=0.01))
    for network in (trainer.g, trainer.d):
        norm = torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm()
        assert norm <= 0.0101


def test_a_penalty_keeps_the_discriminator_flatter(plates: ImageSet) -> None:
    def slope(gamma: float) -> float:
        easy = {"lr": 1e-5, "d_lr": 0.005}  # a generator that hardly learns is told apart ever more steeply
        trainer = after(
            20, plates.images, tiny(d_batch_norm=False, r1_gamma=gamma, penalty_interval=1, epochs=10, **easy)
        )
        images = to_float(plates.images).requires_grad_()
        (gradient,) = torch.autograd.grad(trainer.d(images).sum(), images)
        return gradient.square().sum().item()

    assert slope(100.0) < slope(0.0) / 10


def test_standardized_images_are_seen_with_mean_0_and_deviation_1(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(standardize=True), CPU)
    seen = trainer._as_seen(to_float(plates.images))
    assert seen.mean().item() == pytest.approx(0.0, abs=1e-4)
    assert seen.std().item() == pytest.approx(1.0, abs=1e-3)


def test_images_of_one_value_can_be_standardized() -> None:
    trainer = after(1, torch.full((10, 1, 32, 32), 40, dtype=torch.uint8), tiny(standardize=True))
    assert trainer.is_finite()


def test_instance_noise_has_its_deviation_at_the_start(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(instance_noise=0.3), CPU)
    real = to_float(plates.images)
    assert (trainer._as_seen(real) - real).std().item() == pytest.approx(0.3, rel=0.02)


def test_instance_noise_has_fallen_by_half_half_way(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(instance_noise=0.3), CPU)
    trainer.step = trainer.total_steps // 2
    real = to_float(plates.images)
    assert (trainer._as_seen(real) - real).std().item() == pytest.approx(0.15, rel=0.02)


def test_instance_noise_is_gone_at_the_end(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(instance_noise=0.3), CPU)
    trainer.step = trainer.total_steps
    assert torch.equal(trainer._as_seen(to_float(plates.images)), to_float(plates.images))


def test_flipped_training_images_are_the_photos_or_their_mirror_images(plates: ImageSet) -> None:
    photos = to_float(plates.images)
    known = {tuple(image.flatten().tolist()) for way in (photos, photos.flip(3)) for image in way}
    batch = Trainer(plates.images, tiny(flip="horizontal"), CPU)._real_batch(0)
    assert all(tuple(image.flatten().tolist()) in known for image in batch)


def test_learning_rates_stay_and_then_fall_to_next_to_nothing(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(lr=0.01, d_lr=0.02, lr_decay=0.5, epochs=4), CPU)
    rates = []
    for _ in range(trainer.total_steps):
        trainer.train_step()
        rates.append((trainer.g_optimiser.param_groups[0]["lr"], trainer.d_optimiser.param_groups[0]["lr"]))
    assert trainer.total_steps == 12
    assert rates[:7] == [(0.01, 0.02)] * 7
    assert rates[9] == pytest.approx((0.005, 0.01))
    assert rates[11] == pytest.approx((0.01 / 6, 0.02 / 6))


@pytest.mark.parametrize(("count", "rate"), [(99, 0.01), (100, 0.02)])
def test_an_automatic_rate_of_the_discriminator_is_that_of_the_generator_on_few_images(count: int, rate: float) -> None:
    trainer = Trainer(numbered(count), tiny(lr=0.01, d_lr="auto"), CPU)
    trainer.train_step()
    assert trainer.d_optimiser.param_groups[0]["lr"] == trainer.config.d_lr == pytest.approx(rate)
    assert trainer.g_optimiser.param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize(("lr_decay", "step", "kept"), [(0.5, 5, False), (0.5, 6, True), (0.0, 1, True)])
def test_no_generator_is_the_best_before_its_learning_rate_falls(
    plates: ImageSet, lr_decay: float, step: int, kept: bool
) -> None:
    trainer = Trainer(plates.images, tiny(lr_decay=lr_decay, epochs=4), CPU)
    assert trainer.total_steps == 12
    trainer.step = step
    assert trainer.validated(Measured(1.0, 1.0))  # where none is the best, the newest is left
    assert (trainer.best is not None) == kept


def test_lazy_penalty_comes_every_nth_step_with_n_times_the_weight(
    plates: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps_with_a_penalty(interval: int, gamma: float) -> tuple[list[int], float]:
        seen: list[int] = []

        def penalty(logits: Tensor, images: Tensor) -> Tensor:
            seen.append(trainer.step)
            return weight * 1

        weight = torch.ones((), requires_grad=True)
        monkeypatch.setattr("gan.training.losses.gradient_penalty", penalty)
        trainer = Trainer(
            plates.images, tiny(d_batch_norm=False, r1_gamma=gamma, penalty_interval=interval, epochs=2), CPU
        )
        for _ in range(6):
            trainer.train_step()
        assert weight.grad is not None
        return seen, weight.grad.item()

    assert steps_with_a_penalty(1, 4.0) == ([0, 1, 2, 3, 4, 5], 6 * 4.0 / 2)
    assert steps_with_a_penalty(3, 4.0) == ([0, 3], 2 * 3 * 4.0 / 2)


def test_first_latents_are_not_the_first_weights(plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(), CPU)
    weights = next(trainer.g.parameters()).detach().flatten()
    z = torch.randn(weights.numel(), generator=trainer.random)
    assert not torch.allclose(z, weights / 0.02, atol=1e-3)
