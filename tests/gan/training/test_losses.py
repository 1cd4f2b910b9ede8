"""Losses against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gan.training.losses import bce_d_loss, bce_g_loss, gradient_penalty, hinge_d_loss, hinge_g_loss, relativistic_loss

LOG_2 = math.log(2)
REAL = torch.tensor([0.3, -1.2, 4.0, 0.0])
FAKE = torch.tensor([-2.0, 0.7, 1.0, -0.1])


def bce(logits: Tensor, target: float) -> Tensor:
    """The usual cross-entropy of probabilities."""
    value: Tensor = nn.BCELoss()(logits.sigmoid(), torch.full_like(logits, target))
    return value


def test_a_discriminator_that_knows_nothing_pays_log_2_for_each_half() -> None:
    assert bce_d_loss(torch.zeros(8), torch.zeros(8)).item() == pytest.approx(2 * LOG_2)


def test_a_generator_whose_images_are_undecided_pays_log_2() -> None:
    assert bce_g_loss(torch.zeros(8)).item() == pytest.approx(LOG_2)


def test_discriminator_loss_is_the_cross_entropy_of_its_probabilities() -> None:
    assert bce_d_loss(REAL, FAKE).item() == pytest.approx((bce(REAL, 1) + bce(FAKE, 0)).item(), rel=1e-5)


def test_generator_loss_is_the_cross_entropy_of_generated_images_called_real() -> None:
    assert bce_g_loss(FAKE).item() == pytest.approx(bce(FAKE, 1).item(), rel=1e-5)


def test_label_smoothing_lowers_the_target_of_real_images_only() -> None:
    expected = bce(REAL, 0.9) + bce(FAKE, 0)
    assert bce_d_loss(REAL, FAKE, label_smoothing=0.1).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("loss", [bce_d_loss, hinge_d_loss, relativistic_loss])
def test_losses_stay_finite_where_the_discriminator_is_very_sure_and_wrong(loss: object) -> None:
    assert callable(loss)
    assert loss(torch.tensor([-1e4]), torch.tensor([1e4])).isfinite()


def test_relativistic_loss_of_equal_logits_is_log_2_wherever_they_lie() -> None:
    assert relativistic_loss(REAL + 100, REAL + 100).item() == pytest.approx(LOG_2)


def test_relativistic_loss_depends_on_differences_only() -> None:
    assert relativistic_loss(REAL + 7, FAKE + 7).item() == pytest.approx(relativistic_loss(REAL, FAKE).item(), rel=1e-5)


def test_relativistic_loss_compares_pairs_and_not_means() -> None:
    expected = torch.log1p(torch.exp(FAKE - REAL)).mean()
    assert relativistic_loss(REAL, FAKE).item() == pytest.approx(expected.item(), rel=1e-5)


def test_hinge_loss_asks_for_a_margin_of_1_on_either_side() -> None:
    assert hinge_d_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -9.0])).item() == 0
    assert hinge_d_loss(torch.tensor([0.25, -2.0]), torch.tensor([-0.5, 1.0])).item() == pytest.approx(
        (0.75 + 3.0) / 2 + (0.5 + 2.0) / 2
    )


def test_hinge_loss_of_a_discriminator_that_knows_nothing_is_2() -> None:
    assert hinge_d_loss(torch.zeros(8), torch.zeros(8)).item() == 2


def test_the_generator_beside_a_hinge_loss_raises_the_logits_of_its_images() -> None:
    assert hinge_g_loss(FAKE).item() == pytest.approx(-FAKE.mean().item())


def test_r1_of_a_linear_discriminator_is_its_squared_weight_norm() -> None:
    weight = torch.linspace(-1, 2, 3 * 4 * 4).reshape(3, 4, 4)
    images = torch.randn((5, 3, 4, 4), generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = (images * weight).sum(dim=(1, 2, 3))
    assert gradient_penalty(logits, images).item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_r1_can_be_minimised() -> None:
    weight = torch.full((1, 4, 4), 2.0, requires_grad=True)
    images = torch.zeros((2, 1, 4, 4), requires_grad=True)
    gradient_penalty((images * weight).sum(dim=(1, 2, 3)), images).backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * weight.detach())
