"""A discriminator of images and their masks: it scores the image alone, and then the two together.

An image alone has to pass whatever its mask is, so that a good mask cannot pay for a bad picture; and together they
have to fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.networks.two_part import TwoPartDiscriminator


class PairDiscriminator(nn.Module):
    """Images with masks to the scores of two `TwoPartDiscriminator`, one of which does not see the mask.

    Args:
        channels: of what it sees of an image, image channels times bands; the mask is one more, the last.
        width, image_size, fine, classes: as of `TwoPartDiscriminator`.
    """

    def __init__(
        self, channels: int = 3, width: int = 16, image_size: int | str = 128, fine: int = 1, classes: int = 0
    ) -> None:
        super().__init__()
        self.channels = channels + 1
        self.images = TwoPartDiscriminator(channels, width, image_size, fine, classes)
        self.pairs = TwoPartDiscriminator(channels + 1, width, image_size, fine, classes)

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with."""
        self.images.initialise(random)
        self.pairs.initialise(random)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of whole images and of whole pairs, added: float `[N, channels, height, width]` to `[N]`."""
        logits: Tensor = self.images(images[:, :-1]) + self.pairs(images)
        return logits

    def look(self, images: Tensor, labels: Tensor | None = None) -> tuple[list[Tensor], None]:
        """All scores: those of images and then those of pairs; with labels the second half is of classes.

        Args:
            images: float `[N, channels, height, width]`, the mask last.
            labels: int64 `[N]`: what they show, or should.
        """
        alone, _ = self.images.look(images[:, :-1], labels)
        together, _ = self.pairs.look(images, labels)
        return [*alone[:2], *together[:2], *alone[2:], *together[2:]], None
