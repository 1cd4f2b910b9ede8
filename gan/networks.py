"""The two networks for 128×128 images. What depends on "it is a DCGAN" is in this file.

Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016. Module order, and so the state-dict keys (`main.0.weight`,
`main.1.running_mean`, …), are those of the usual PyTorch DCGAN extended by one stage.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

IMAGE_SIZE = 128
_STAGES = 5  # 4×4 is doubled five times


class Generator(nn.Module):
    """Latents to images: (z,1,1) → (16w,4,4) → (8w,8,8) → (4w,16,16) → (2w,32,32) → (w,64,64) → (C,128,128).

    Args:
        z_dim: latent dimension.
        channels: image channels, 1 or 3.
        width: channels of the last hidden stage (`ngf`); 3,606,976 parameters at 32 and one channel.
    """

    def __init__(self, z_dim: int = 100, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        self.z_dim, self.channels, self.width = z_dim, channels, width
        layers: list[nn.Module] = []
        previous = z_dim
        for stage in range(_STAGES):
            features = width * 2 ** (_STAGES - 1 - stage)
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
            float `[N, channels, 128, 128]` in [-1, 1].

        Raises:
            ValueError: latents of another shape.
        """
        if tuple(z.shape[1:]) not in ((self.z_dim,), (self.z_dim, 1, 1)):
            raise ValueError(f"expected latents [N, {self.z_dim}] or [N, {self.z_dim}, 1, 1], got {list(z.shape)}")
        images: Tensor = self.main(z.reshape(-1, self.z_dim, 1, 1))
        return images

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Generator:
        """The generator that `state` describes, in eval mode; sizes are read from the tensors' shapes.

        Raises:
            ValueError: the state is not that of a 128×128 DCGAN generator, or holds non-finite values.
        """
        first, last = state.get("main.0.weight"), state.get(f"main.{3 * _STAGES}.weight")
        if first is None or last is None or first.ndim != 4 or last.ndim != 4:
            names = ", ".join(map(str, list(state)[:3])) or "no tensors"
            raise ValueError(
                f"not a 128×128 DCGAN generator: expected main.0.weight to main.{3 * _STAGES}.weight, found {names}"
            )
        if last.shape[1] not in (1, 3) or 0 in first.shape or not all(t.dtype.is_floating_point for t in (first, last)):
            raise ValueError(f"not a generator of gray or colour images: {list(first.shape)} to {list(last.shape)}")
        generator = cls(z_dim=first.shape[0], channels=last.shape[1], width=last.shape[0])
        try:
            generator.load_state_dict(dict(state))
        except RuntimeError as error:
            raise ValueError(f"not a 128×128 DCGAN generator: {' '.join(str(error).split())[:200]}") from None
        for name, tensor in state.items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} holds non-finite values: the training diverged")
        return generator.eval()


class MinibatchStddev(nn.Module):
    """Adds one channel with the standard deviation over the batch, so that sameness can be seen.

    Karras et al., "Progressive Growing of GANs", ICLR 2018, section 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C + 1, H, W]`."""
        deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([x, deviation.expand(x.shape[0], 1, *x.shape[2:])], dim=1)


class Discriminator(nn.Module):
    """Images to one score each: the generator's mirror image, strided convolutions and LeakyReLU 0.2.

    Args:
        channels: image channels, 1 or 3.
        width: channels of the first stage (`ndf`); 2,795,904 parameters at 32 and one channel.
        batch_norm: batch norm in all but the first and last layer, as in the paper. Without it the
            convolutions have biases: needed under a gradient penalty, which is defined per image.
        minibatch_stddev: put a `MinibatchStddev` before the last layer.
    """

    def __init__(
        self, channels: int = 1, width: int = 32, batch_norm: bool = True, minibatch_stddev: bool = False
    ) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        layers: list[nn.Module] = []
        previous = channels
        for stage in range(_STAGES):
            features = width * 2**stage
            layers.append(nn.Conv2d(previous, features, 4, 2, 1, bias=not batch_norm))
            if batch_norm and stage > 0:
                layers.append(nn.BatchNorm2d(features))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            previous = features
        if minibatch_stddev:
            layers.append(MinibatchStddev())
            previous += 1
        layers.append(nn.Conv2d(previous, 1, 4, 1, 0, bias=not batch_norm))
        self.main = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits for images; the probability of "real" is their sigmoid.

        Args:
            images: float `[N, channels, 128, 128]` in [-1, 1].

        Returns:
            float `[N]`.
        """
        logits: Tensor = self.main(images)
        return logits.flatten()


def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights as in Radford et al., section 4: convolutions N(0, 0.02), batch norm N(1, 0.02) and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=random)
            nn.init.zeros_(module.bias)
