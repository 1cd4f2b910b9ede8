"""What each network is trained to make small, against the losses of each score by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan.config import CHOICES
from gan.networks.discriminator import Discriminator
from gan.training import losses
from gan.training.objectives import DiscriminatorLoss, generator_loss, probability
from tests.gan.conftest import tiny

PLAIN: dict[str, Any] = {"d_batch_norm": False, "image_size": 32}


def images(seed: int, count: int = 6) -> Tensor:
    """Noise."""
    return torch.randn((count, 1, 32, 32), generator=torch.Generator().manual_seed(seed))


def discriminator(patches: bool = False, decoder: bool = False) -> Discriminator:
    """One whose scores differ from image to image."""
    network = Discriminator(1, 2, False, image_size=32, patches=patches, decoder=decoder)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3, generator=random)
    return network


def d_loss(d: Discriminator, penalise: bool = False, **options: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a step of the discriminator makes small, and what is watched."""
    result: tuple[Tensor, Tensor, Tensor, Tensor] = DiscriminatorLoss(d, tiny(**{**PLAIN, **options}))(
        images(2), images(3), penalise
    )
    return result


EXPECTED = {
    "bce": (losses.bce_d_loss, losses.bce_g_loss),
    "hinge": (losses.hinge_d_loss, losses.hinge_g_loss),
    "relativistic": (losses.relativistic_loss, None),
}


def test_every_loss_is_looked_at_here() -> None:
    assert EXPECTED.keys() == set(CHOICES["loss"])


@pytest.mark.parametrize("loss", EXPECTED)
def test_discriminators_loss_is_the_one_that_was_asked_for(loss: str) -> None:
    d = discriminator()
    expected = EXPECTED[loss][0](d(images(2)), d(images(3)))
    torch.testing.assert_close(d_loss(d, loss=loss)[0], expected)


@pytest.mark.parametrize("loss", EXPECTED)
def test_generators_loss_is_the_one_that_was_asked_for(loss: str) -> None:
    d, of_one = discriminator(), EXPECTED[loss][1]
    real, fake = d(images(2)), d(images(3))
    expected = losses.relativistic_loss(fake, real) if of_one is None else of_one(fake)
    torch.testing.assert_close(generator_loss(d, losses.LOSSES[loss], images(2), images(3))[0], expected)


@pytest.mark.parametrize("loss", EXPECTED)
def test_patches_add_the_loss_of_their_own_scores(loss: str) -> None:
    d = discriminator(patches=True)
    real, fake = d.look(images(2))[0], d.look(images(3))[0]
    expected = sum(EXPECTED[loss][0](r, f) for r, f in zip(real, fake, strict=True))
    torch.testing.assert_close(d_loss(d, loss=loss)[0], expected)


def test_label_smoothing_reaches_the_patches() -> None:
    d = discriminator(patches=True)
    real, fake = d.look(images(2))[0], d.look(images(3))[0]
    expected = sum(losses.bce_d_loss(r, f, 0.1) for r, f in zip(real, fake, strict=True))
    torch.testing.assert_close(d_loss(d, label_smoothing=0.1)[0], expected)


def test_a_decoder_adds_the_mean_absolute_error_of_the_photos_it_redraws() -> None:
    d = discriminator(decoder=True)
    redrawn = d.look(images(2))[1]
    assert redrawn is not None
    expected = losses.bce_d_loss(d(images(2)), d(images(3))) + (redrawn - images(2)).abs().mean()
    torch.testing.assert_close(d_loss(d)[0], expected)


def test_a_decoder_of_large_images_redraws_them_smaller() -> None:
    d = Discriminator(1, 2, False, image_size=128, decoder=True)
    photos = torch.rand((4, 1, 128, 128), generator=torch.Generator().manual_seed(4))
    redrawn = d.look(photos)[1]
    assert redrawn is not None
    expected = losses.bce_d_loss(d(photos), d(-photos)) + F.l1_loss(redrawn, F.avg_pool2d(photos, 2))
    torch.testing.assert_close(DiscriminatorLoss(d, tiny(d_batch_norm=False))(photos, -photos, False)[0], expected)


def test_what_the_decoder_gets_wrong_teaches_it_and_the_stages_before_it() -> None:
    d = discriminator(decoder=True)
    d_loss(d)[0].backward()
    assert d.decoder is not None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [*d.decoder.parameters(), *d.main.parameters()])


def test_the_generator_is_not_asked_to_be_redrawn() -> None:
    d = discriminator(decoder=True)
    loss, _ = generator_loss(d, losses.LOSSES["bce"], images(2), images(3))
    torch.testing.assert_close(loss, losses.bce_g_loss(d(images(3))))


@pytest.mark.parametrize(("penalty", "seed"), [("r1_gamma", 2), ("r2_gamma", 3)])
def test_each_penalty_looks_at_its_own_images(penalty: str, seed: int) -> None:
    d, seen = discriminator(), images(seed).requires_grad_()
    expected = 10.0 / 2 * 4 * losses.gradient_penalty(d(seen), seen)
    found = d_loss(d, True, penalty_interval=4, **{penalty: 10.0})[1]
    torch.testing.assert_close(found, expected)
    assert found > 0


def test_both_penalties_add_up() -> None:
    d = discriminator(patches=True)
    one, two, both = (
        d_loss(d, True, **options)[1]
        for options in ({"r1_gamma": 2.0}, {"r2_gamma": 5.0}, {"r1_gamma": 2.0, "r2_gamma": 5.0})
    )
    torch.testing.assert_close(both, one + two)


def test_a_penalty_bounds_the_patches_scores_too() -> None:
    d, seen = discriminator(patches=True), images(2).requires_grad_()
    whole, patches = d.look(seen)[0]
    expected = 1.0 / 2 * 8 * losses.gradient_penalty(whole + patches.mean(1), seen)
    torch.testing.assert_close(d_loss(d, True, r1_gamma=1.0)[1], expected)


def test_a_step_without_its_penalty_has_none() -> None:
    assert d_loss(discriminator(), False, r1_gamma=10.0, r2_gamma=10.0)[1].item() == 0


def test_a_penalty_is_computed_in_full_precision_whatever_surrounds_it() -> None:
    d = discriminator()
    with torch.autocast("cpu", torch.bfloat16):
        within = d_loss(d, True, r1_gamma=10.0)[1]
    assert within.dtype == torch.float32
    torch.testing.assert_close(within, d_loss(d, True, r1_gamma=10.0)[1])


@pytest.mark.parametrize("loss", ["bce", "hinge"])
def test_probabilities_are_sigmoids_of_the_logits(loss: str) -> None:
    d = discriminator()
    _, _, p_real, p_fake = d_loss(d, loss=loss)
    torch.testing.assert_close(p_real, d(images(2)).sigmoid().mean())
    torch.testing.assert_close(p_fake, d(images(3)).sigmoid().mean())


def test_probabilities_of_a_loss_without_a_zero_are_relative_to_the_other_kind() -> None:
    loss = losses.LOSSES["relativistic"]
    logits = torch.tensor([5.0, 7.0])
    shifted = probability(loss, logits + 100, torch.tensor([104.0, 106.0]))
    torch.testing.assert_close(shifted, (logits - 5).sigmoid().mean())
    assert probability(loss, logits, logits.mean().expand(2)).item() == pytest.approx(
        (1 / (1 + math.e) + 1 / (1 + 1 / math.e)) / 2
    )
