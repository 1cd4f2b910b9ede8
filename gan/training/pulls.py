"""What pulls generated images to the photos besides the discriminator: directions at the images themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan.config import TrainConfig
from gan.networks.pixels import to_float
from gan.training.batches import Batches
from gan.training.mask_matching import MaskMatching
from gan.training.matching import LOOKED_AT, FeatureMatching


class Pulls:
    """Feature matching of images, and where there are masks that of images with their masks.

    Args:
        images: of the photos, uint8 `[N, C, H, W]`.
        labels: int64 `[N]`, where they have classes.
        batches: what is shown, which masks are matched as.
        config: the options.
        autocast: in whose precision images are matched.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        batches: Batches,
        config: TrainConfig,
        autocast: Callable[[], torch.autocast],
    ) -> None:
        self._config, self._autocast = config, autocast
        with autocast():
            self.of_images = FeatureMatching(images, config.flip, labels)
        self.of_masks = _as_shown(batches, config.batch_size) if config.masks else None

    def add(self, fake: Tensor, labels: Tensor | None, clear: Tensor | None, class_strength: float) -> None:
        """Add them to the gradient that comes to `fake`, `[N, C, H, W]` or with masks `[N, C + 1, H, W]`."""
        channels = self._config.channels
        with self._autocast():
            towards = [self._of_photos(fake[:, :channels], labels, clear, class_strength)]
        if self.of_masks is not None:
            towards.append(self.of_masks.gradient(fake, labels, class_strength)[:, channels:])
        pull(fake, towards, self._config.feature_matching)

    def _of_photos(self, images: Tensor, labels: Tensor | None, clear: Tensor | None, class_strength: float) -> Tensor:
        """The direction of feature matching; none for images that are clear, as the photos that it knows are not."""
        if clear is None:
            return self.of_images.gradient(images, labels, class_strength)
        direction = torch.zeros_like(images)
        labels = None if labels is None else labels[~clear]
        direction[~clear] = self.of_images.gradient(images[~clear], labels, class_strength)
        return direction


def pull(fake: Tensor, towards: Sequence[Tensor], weight: float) -> None:
    """Add directions to the gradient that comes to `fake`, each so strong beside it however near the photos are.

    The first has the channels of the image, the second that of the mask.
    """
    sizes = [direction.shape[1] for direction in towards]

    def pulled(gradient: Tensor) -> Tensor:
        parts = zip(torch.split(gradient, sizes, dim=1), towards, strict=True)
        found = [part + weight * part.norm() / way.norm().clamp_min(1e-12) * way for part, way in parts]
        return torch.cat(found, dim=1)

    fake.register_hook(pulled)  # type: ignore[no-untyped-call]  # PyTorch gives it no types


def _as_shown(batches: Batches, batch_size: int) -> MaskMatching:
    """The statistics of masks as they are shown, with their images, those that are clear among them."""
    positions = range(0, LOOKED_AT, batch_size)
    labels = [found for position in positions if (found := batches.labels(position)) is not None]
    shown = (to_float(batches.images(position)) for position in positions)
    return MaskMatching(shown, torch.cat(labels) if labels else None)
