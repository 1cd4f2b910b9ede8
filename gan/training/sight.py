"""How the discriminator sees images, photos and generated ones alike."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.config import TrainConfig
from gan.networks.standardizer import MaskScale, Standardizer
from gan.training.augment import augment, brightness_for


class Sight:
    """Images as the discriminator gets them: augmented, with instance noise (Sønderby et al. 2017), standardized.

    Args:
        images: of the photos, uint8 `[N, C, H, W]`.
        masks: of the photos, uint8 `[N, 1, H, W]`, or None.
        config: the options.
        random: what is drawn from.
    """

    def __init__(self, images: Tensor, masks: Tensor | None, config: TrainConfig, random: torch.Generator) -> None:
        self._config, self._random = config, random
        self._standardized = Standardizer(images, config.bands, config.band_weight) if config.standardize else None
        self._scaled = MaskScale(masks) if masks is not None else None
        self._brightness = brightness_for(images) if config.augment else 0.0

    def __call__(self, images: Tensor, noise_std: float) -> Tensor:
        """Images `[N, C, H, W]`, or with masks `[N, C + 1, H, W]`, in [-1, 1], with noise of that strength."""
        channels = self._config.channels
        if self._config.augment:
            images = augment(images, self._random, self._brightness, channels)
        images, mask = images[:, :channels], images[:, channels:]
        if noise_std:
            images = images + noise_std * torch.randn(images.shape, generator=self._random, device=images.device)
        if self._standardized is not None:
            images = self._standardized(images)
        if self._scaled is not None:
            images = torch.cat([images, self._scaled(mask)], dim=1)
        return images.contiguous(memory_format=torch.channels_last)
