"""The discriminator: the mirror image of a DCGAN's generator, with what may help it to see more."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

from gan.networks import stages
from gan.networks.stages import stage_channels


class MinibatchStddev(nn.Module):
    """Adds one channel with the standard deviation over the batch, so that sameness can be seen.

    Karras et al., "Progressive Growing of GANs", ICLR 2018, section 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C + 1, H, W]`."""
        deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([x, deviation.expand(x.shape[0], 1, *x.shape[2:])], dim=1)


class Discriminator(nn.Module):
    """Images to scores: the generator's mirror image, strided convolutions and LeakyReLU 0.2.

    Args:
        channels: image channels, 1 or 3.
        width: channels of the first stage (`ndf`); 2,795,904 parameters at 32 and one channel of 128×128.
        batch_norm: batch norm in all but the first and last layer, as in the paper. Without it the
            convolutions have biases: needed under a gradient penalty, which is defined per image.
        minibatch_stddev: put a `MinibatchStddev` before the last layer.
        image_size: side of the images in pixels, one of `IMAGE_SIZES`.
        spectral_norm: every convolution of `main` has spectral norm 1 (Miyato et al., ICLR 2018).
        patches: score every place of the eighth-size map too (quarter-size at 32×32): there are few photos, but each
            has hundreds of patches of 22×22 (10×10) pixels, and they say what the texture is (Isola et al., CVPR 2017,
            section 3.2.2).
        decoder: a small decoder has to redraw real images from the 8×8 map, so that the map keeps what is in
            them (Liu et al., "Towards Faster and Stabilized GAN Training", ICLR 2021, section 3.2).
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        batch_norm: bool = True,
        minibatch_stddev: bool = False,
        image_size: int = 128,
        spectral_norm: bool = False,
        patches: bool = False,
        decoder: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.width, self.image_size = channels, width, image_size
        layers: list[nn.Module] = []
        previous = channels
        widths = stage_channels(image_size, width)
        ends: list[int] = []  # where each stage ends in `main`
        for stage, features in enumerate(widths):
            layers.append(nn.Conv2d(previous, features, 4, 2, 1, bias=not batch_norm))
            if batch_norm and stage > 0:
                layers.append(nn.BatchNorm2d(features))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            ends.append(len(layers))
            previous = features
        if minibatch_stddev:
            layers.append(MinibatchStddev())
            previous += 1
        layers.append(nn.Conv2d(previous, 1, 4, 1, 0, bias=not batch_norm))
        self.main = nn.Sequential(*layers)
        self._patch_end, self._small_end = ends[min(2, len(ends) - 2)], ends[-2]
        self.patches = nn.Conv2d(widths[min(2, len(ends) - 2)], 1, 1) if patches else None
        self.decoder = _decoder(widths[-2], channels, width, min(image_size, 64)) if decoder else None
        if spectral_norm:
            for module in self.main:
                if isinstance(module, nn.Conv2d):
                    normalised(module)

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with."""
        stages.initialise(self, random)

    def forward(self, images: Tensor) -> Tensor:
        """Logits for whole images; the probability of "real" is their sigmoid.

        Args:
            images: float `[N, channels, image_size, image_size]`.

        Returns:
            float `[N]`.
        """
        logits: Tensor = self.main(images)
        return logits.flatten()

    def look(self, images: Tensor, labels: Tensor | None = None) -> tuple[list[Tensor], Tensor | None]:
        """All scores, and the images redrawn where there is a decoder.

        Args:
            images: as of `forward`.
            labels: None: it knows no classes.

        Returns:
            logits: float `[N]` for the images and, with `patches`, `[N, P]` for their patches.
            redrawn: float `[N, channels, S, S]`, S the smaller of 64 and `image_size`, or None.
        """
        assert labels is None
        patch_map = self.main[: self._patch_end](images)
        small_map = self.main[self._patch_end : self._small_end](patch_map)
        logits = [self.main[self._small_end :](small_map).flatten()]
        if self.patches is not None:
            logits.append(self.patches(patch_map).flatten(1))
        return logits, None if self.decoder is None else self.decoder(small_map)


def _decoder(features: int, channels: int, width: int, size: int) -> nn.Sequential:
    """`[N, features, 8, 8]` to `[N, channels, size, size]`."""
    layers: list[nn.Module] = []
    previous = features
    for _ in range(size.bit_length() - 4):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(previous, width, 3, 1, 1), nn.LeakyReLU(0.2, inplace=True)]
        previous = width
    return nn.Sequential(*layers, nn.Conv2d(previous, channels, 3, 1, 1))
