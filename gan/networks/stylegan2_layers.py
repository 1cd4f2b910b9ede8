"""The layers of StyleGAN2's generator.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, sections 2 and 4.1. Weights are kept
as they are learned, and multiplied by a constant whenever they are used ("equalised learning rate": Karras et al.,
"Progressive Growing of GANs", ICLR 2018, section 4.1). `fold` does that once and for all. Tensors have the names that a
snapshot gives them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "linear": (lambda x: x, 1.0),
    "relu": (F.relu, math.sqrt(2)),
    "lrelu": (lambda x: F.leaky_relu(x, 0.2), math.sqrt(2)),
    "tanh": (torch.tanh, 1.0),
    "sigmoid": (torch.sigmoid, 1.0),
    "elu": (F.elu, 1.0),
    "selu": (F.selu, 1.0),
    "softplus": (F.softplus, 1.0),
    "swish": (F.silu, math.sqrt(2)),
}
"""By the names in snapshots; with what the result is multiplied, so that variances stay."""
_SCALED = frozenset({"linear", "relu", "lrelu"})
"""Those that may be multiplied before them as well."""
_EPSILON = 1e-8
_SMALLER = math.sqrt(0.5)
"""Factor of what meets in a residual block, so that the sum has the variance of its parts (section 4.1)."""


def normalised(x: Tensor) -> Tensor:
    """Vectors `[N, C]` divided by the root of their mean square."""
    return x * _inverse_root(x.square().mean(dim=1, keepdim=True))


def upsampled(x: Tensor, taps: Tensor) -> Tensor:
    """Maps `[N, C, H, W]` to `[N, C, 2H, 2W]`: zeros between the values, then a low-pass filter.

    Args:
        x: the maps.
        taps: of the filter, `[n, n]`, n even; they add up to 1.
    """
    channels, side = x.shape[1], taps.shape[0]
    kernel = (4 * taps).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(x, kernel, stride=2, padding=side // 2 - 1, groups=channels)


class Dense(nn.Module):
    """A matrix and a bias, at an equalised learning rate.

    Args:
        inputs, outputs: sizes.
        activation: one of `ACTIVATIONS`.
        rate: of learning, times that of other layers.
    """

    def __init__(self, inputs: int, outputs: int, activation: str = "linear", rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.activation = activation
        self.gains = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        act, gain = ACTIVATIONS[self.activation]
        x = act(F.linear(x, _times(self.weight, self.gains[0]), _times(self.bias, self.gains[1])))
        return _times(x, gain)

    def row(self, label: Tensor) -> Tensor:
        """What a one-hot vector of each label int64 `[N]` gives: `[N, outputs]`."""
        table = _times(self.weight, self.gains[0]).T + _times(self.bias, self.gains[1])
        return F.embedding(label, table)

    @torch.no_grad()
    def fold(self, gain: float = 1.0) -> None:
        """Put the constants, and another one, into the weights."""
        for parameter, own in zip((self.weight, self.bias), self.gains, strict=True):
            parameter.mul_(own * gain)
        self.gains = 1.0, 1.0


class StyledConvolution(nn.Module):
    """A convolution of 3×3 whose inputs a style scales, with noise, bias and activation.

    Every image has kernels of its own, scaled by its style and divided by their norm (section 2.2, equations 1 to 3).
    The same comes of scaling the maps before the convolution, and what it gives after it: then all images share one
    kernel, and the batch may have any size.

    Args:
        inputs, outputs: channels.
        side: of its maps.
        style: length of the style vector.
        up: double the size before it.
        taps: of the filter that follows the doubling.
        noise: whether there is noise to add.
        quiet: add none all the same, unless it is given.
        activation: one of `ACTIVATIONS`.
        clamp: what no value exceeds; None: no limit.
        gain: multiplies the result and the limit.
    """

    noise_const: Tensor
    resample_filter: Tensor
    power: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        style: int,
        *,
        up: bool,
        taps: int,
        noise: bool,
        quiet: bool,
        activation: str,
        clamp: float | None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.affine = Dense(style, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("resample_filter", torch.empty(taps, taps))
        self.noise_strength: Tensor | None = None
        if noise:
            self.register_buffer("noise_const", torch.empty(side, side))
            self.noise_strength = nn.Parameter(torch.empty(()))
        self.side, self.up, self.quiet, self.activation = side, up, quiet, activation
        total = gain * ACTIVATIONS[activation][1]
        self.gains = (total, 1.0) if activation in _SCALED else (1.0, total)
        self.clamp = None if clamp is None else clamp * gain
        self.register_buffer("power", None)  # where nothing will change any more

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        """Maps for maps.

        Args:
            x: float `[N, inputs, H, W]`, or `[1, inputs, H, W]` for all images alike.
            style: style vectors, float `[N, style]`.
            noise: in the place of the noise that is stored, float `[N, 1, side, side]`.
        """
        scales = self.affine(style)
        norms = _inverse_root(F.linear(scales.square(), self._power()))
        x = x * scales[..., None, None]
        if self.up:
            x = _smoothed(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), self.resample_filter)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        before, after = self.gains  # where there is least to multiply
        x = x * _times(norms, before)[..., None, None]
        if self.noise_strength is not None and not (noise is None and self.quiet):
            x = x + (self.noise_const if noise is None else noise) * _times(self.noise_strength, before)
        x = x + _times(self.bias, before)[:, None, None]
        return _clamped(_times(ACTIVATIONS[self.activation][0](x), after), self.clamp)

    def _power(self) -> Tensor:
        """Sums of squares of the kernels, `[outputs, inputs]`."""
        return self.weight.square().sum(dim=(2, 3)) if self.power is None else self.power

    @torch.no_grad()
    def fold(self) -> None:
        """Do once what is the same for all images."""
        self.affine.fold()
        self.power = self._power()


class ToImage(nn.Module):
    """Maps to an image of their size: a convolution of 1×1 whose inputs a style scales.

    Args:
        inputs: channels of the maps.
        outputs: channels of the image.
        style: length of the style vector.
        clamp: what no value exceeds; None: no limit.
    """

    def __init__(self, inputs: int, outputs: int, style: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = Dense(style, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.gain, self.clamp = 1 / math.sqrt(inputs), clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = F.conv2d(x * _times(self.affine(style), self.gain)[..., None, None], self.weight, self.bias)
        return _clamped(x, self.clamp)

    def fold(self) -> None:
        """Put the constants into the weights."""
        self.affine.fold(self.gain)
        self.gain = 1.0


class Shortcut(nn.Module):
    """What leads past the two convolutions of a residual block: a convolution of 1×1, then the doubling."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, taps: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.register_buffer("resample_filter", torch.empty(taps, taps))
        self.gain = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return upsampled(F.conv2d(x, _times(self.weight, self.gain)), self.resample_filter)

    @torch.no_grad()
    def fold(self) -> None:
        """Put the constant into the weights."""
        self.weight.mul_(self.gain)
        self.gain = 1.0


class StyleMapping(nn.Module):
    """Latents, and labels where there are classes, to style vectors.

    Args:
        z_dim: latent dimension.
        widths: of its layers.
        classes: that labels tell apart; 0: none.
        embedded: numbers that tell a class.
        averaged: whether the average style vector is known.
        activation: one of `ACTIVATIONS`.
        rate: of learning, times that of other layers.
        truncation_psi: how far from the average style vector they are, times as far as they would be.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        widths: Sequence[int],
        classes: int,
        embedded: int,
        averaged: bool,
        activation: str,
        rate: float,
        truncation_psi: float,
    ) -> None:
        super().__init__()
        self.embed = Dense(classes, embedded) if classes else None
        self.names = [f"fc{number}" for number in range(len(widths))]
        for name, (before, after) in zip(self.names, itertools.pairwise([z_dim + embedded, *widths]), strict=True):
            self.add_module(name, Dense(before, after, activation, rate))
        if averaged:
            self.register_buffer("w_avg", torch.empty(widths[-1]))
        self.truncation_psi = truncation_psi

    def forward(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Latents float `[N, z_dim]` and labels int64 `[N]` to float `[N, widths[-1]]`."""
        x = normalised(z)
        if self.embed is not None and label is not None:
            x = torch.cat([x, normalised(self.embed.row(label))], dim=1)
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x if self.truncation_psi == 1 else self.w_avg + self.truncation_psi * (x - self.w_avg)


class StyledBlock(nn.Module):
    """The convolutions of one size, and what makes an image of their maps.

    Args:
        inputs: channels of the maps of half the size; 0 for the first block, which begins with a learned map.
        outputs: channels of its maps.
        side: of its maps.
        style: length of a style vector.
        image: channels of the image that it makes; 0: it makes none.
        residual: a convolution of 1×1 leads past the other two.
        taps, noise, quiet, activation, clamp: as of `StyledConvolution`.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        style: int,
        image: int,
        residual: bool,
        taps: int,
        noise: bool,
        quiet: bool,
        activation: str,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.register_buffer("resample_filter", torch.empty(taps, taps))
        shared: dict[str, Any] = {
            "taps": taps, "noise": noise, "quiet": quiet, "activation": activation, "clamp": clamp
        }  # fmt: skip
        self.skip = Shortcut(inputs, outputs, taps, _SMALLER) if inputs and residual else None
        if inputs:
            self.conv0 = StyledConvolution(inputs, outputs, side, style, up=True, **shared)
        else:
            self.const = nn.Parameter(torch.empty(outputs, side, side))
        gain = 1.0 if self.skip is None else _SMALLER
        self.conv1 = StyledConvolution(outputs, outputs, side, style, up=False, gain=gain, **shared)
        self.torgb = ToImage(outputs, image, style, clamp) if image else None
        self.inputs, self.outputs = inputs, outputs

    def forward(
        self, x: Tensor | None, image: Tensor | None, style: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Its maps and image, of those of the block before it; `noise` by convolution, in the place of its own."""
        past = None if self.skip is None or x is None else self.skip(x)
        maps: Tensor = self.const[None] if x is None else self.conv0(x, style, noise.get("conv0"))
        maps = self.conv1(maps, style, noise.get("conv1"))
        if past is not None:
            maps = maps + past
        if image is not None:
            image = upsampled(image, self.resample_filter)
        if self.torgb is not None:
            own = self.torgb(maps, style)
            image = own if image is None else image + own
        return maps, image


def _smoothed(x: Tensor, taps: Tensor) -> Tensor:
    """Maps `[N, C, 2H + 1, 2W + 1]` to `[N, C, 2H, 2W]`: the filter of `upsampled`, after a doubling by a kernel."""
    channels, side = x.shape[1], taps.shape[0]
    kernel = (4 * taps.flip(0, 1)).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, padding=side // 2 - 1, groups=channels)


def _inverse_root(x: Tensor) -> Tensor:
    """1 / √(x + ε); sixteen times as large inside, as the exporter takes an addend of ε for 0, and leaves it out."""
    return 4 * torch.rsqrt(16 * x + 16 * _EPSILON)


def _times(x: Tensor, factor: float) -> Tensor:
    """The product; without a step in the graph where it is `x` itself."""
    return x if factor == 1 else x * factor


def _clamped(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else x.clamp(-limit, limit)
