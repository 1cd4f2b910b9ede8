"""The generator of a DCGAN: a stack of transposed convolutions with batch norm.

Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016. Module order, and so the state-dict keys (`main.0.weight`,
`main.1.running_mean`, …), are those of the usual PyTorch DCGAN with as many stages as the size needs.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan.config import TrainConfig
from gan.networks import stages
from gan.networks.generator import Generator
from models.latents import Input

MOST_STAGES = 9
"""Up to 1024×1024."""


class DCGAN(Generator):
    """Latents to images; at 128: (z,1,1) → (16w,4,4) → (8w,8,8) → (4w,16,16) → (2w,32,32) → (w,64,64) → (C,128,128).

    Args:
        z_dim: latent dimension.
        channels: image channels, 1 or 3.
        width: channels of the last hidden stage (`ngf`); 3,606,976 parameters at 32 and one channel of 128×128.
        image_size: side of the images in pixels, one of `gan.config.IMAGE_SIZES`.
        widths: channels of every hidden stage from 4×4 on, in place of `width` and `image_size`.
        biased: stages whose convolution has a bias, from 0 on; beside batch norm it changes nothing.
        bn_eps: what batch norm adds to the variance.
    """

    architecture = "dcgan"

    def __init__(
        self,
        z_dim: int = 100,
        channels: int = 1,
        width: int = 32,
        image_size: int = 128,
        *,
        widths: Sequence[int] = (),
        biased: Collection[int] = (),
        bn_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.widths = list(widths) or stages.stage_channels(image_size, width)[::-1]
        self.z_dim, self.channels, self.bn_eps = z_dim, channels, bn_eps
        self.height = self.width = 4 << len(self.widths)
        layers: list[nn.Module] = []
        previous = z_dim
        for stage, features in enumerate(self.widths):
            stride, padding = (1, 0) if stage == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(previous, features, 4, stride, padding, bias=stage in biased),
                nn.BatchNorm2d(features, bn_eps),
                nn.ReLU(inplace=True),
            ]
            previous = features
        last = nn.ConvTranspose2d(previous, channels, 4, 2, 1, bias=len(self.widths) in biased)
        self.main = nn.Sequential(*layers, last, nn.Tanh())

    @property
    def inputs(self) -> dict[str, Input]:
        """A latent."""
        return {"z": Input("float32", (self.z_dim,))}

    @property
    def summary(self) -> str:
        """The architecture with its widths, for people."""
        return f"{self.architecture}, widths {' '.join(map(str, self.widths))}"

    def forward(self, z: Tensor) -> Tensor:
        """Images for latents.

        Args:
            z: float `[N, z_dim]` or `[N, z_dim, 1, 1]`, standard normal.

        Returns:
            float `[N, channels, height, width]` in [-1, 1].

        Raises:
            ValueError: latents of another shape.
        """
        if tuple(z.shape[1:]) not in ((self.z_dim,), (self.z_dim, 1, 1)):
            raise ValueError(f"expected latents [N, {self.z_dim}] or [N, {self.z_dim}, 1, 1], got {list(z.shape)}")
        images: Tensor = self.main(z.reshape(-1, self.z_dim, 1, 1))
        return images

    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights as in the paper."""
        stages.initialise(self, random)

    def for_export(self) -> Self:
        """A copy in eval mode and float64 with batch norm folded into the convolutions before it."""
        folded = copy.deepcopy(self).eval().double()
        main = folded.main
        for at, module in enumerate(main):
            before = main[at - 1]
            if isinstance(module, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
                main[at - 1] = fuse_conv_bn_eval(before, module, transpose=True)
                main[at] = nn.Identity()  # keeps the numbers of the others, and so the weights' names
        return folded

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """A new one of the sizes in `config`."""
        return cls(config.z_dim, config.channels, config.g_width, config.image_size)

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        """The generator that the names and shapes in `state` describe, on the meta device: it takes no memory.

        Names may begin with anything that all share (`module.main.`, `netG.`, nothing at all), and batch norm's
        `num_batches_tracked` may be missing, as before PyTorch 0.4.1. Widths are what the shapes say.

        Raises:
            ValueError: the state is not that of a DCGAN generator.
        """
        ours = _our_names(state)
        weights: list[Tensor] = []
        while (weight := ours.get(f"main.{3 * len(weights)}.weight")) is not None and len(weights) <= MOST_STAGES:
            weights.append(weight)
        if not 2 <= len(weights) <= MOST_STAGES or any(weight.ndim != 4 for weight in weights):
            names = ", ".join(list(state)[:3]) or "no tensors"
            raise ValueError(
                f"not a DCGAN generator: expected main.0.weight, main.1.weight, main.3.weight, …, found {names}"
            )
        first, last = weights[0], weights[-1]
        if last.shape[1] not in (1, 3) or 0 in first.shape:
            raise ValueError(f"not a generator of gray or colour images: {list(first.shape)} to {list(last.shape)}")
        size = 2 << len(weights)
        try:
            with torch.device("meta"):
                generator = cls(
                    first.shape[0],
                    last.shape[1],
                    widths=[weight.shape[1] for weight in weights[:-1]],
                    biased=[stage for stage in range(len(weights)) if f"main.{3 * stage}.bias" in ours],
                    **unseen,
                )
        except RuntimeError as error:  # more elements than can be counted
            raise ValueError(f"not a {size}×{size} DCGAN generator: {error}") from None
        expected = generator.state_dict()
        for name in {**expected, **ours}:
            has, needs = (str(list(part[name].shape)) if name in part else "nothing" for part in (ours, expected))
            if has != needs and (name in ours or not name.endswith("num_batches_tracked")):
                raise ValueError(f"not a {size}×{size} DCGAN generator: {name} is {has}, expected {needs}")
            if expected[name].is_floating_point() and not ours[name].is_floating_point():
                raise ValueError(f"{name} holds {ours[name].dtype}, not real numbers")
        return generator

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], **unseen: Any) -> Self:
        """The generator that `state` holds, in eval mode, with its own float32 copy of the weights.

        Raises:
            ValueError: the state is not that of a DCGAN generator, or holds values that give no image.
        """
        generator = cls.shaped_like(state, **unseen).to_empty(device="cpu")
        for buffer in generator.buffers():
            buffer.zero_()  # a counter that is missing stays as it is
        generator.load_state_dict(_our_names(state))
        for name, tensor in generator.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} holds non-finite values: the training diverged")
            if name.endswith("running_var") and (tensor < 0).any():
                raise ValueError(f"{name} holds negative variances")
        return generator.eval()


def _our_names(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors, with `main.` before layer and parameter where all names begin alike."""
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()):
        raise ValueError("not a DCGAN generator: not all of it is tensors with names")
    ends = {name: ".".join(name.split(".")[-2:]) for name in state}
    alike = len({name.removesuffix(end) for name, end in ends.items()}) == 1
    return {f"main.{ends[name]}" if alike else name: tensor for name, tensor in state.items()}
