"""The two networks. What depends on "it is a DCGAN" is in this file.

Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016. Module order, and so the state-dict keys (`main.0.weight`,
`main.1.running_mean`, …), are those of the usual PyTorch DCGAN with as many stages as the size needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

from gan.config import IMAGE_SIZES

MAX_FACTOR = 16
"""No stage has more than this many times the width: of the usual network up to 128×128, beyond it to bound its size."""


def stage_channels(image_size: int, width: int) -> list[int]:
    """Channels of the hidden stages from the largest side, `image_size` / 2, down to 4×4.

    Raises:
        ValueError: a size that is not one of `IMAGE_SIZES`.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size {image_size} is not one of {', '.join(map(str, IMAGE_SIZES))}")
    return [width * min(2**stage, MAX_FACTOR) for stage in range(image_size.bit_length() - 3)]


class Generator(nn.Module):
    """Latents to images; at 128: (z,1,1) → (16w,4,4) → (8w,8,8) → (4w,16,16) → (2w,32,32) → (w,64,64) → (C,128,128).

    Args:
        z_dim: latent dimension.
        channels: image channels, 1 or 3.
        width: channels of the last hidden stage (`ngf`); 3,606,976 parameters at 32 and one channel of 128×128.
        image_size: side of the images in pixels, one of `IMAGE_SIZES`.
    """

    def __init__(self, z_dim: int = 100, channels: int = 1, width: int = 32, image_size: int = 128) -> None:
        super().__init__()
        self.z_dim, self.channels, self.width, self.image_size = z_dim, channels, width, image_size
        layers: list[nn.Module] = []
        previous = z_dim
        for stage, features in enumerate(reversed(stage_channels(image_size, width))):
            stride, padding = (1, 0) if stage == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(previous, features, 4, stride, padding, bias=False),
                nn.BatchNorm2d(features),
                nn.ReLU(inplace=True),
            ]
            previous = features
        layers += [nn.ConvTranspose2d(previous, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Images for latents.

        Args:
            z: float `[N, z_dim]` or `[N, z_dim, 1, 1]`, standard normal.

        Returns:
            float `[N, channels, image_size, image_size]` in [-1, 1].

        Raises:
            ValueError: latents of another shape.
        """
        if tuple(z.shape[1:]) not in ((self.z_dim,), (self.z_dim, 1, 1)):
            raise ValueError(f"expected latents [N, {self.z_dim}] or [N, {self.z_dim}, 1, 1], got {list(z.shape)}")
        images: Tensor = self.main(z.reshape(-1, self.z_dim, 1, 1))
        return images

    @classmethod
    def shaped_like(cls, state: Mapping[Any, Any]) -> Generator:
        """The generator that the names and shapes in `state` describe, on the meta device: it takes no memory.

        Names may begin with anything that all share (`module.main.`, `netG.`, nothing at all), and batch norm's
        `num_batches_tracked` may be missing, as before PyTorch 0.4.1.

        Raises:
            ValueError: the state is not that of a DCGAN generator.
        """
        ours = _our_names(state)
        sizes = {f"main.{3 * (size.bit_length() - 3)}.weight": size for size in IMAGE_SIZES}
        found = [name for name in sizes if name in ours]
        first, last = ours.get("main.0.weight"), ours[found[-1]] if found else None
        if first is None or last is None or first.ndim != 4 or last.ndim != 4:
            names = ", ".join(list(state)[:3]) or "no tensors"
            raise ValueError(
                f"not a DCGAN generator: expected main.0.weight, main.1.weight, main.3.weight, …, found {names}"
            )
        if last.shape[1] not in (1, 3) or 0 in first.shape:
            raise ValueError(f"not a generator of gray or colour images: {list(first.shape)} to {list(last.shape)}")
        size = sizes[found[-1]]
        try:
            with torch.device("meta"):
                generator = cls(first.shape[0], last.shape[1], last.shape[0], size)
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
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Generator:
        """The generator that `state` holds, in eval mode, with its own float32 copy of the weights.

        Args:
            state: tensors of any floating dtype and strides; see `shaped_like` for their names and shapes.

        Raises:
            ValueError: the state is not that of a DCGAN generator, or holds values that give no image.
        """
        generator = cls.shaped_like(state).to_empty(device="cpu")
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

    def forward(self, images: Tensor) -> Tensor:
        """Logits for whole images; the probability of "real" is their sigmoid.

        Args:
            images: float `[N, channels, image_size, image_size]`.

        Returns:
            float `[N]`.
        """
        logits: Tensor = self.main(images)
        return logits.flatten()

    def look(self, images: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """All scores, and the images redrawn where there is a decoder.

        Returns:
            logits: float `[N]` for the images and, with `patches`, `[N, P]` for their patches.
            redrawn: float `[N, channels, S, S]`, S the smaller of 64 and `image_size`, or None.
        """
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


def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights as in Radford et al., section 4: convolutions N(0, 0.02), batch norm N(1, 0.02) and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Under spectral norm `weight` is computed from an original, and from vectors that are drawn as well.
            state = module.state_dict(keep_vars=True)
            weight = state.get("parametrizations.weight.original", module.weight)
            nn.init.normal_(weight, 0.0, 0.02, generator=random)
            for name in ("_u", "_v"):
                vector = state.get(f"parametrizations.weight.0.{name}")
                if vector is not None:
                    vector.normal_(generator=random).div_(vector.norm())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=random)
            nn.init.zeros_(module.bias)
