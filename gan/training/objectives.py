"""What each network is trained to make small: the losses of all of the discriminator's scores together."""

from __future__ import annotations

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

    def forward(self, real: Tensor, fake: Tensor, penalise: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss and what is watched.

        Args:
            real: photos as the discriminator sees them, float `[N, C, H, W]`.
            fake: generated images likewise, without gradient.
            penalise: add the gradient penalties, `penalty_interval` times their weight.

        Returns:
            Four scalars: the loss; the penalty; and without gradient the mean probabilities D(x) and D(G(z)).
        """
        config = self.config
        of_real, redrawn = self.d.look(real)
        of_fake, _ = self.d.look(fake)
        pairs, smoothing = zip(of_real, of_fake, strict=True), config.label_smoothing
        loss = sum((self.loss.of_d(r.float(), f.float(), smoothing) for r, f in pairs), real.new_zeros(()))
        if redrawn is not None:
            loss = loss + F.l1_loss(redrawn.float(), F.adaptive_avg_pool2d(real, redrawn.shape[-1]))
        penalty = real.new_zeros(())
        if penalise:
            with torch.autocast(real.device.type, enabled=False):  # a gradient of a gradient needs the precision
                for gamma, images in ((config.r1_gamma, real), (config.r2_gamma, fake)):
                    if gamma:
                        seen = images.detach().requires_grad_()
                        logits = torch.stack([s.reshape(len(s), -1).mean(1) for s in self.d.look(seen)[0]]).sum(0)
                        penalty = penalty + gamma / 2 * config.penalty_interval * losses.gradient_penalty(logits, seen)
        p_real, p_fake = (probability(self.loss, *of) for of in ((of_real[0], of_fake[0]), (of_fake[0], of_real[0])))
        return loss, penalty, p_real, p_fake


def generator_loss(d: AnyDiscriminator, loss: losses.Loss, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss and the mean probability D(G(z)); `d` gets no gradient where it requires none."""
    of_fake, _ = d.look(fake)
    of_real = of_fake  # where the loss does not look at the photos
    if loss.relative:
        with torch.no_grad():
            of_real, _ = d.look(real)
    pairs = zip(of_fake, of_real, strict=True)
    total = sum((loss.of_g(f.float(), r.float()) for f, r in pairs), fake.new_zeros(()))
    return total, probability(loss, of_fake[0], of_real[0])


@torch.no_grad()
def probability(loss: losses.Loss, logits: Tensor, others: Tensor) -> Tensor:
    """The mean probability of "real"; where the loss fixes no zero, relative to the mean logit of the `others`."""
    zero = others.float().mean() if loss.relative else 0.0
    return (logits.float() - zero).sigmoid().mean()
