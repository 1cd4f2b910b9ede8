"""A discriminator in two parts: one sees all detail, in patches alone; the other sees the whole, coarsely alone.

A discriminator of whole images at full resolution learns a few hundred photos by heart: it soon tells each of them by
its grain, and what it then asks of the generator is lace at edges, not scratches. A part that scores patches cannot
tell which photo a patch is from, and has thousands of them (Isola et al., CVPR 2017, section 3.2.2; Demir and Unal,
"Patch-Based Image Inpainting with Generative Adversarial Networks", 2018, have both parts). What a patch is too small
for, that a scratch goes on and where one may lie, shows at a quarter of the pixels and without the finest band.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.discriminator import MinibatchStddev
from gan.sizes import proportioned, sides

WHOLE_SIDE = 64
"""Pixels of the side that the whole image is seen with, where it is a square; of others there are about as many."""
_STEP = 16
"""Both sides of it are multiples, as they are halved up to four times."""
_GAIN = 0.7
"""Of the weights to begin with, times those that keep the variance."""


class TwoPartDiscriminator(nn.Module):
    """Images to scores of the whole and of patches of 38×38 pixels.

    Args:
        channels: of what it sees, image channels times bands.
        width: channels of the first stage of either part.
        image_size: of the images in pixels, as `gan.config.TrainConfig` has it; sides are multiples of 32.
        fine: how many channels, the first ones, the part that sees the whole does not get.
        classes: that it can be told; either part then scores whether the image is one of its class, too.
    """

    def __init__(
        self, channels: int = 3, width: int = 16, image_size: int | str = 128, fine: int = 1, classes: int = 0
    ) -> None:
        super().__init__()
        self.channels, self.width, self.image_size, self.fine = channels, width, image_size, fine
        wide, height = sides(image_size)
        self.seen = proportioned(height, wide, min(WHOLE_SIDE, math.sqrt(height * wide)), _STEP)
        halvings = math.prod(self.seen).bit_length() // 2 - 2  # a square ends as 4×4
        self.patches = nn.Sequential(
            *_halvings([channels, width, 2 * width, 4 * width]),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 1),
        )
        widths = [channels - fine, *(width << stage for stage in range(halvings))]
        left = self.seen[0] >> halvings, self.seen[1] >> halvings
        self.whole = nn.Sequential(*_halvings(widths), MinibatchStddev(), nn.Conv2d(widths[-1] + 1, 1, left))
        self.whole_classes = nn.Embedding(classes, widths[-1]) if classes else None
        self.patch_classes = nn.Embedding(classes, 4 * width) if classes else None

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with (He et al., ICCV 2015, equation 15)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, 0.2, generator=random)
                with torch.no_grad():
                    module.weight.mul_(_GAIN)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.zeros_(module.weight)  # at first it says of a class what it says of all

    def forward(self, images: Tensor) -> Tensor:
        """Logits of whole images: float `[N, channels, height, width]` to `[N]`."""
        whole: Tensor = self.whole(self._coarse(images))
        return whole.flatten()

    def look(self, images: Tensor, labels: Tensor | None = None) -> tuple[list[Tensor], None]:
        """All scores; nothing is redrawn.

        Args:
            images: float `[N, channels, height, width]`.
            labels: int64 `[N]`: what the images show, or should.

        Returns:
            Logits of the whole images, float `[N]`, and of their patches, `[N, P]`. With labels the same two again as
            those of images of their class: the logit and the product of the features with numbers of the class (Miyato
            and Koyama, "cGANs with Projection Discriminator", ICLR 2018).
        """
        if labels is None or self.whole_classes is None or self.patch_classes is None:
            return [self(images), self.patches(images).flatten(1)], None
        coarse, fine = self.whole[:-2](self._coarse(images)), self.patches[:-1](images)
        whole, patches = self.whole[-2:](coarse).flatten(), self.patches[-1](fine).flatten(1)
        of_class = (self.whole_classes(labels) * coarse.mean(dim=(2, 3))).sum(dim=1)
        patches_of_class = (self.patch_classes(labels)[:, :, None, None] * fine).sum(dim=1).flatten(1)
        return [whole, patches, whole + of_class, patches + patches_of_class], None

    def _coarse(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images[:, self.fine :], self.seen)


def _halvings(widths: list[int]) -> list[nn.Module]:
    """Convolutions that halve the size, from one width to the next, each with its LeakyReLU."""
    return [
        layer
        for before, after in itertools.pairwise(widths)
        for layer in (nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2))
    ]
