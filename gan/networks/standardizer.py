"""Images as the discriminator sees them: of mean 0 and deviation 1, on request in each band of frequencies by itself.

The gradient penalty bounds how fast a score may change with the pixels. What is faint in the photos, a shallow
scratch or the grain of the metal, then hardly changes the score: the discriminator is blind to it, and the generator
leaves it out. Dividing by the deviation makes one γ fit photos of every contrast; dividing each band of a Laplacian
pyramid (Burt & Adelson 1983) by its own makes it fit the fine grain as well as the bright scratch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan.networks.colours import axes
from gan.networks.colours import weights as of_axes
from gan.networks.pixels import to_float

SIGMAS = (1.0, 4.0)
"""Pixels; what a Gaussian of the first takes away is grain, what the second leaves is shading."""
_LEAST_DEVIATION = 1 / 255
_LEAST_MASK_DEVIATION = 0.2
"""That of masks of which a hundredth is defect."""


class Standardizer:
    """Learns means and deviations of the training images; then makes images like them of mean 0 and deviation 1.

    Args:
        images: uint8 `[N, C, H, W]`: the training images, on the device to work on.
        bands: give each band by itself, three times the channels, from fine to coarse.
        weight: of each finer band, times that of the next coarser one.
    """

    def __init__(self, images: Tensor, bands: bool, weight: float = 1.0) -> None:
        self._axes = axes(images.shape[1]).to(images.device)
        self._kernels = [_gaussian(sigma, images.device) for sigma in SIGMAS] if bands else []
        self._mean = torch.zeros((), device=images.device)
        self._deviation = torch.ones((), device=images.device)
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for part in torch.split(images, 64):  # all at once would be many times the photos' memory
            seen = self(to_float(part)).double()
            count += seen.numel() // seen.shape[1]
            total = total + seen.sum(dim=(0, 2, 3), keepdim=True).cpu()
            squares = squares + seen.square().sum(dim=(0, 2, 3), keepdim=True).cpu()
        mean = total / count
        self._mean = mean.float().to(images.device)
        deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
        weights = torch.tensor([weight**finer for finer in range(len(self._kernels), -1, -1)])
        weights = torch.outer(weights, of_axes(images.shape[1])).view(1, -1, 1, 1).to(images.device)
        self._deviation = deviation.float().to(images.device).clamp_min(_LEAST_DEVIATION) / weights

    def __call__(self, images: Tensor) -> Tensor:
        """Float `[N, C, H, W]` in [-1, 1] to `[N, C, H, W]` or, with bands, `[N, 3C, H, W]`; differentiable."""
        parts: list[Tensor] = []
        with torch.autocast(images.device.type, enabled=False):  # grain is a small difference of large numbers
            if images.shape[1] > 1:
                images = torch.einsum("ac,ncij->naij", self._axes, images)
            for kernel in self._kernels:
                smooth = _blur(images, kernel)
                parts.append(images - smooth)
                images = smooth
        return (torch.cat([*parts, images], dim=1) - self._mean) / self._deviation


def _gaussian(sigma: float, device: torch.device) -> Tensor:
    offsets = torch.arange(-int(3 * sigma), int(3 * sigma) + 1, device=device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def _blur(images: Tensor, kernel: Tensor) -> Tensor:
    """A separable filter over each channel; the border is mirrored."""
    channels, reach = images.shape[1], len(kernel) // 2
    rows = kernel.reshape(1, 1, -1, 1).expand(channels, -1, -1, -1)
    columns = kernel.reshape(1, 1, 1, -1).expand(channels, -1, -1, -1)
    images = F.conv2d(F.pad(images, (0, 0, reach, reach), mode="reflect"), rows, groups=channels)
    return F.conv2d(F.pad(images, (reach, reach, 0, 0), mode="reflect"), columns, groups=channels)


class MaskScale:
    """Masks as the discriminator sees them: of mean 0 and deviation 1, and with soft edges.

    The rim of a real mask is a step, which no generator draws quite; a filter of three pixels hides how steep it is.

    Args:
        masks: uint8 `[N, 1, H, W]`: those of the training images, 0 or 255.
    """

    def __init__(self, masks: Tensor) -> None:
        share = float((masks > 0).float().mean())
        self._mean = 2 * share - 1
        self._deviation: float = max(_LEAST_MASK_DEVIATION, 2 * (share * (1 - share)) ** 0.5)

    def __call__(self, masks: Tensor) -> Tensor:
        """Float `[N, 1, H, W]` in [-1, 1] to `[N, 1, H, W]`; differentiable."""
        smooth: Tensor = F.avg_pool2d(F.pad(masks, (1, 1, 1, 1), mode="reflect"), 3, 1)
        return (smooth - self._mean) / self._deviation
