"""The network as it goes into a file: batch norm folded, at the file's precision, with the pixels beside the images."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan.networks.dcgan import Generator
from gan.networks.pixels import to_pixels

PRECISIONS = {"float32": torch.float32, "fp16": torch.float16}


class Exported(nn.Module):
    """`images` float32 `[N, C, H, W]` and `pixels` uint8 `[N, H, W, C]` for latents float32 `[N, z_dim]`.

    Args:
        generator: it is not changed.
        precision: `float32` or `fp16`, of the weights and of what is computed with them.
    """

    def __init__(self, generator: Generator, precision: str = "float32") -> None:
        super().__init__()
        self.dtype = PRECISIONS[precision]
        self.z_dim = generator.z_dim
        main = copy.deepcopy(generator.main).eval().double()  # folded in float64, the weights are rounded once
        for at, module in enumerate(main):
            before = main[at - 1]
            if isinstance(module, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
                main[at - 1] = fuse_conv_bn_eval(before, module, transpose=True)
                main[at] = nn.Identity()  # keeps the numbers of the others, and so the weights' names
        self.main = main.to(self.dtype)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        images = self.main(z.to(self.dtype).reshape(-1, self.z_dim, 1, 1)).to(torch.float32)
        return images, to_pixels(images)


class _Images(nn.Module):
    """The first output alone."""

    def __init__(self, exported: Exported) -> None:
        super().__init__()
        self.exported = exported

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.exported(z)[0]
        return images


def at_precision(generator: Generator, precision: str) -> nn.Module:
    """What PyTorch computes at that precision: latents float32 `[N, z_dim]` to images float32 `[N, C, H, W]`."""
    return generator if precision == "float32" else _Images(Exported(generator, precision))
