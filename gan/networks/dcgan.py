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
ACTIVATIONS = ("relu", "leaky-relu", "elu", "silu", "gelu")
LAST_ACTIVATIONS = ("tanh", "sigmoid")
_LATENTS = 64
_FITS, _CLEARLY = 0.2, 2.0
"""How well another activation must fit to be spoken of, and how many times better than the assumed one."""


class DCGAN(Generator):
    """Latents to images; at 128: (z,1,1) → (16w,4,4) → (8w,8,8) → (4w,16,16) → (2w,32,32) → (w,64,64) → (C,128,128).

    Args:
        z_dim: latent dimension.
        channels: image channels, 1 or 3.
        width: channels of the last hidden stage (`ngf`); 3,606,976 parameters at 32 and one channel of 128×128.
        image_size: side of the images in pixels, one of `gan.config.IMAGE_SIZES`.
        widths: channels of every hidden stage from 4×4 on, in place of `width` and `image_size`.
        biased: stages whose convolution has a bias, from 0 on; beside batch norm it changes nothing.
        activation: after every hidden stage, one of `ACTIVATIONS`.
        slope: of `leaky-relu`, below zero.
        last_activation: `tanh`, or `sigmoid` where the training images were in [0, 1]: they are brought to [-1, 1].
        bn_eps: what batch norm adds to the variance.

    Raises:
        ValueError: an activation that is not known.
    """

    architecture = "dcgan"
    UNSEEN = frozenset({"activation", "slope", "last_activation", "bn_eps"})

    def __init__(
        self,
        z_dim: int = 100,
        channels: int = 1,
        width: int = 32,
        image_size: int = 128,
        *,
        widths: Sequence[int] = (),
        biased: Collection[int] = (),
        activation: str = "relu",
        slope: float = 0.2,
        last_activation: str = "tanh",
        bn_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.widths = list(widths) or stages.stage_channels(image_size, width)[::-1]
        self.z_dim, self.channels, self.bn_eps = z_dim, channels, bn_eps
        self.activation, self.slope, self.last_activation = activation, slope, last_activation
        self.height = self.width = 4 << len(self.widths)
        layers: list[nn.Module] = []
        previous = z_dim
        for stage, features in enumerate(self.widths):
            stride, padding = (1, 0) if stage == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(previous, features, 4, stride, padding, bias=stage in biased),
                nn.BatchNorm2d(features, bn_eps),
                _activation(activation, slope),
            ]
            previous = features
        last = nn.ConvTranspose2d(previous, channels, 4, 2, 1, bias=len(self.widths) in biased)
        self.main = nn.Sequential(*layers, last, _last_activation(last_activation))

    @property
    def inputs(self) -> dict[str, Input]:
        """A latent."""
        return {"z": Input("float32", (self.z_dim,))}

    @property
    def summary(self) -> str:
        """The architecture with its widths, for people."""
        return f"{self.architecture}, widths {' '.join(map(str, self.widths))}"

    @property
    def unseen(self) -> dict[str, Any]:
        """The activations and batch norm's ε."""
        slope = {"slope": self.slope} if self.activation == "leaky-relu" else {}
        return {
            "activation": self.activation, **slope, "last_activation": self.last_activation, "bn_eps": self.bn_eps
        }  # fmt: skip

    @torch.no_grad()
    def likelier(self) -> dict[str, Any]:
        """Another activation, where batch norm's statistics tell of it: they were measured behind the right one."""
        if self.doubts:
            return {}
        z = self.inputs_at(0, 0, _LATENTS if self.height <= 128 else _LATENTS // 8)["z"]
        own = self._misfit(z, _activation(self.activation, self.slope))
        others = {name: self._misfit(z, _activation(name, 0.2)) for name in ACTIVATIONS if name != self.activation}
        best = min(others, key=others.__getitem__)
        return {"activation": best} if others[best] < min(own / _CLEARLY, _FITS) else {}

    def _misfit(self, z: Tensor, activation: nn.Module) -> float:
        """How far the statistics of batch norm are from those of latents `[N, z_dim]`, with this activation."""
        total, x = 0.0, z.reshape(-1, self.z_dim, 1, 1)
        for module in self.main[:-2]:  # behind the last convolution there is no batch norm
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                variance = module.running_var + module.eps
                shift = (x.mean((0, 2, 3)) - module.running_mean).square() / variance
                scale = ((x.var((0, 2, 3)) + module.eps) / variance).log().square()
                total += float((shift + scale).mean())
                x = activation(module(x))
            elif isinstance(module, nn.ConvTranspose2d):
                x = module(x)
        return total

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
        return cls(config.z_dim, config.channels, config.g_width, config.size[0])

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
        stages.check_shapes(generator, ours, f"a {size}×{size} DCGAN generator")
        return generator

    @classmethod
    def our_names(cls, state: Mapping[Any, Any]) -> dict[str, Tensor]:
        """With `main.` before layer and parameter where all names begin alike.

        Raises:
            ValueError: not all of it is tensors with names.
        """
        return _our_names(state)


class _Sigmoid(nn.Module):
    """A sigmoid whose 0 to 1 are brought to -1 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid() * 2 - 1


def _activation(name: str, slope: float) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky-relu":
            return nn.LeakyReLU(slope, inplace=True)
        case "elu":
            return nn.ELU(inplace=True)
        case "silu":
            return nn.SiLU(inplace=True)
        case "gelu":
            return nn.GELU()
    raise ValueError(f"activation is {name!r}, not one of {', '.join(ACTIVATIONS)}")


def _last_activation(name: str) -> nn.Module:
    if name not in LAST_ACTIVATIONS:
        raise ValueError(f"last_activation is {name!r}, not one of {', '.join(LAST_ACTIVATIONS)}")
    return nn.Tanh() if name == "tanh" else _Sigmoid()


def _our_names(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors, with `main.` before layer and parameter where all names begin alike."""
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()):
        raise ValueError("not a DCGAN generator: not all of it is tensors with names")
    ends = {name: ".".join(name.split(".")[-2:]) for name in state}
    alike = len({name.removesuffix(end) for name, end in ends.items()}) == 1
    return {f"main.{ends[name]}" if alike else name: tensor for name, tensor in state.items()}
