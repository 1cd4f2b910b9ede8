"""What each network is trained to make small: the losses of all of the discriminator's scores together."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import TrainConfig
from gan.networks.architectures import AnyDiscriminator
from gan.training import losses


class DiscriminatorLoss(nn.Module):
    """All that the discriminator's step needs in one forward pass: several GPUs then share one backward pass.

    Args:
        d: the discriminator.
        config: the options.
    """

    def __init__(self, d: AnyDiscriminator, config: TrainConfig) -> None:
        super().__init__()
        self.d, self.config, self.loss = d, config, losses.LOSSES[config.loss]

    def forward(
        self, real: Tensor, fake: Tensor, penalise: bool, labels: Tensor | None = None, strength: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss and what is watched.

        Args:
            real: photos as the discriminator sees them, float `[N, C, H, W]`.
            fake: generated images likewise, without gradient.
            penalise: add the gradient penalties, `penalty_interval` times their weight.
            labels: int64 `[N]`, of the photos and of the generated images alike, or None.
            strength: how much the scores of classes count beside those of images.

        Returns:
            Four scalars: the loss; the penalty; and without gradient the mean probabilities D(x) and D(G(z)).
        """
        config = self.config
        of_real, redrawn = self.d.look(real, labels)
        of_fake, _ = self.d.look(fake, labels)
        pairs, smoothing = zip(of_real, of_fake, strict=True), config.label_smoothing
        loss = added((self.loss.of_d(r.float(), f.float(), smoothing) for r, f in pairs), labels, strength)
        if redrawn is not None:
            loss = loss + F.l1_loss(redrawn.float(), F.adaptive_avg_pool2d(real, redrawn.shape[-1]))
        penalty = real.new_zeros(())
        if penalise:
            with torch.autocast(real.device.type, enabled=False):  # a gradient of a gradient needs the precision
                for gamma, images in ((config.r1_gamma, real), (config.r2_gamma, fake)):
                    if gamma:
                        seen = images.detach().requires_grad_()
                        scores = [score.reshape(len(score), -1).mean(1) for score in self.d.look(seen, labels)[0]]
                        # As strong beside the loss as without classes, whose scores come on top of the others.
                        logits = added(scores, labels, strength) / math.sqrt(1 + strength)
                        penalty = penalty + gamma / 2 * config.penalty_interval * losses.gradient_penalty(logits, seen)
        p_real, p_fake = (probability(self.loss, *of) for of in ((of_real[0], of_fake[0]), (of_fake[0], of_real[0])))
        return loss, penalty, p_real, p_fake


def generator_loss(
    d: AnyDiscriminator,
    loss: losses.Loss,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    strength: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The generator's loss and the mean probability D(G(z)); `d` gets no gradient where it requires none.

    `labels` and `strength` are those of `DiscriminatorLoss.forward`.
    """
    of_fake, _ = d.look(fake, labels)
    of_real = of_fake  # where the loss does not look at the photos
    if loss.relative:
        with torch.no_grad():
            of_real, _ = d.look(real, labels)
    pairs = zip(of_fake, of_real, strict=True)
    total = added((loss.of_g(f.float(), r.float()) for f, r in pairs), labels, strength)
    return total, probability(loss, of_fake[0], of_real[0])


def added(values: Iterable[Tensor], labels: Tensor | None, strength: float) -> Tensor:
    """The sum over all scores; with labels the second half of them is of classes and counts by `strength`.

    Shahbazi et al., "Collapse by Conditioning: Training Class-conditional GANs with Limited Data", ICLR 2022.
    """
    each = list(values)
    if labels is None:
        return torch.stack(each).sum(dim=0)
    of_images, of_classes = each[: len(each) // 2], each[len(each) // 2 :]
    return torch.stack(of_images).sum(dim=0) + strength * torch.stack(of_classes).sum(dim=0)


@torch.no_grad()
def probability(loss: losses.Loss, logits: Tensor, others: Tensor) -> Tensor:
    """The mean probability of "real"; where the loss fixes no zero, relative to the mean logit of the `others`."""
    zero = others.float().mean() if loss.relative else 0.0
    return (logits.float() - zero).sigmoid().mean()
