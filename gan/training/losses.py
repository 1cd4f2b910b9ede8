"""Losses as pure functions of logits, float `[N]`; each returns a scalar mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def bce_d_loss(real: Tensor, fake: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Discriminator's binary cross-entropy (Goodfellow et al. 2014), the sum over the real and generated halves.

    `label_smoothing` s makes the target of real images 1 - s: one-sided (Salimans et al. 2016, section 3.4).
    """
    target = torch.full_like(real, 1.0 - label_smoothing)
    return F.binary_cross_entropy_with_logits(real, target) + F.softplus(fake).mean()


def bce_g_loss(fake: Tensor) -> Tensor:
    """Generator's non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def hinge_d_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Discriminator's hinge loss (Lim & Ye 2017; Miyato et al. 2018, equation 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_g_loss(fake: Tensor) -> Tensor:
    """Generator's loss beside it (Miyato et al. 2018, equation 17)."""
    return -fake.mean()


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Softplus of each pair's difference (Jolicoeur-Martineau 2018; Huang et al. 2024, equation 2).

    `(real, fake)` is the discriminator's loss, `(fake, real)` the generator's.
    """
    return F.softplus(worse - better).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared gradient norm of D at images: R1 at real, R2 at generated ones, without γ/2.

    Mescheder et al. 2018, equations 9 and 10.

    Args:
        logits: `[N]`, computed from `images`.
        images: `[N, C, H, W]` with `requires_grad`.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


@dataclass(frozen=True)
class Loss:
    """One of the losses: what each network makes small, and what has to be known of it elsewhere.

    Attributes:
        of_d: the discriminator's, of the logits of photos, of generated images, and the label smoothing.
        of_g: the generator's, of the logits of generated images and of photos; the latter only count where `relative`.
        relative: logits of the two kinds are compared with each other, and have no zero of their own.
        bounded: the discriminator's loss is 0 where it tells all apart by a margin, and pushes no further.
    """

    of_d: Callable[[Tensor, Tensor, float], Tensor]
    of_g: Callable[[Tensor, Tensor], Tensor]
    relative: bool = False
    bounded: bool = False


LOSSES = {
    "bce": Loss(bce_d_loss, lambda fake, real: bce_g_loss(fake)),
    "hinge": Loss(lambda real, fake, _: hinge_d_loss(real, fake), lambda fake, real: hinge_g_loss(fake), bounded=True),
    "relativistic": Loss(lambda real, fake, _: relativistic_loss(real, fake), relativistic_loss, relative=True),
}
"""By the name that `TrainConfig.loss` gives."""
