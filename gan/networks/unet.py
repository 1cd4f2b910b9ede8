"""A small network that marks the defect in an image: it judges masks, and makes none that anybody gets."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle

WIDTHS = (16, 32, 64)
"""Channels at half, a quarter and an eighth of the image's sides."""
_FOLD = 2
_MULTIPLE = _FOLD * 2 ** (len(WIDTHS) - 1)


class UNet(nn.Module):
    """Images float `[N, C, H, W]` of any scale to float `[N, 1, H, W]`, above 0 where it takes them for a defect.

    A U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015) of some
    120 thousand weights. It sees each image at mean 0 and deviation 1: defects are faint beside what light does. Four
    pixels become four channels first: that is four times as fast, and loses nothing.

    Args:
        channels: of an image.
        random: draws the weights.
    """

    def __init__(self, channels: int, random: torch.Generator) -> None:
        super().__init__()
        first, *others = WIDTHS
        self.down = nn.ModuleList([_block(_FOLD**2 * channels, first)])
        self.up = nn.ModuleList()
        for shallow, deep in zip(WIDTHS, others, strict=False):
            self.down.append(_block(shallow, deep))
            self.up.append(_block(shallow + deep, shallow))
        self.last = nn.Conv2d(first, _FOLD**2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=random)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        beyond = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
        deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
        images = (images - mean) / deviation.clamp_min(1e-3)
        seen = pixel_unshuffle(pad(images, beyond, mode="replicate"), _FOLD)
        kept: list[Tensor] = []
        for depth, block in enumerate(self.down):
            seen = block(seen if depth == 0 else nn.functional.max_pool2d(seen, 2))
            kept.append(seen)
        kept.pop()
        for block in reversed(self.up):
            seen = interpolate(seen, scale_factor=2.0, mode="nearest")
            seen = block(torch.cat([kept.pop(), seen], dim=1))
        return pixel_shuffle(self.last(seen), _FOLD)[..., :height, :width]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)
