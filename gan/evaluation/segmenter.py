"""Do masks lie where the defect is? A small segmenter, trained on real pairs alone, compares images with their masks.

On photos that it has not seen it reaches some overlap with their masks. On generated images it should reach nearly as
much: where it reaches far less, the masks do not mark what looks like a defect.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from gan.evaluation.defaults import STEPS
from gan.networks.pixels import to_float
from gan.networks.unet import UNet
from gan.photos.read import ImageSet
from models.picks import spread
from models.progress import Progress

LOOKED_AT = 500
"""Images of each kind that are judged, at most."""
LEAST_AGREEMENT = 0.8
"""Of the overlap on photos: what the overlap on generated images should reach."""
LEAST_KNOWN = 0.2
"""Overlap on photos below which the segmenter knows too little to judge."""
_BATCH, _RATE = 4, 3e-3
_SIDE = 128
"""Pixels of the square that a step sees of each image: larger ones cost no more time."""
_SHIFT = 12
"""Pixels by which a step moves an image at most."""
_AT_ONCE = 32


@dataclass(frozen=True)
class Overlap:
    """Intersection over union of predicted masks and those that are there.

    Attributes:
        pooled: over the pixels of all images: large defects count most.
        mean: of the images, each counting as much; 1 where both masks are empty.
    """

    pooled: float
    mean: float


@dataclass(frozen=True)
class Agreement:
    """How well a segmenter of real photos agrees with masks.

    Attributes:
        photos: with those of photos that it was not trained on.
        generated: with those of generated images.
        ratio, ratio_mean: of these two, generated over photos: pooled, and of the means.
        trained_on: what pairs it learned from.
    """

    photos: Overlap
    generated: Overlap
    ratio: float
    ratio_mean: float
    trained_on: str

    @property
    def knows(self) -> bool:
        """Whether the segmenter finds defects in photos well enough to judge by it."""
        return self.photos.pooled >= LEAST_KNOWN

    @property
    def enough(self) -> bool:
        """Whether generated masks agree nearly as well as those of photos, over all pixels and image by image."""
        return min(self.ratio, self.ratio_mean) >= LEAST_AGREEMENT


def agreement(fake: ImageSet, real: ImageSet, train: ImageSet | None, seed: int, device: str = "cpu") -> Agreement:
    """Train a segmenter on real pairs, and compare its masks with those of photos and of generated images.

    All have masks. Without `train` two segmenters learn from a half of `real` each; each is asked of the other
    half, and both of the generated images.

    Args:
        fake: generated images.
        real: photos that were not trained on.
        train: photos that the generator was trained on.
        seed: of the weights, of the order and of what is changed in each step.
        device: where it is trained.
    """
    fake, real = (_some(images) for images in (fake, real))
    if train is not None:
        lessons, unseen, said = [train], [real], f"{len(train.names)} training photos"
    else:
        order = torch.randperm(len(real.names), generator=torch.Generator().manual_seed(seed)).tolist()
        one, other = (_rows(real, sorted(part)) for part in (order[::2], order[1::2]))
        lessons, unseen, said = [one, other], [other, one], "each half of the real photos, asked of the other half"
    marked: list[tuple[Tensor, Tensor]] = []
    with Progress("segmenter", len(lessons) * STEPS, "steps") as progress:
        for known, photos in zip(lessons, unseen, strict=True):
            segmenter = Segmenter(known, seed, device, progress, STEPS)
            marked.append((segmenter.marked(photos.images), segmenter.marked(fake.images)))
    of_photos = overlap(torch.cat([of for of, _ in marked]), torch.cat([_defect(of) for of in unseen]))
    generated = overlap(torch.cat([of for _, of in marked]), _defect(fake).repeat(len(marked), 1, 1, 1))
    ratios = generated.pooled / max(of_photos.pooled, 1e-6), generated.mean / max(of_photos.mean, 1e-6)
    return Agreement(of_photos, generated, *ratios, said)


def overlap(marked: Tensor, defect: Tensor) -> Overlap:
    """Of two sets of masks, bool `[N, 1, H, W]` each."""
    both, either = (of.flatten(1).sum(dim=1).double() for of in (marked & defect, marked | defect))
    each = torch.where(either > 0, both / either.clamp_min(1), 1.0)
    return Overlap(float(both.sum() / either.sum()) if either.any() else 1.0, float(each.mean()))


class Segmenter:
    """A small U-Net that has learned from pairs.

    Args:
        pairs: images with masks.
        seed: of the weights, of the order and of what is changed in each step.
        device: where it is trained.
        progress: told of each step.
        steps: how many.
    """

    def __init__(self, pairs: ImageSet, seed: int, device: str, progress: Progress, steps: int = STEPS) -> None:
        random = torch.Generator().manual_seed(seed)
        self._device = device
        self._network = UNet(pairs.images.shape[1], random).to(device).train()
        optimiser = torch.optim.AdamW(self._network.parameters(), lr=_RATE, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        images, defect = to_float(pairs.images), _defect(pairs).float()
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            while len(order) < _BATCH:
                order = torch.cat([order, torch.randperm(len(images), generator=random)])
            rows, order = order[:_BATCH], order[_BATCH:]
            shown, wanted = _changed(images[rows], defect[rows], random)
            loss = segmentation_loss(self._network(shown.to(device)), wanted.to(device))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            progress.update(1)
        self._network.eval()

    @torch.no_grad()
    def marked(self, images: Tensor) -> Tensor:
        """What it takes for a defect in images uint8 `[N, C, H, W]`: bool `[N, 1, H, W]`."""
        parts = torch.split(images, _AT_ONCE)
        return torch.cat([self._network(to_float(part.to(self._device))).cpu() > 0 for part in parts])


def _rows(images: ImageSet, rows: list[int]) -> ImageSet:
    masks = images.masks
    assert masks is not None
    return ImageSet(images.images[rows], [images.names[row] for row in rows], masks=masks[rows])


def _some(images: ImageSet) -> ImageSet:
    return _rows(images, spread(len(images.names), LOOKED_AT))


def _defect(images: ImageSet) -> Tensor:
    assert images.masks is not None
    return images.masks > 0


def segmentation_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy, and Dice of each image (Milletari et al., "V-Net", 3DV 2016), so that small defects count as well.

    Args:
        logits: float `[N, 1, H, W]`.
        wanted: float of that shape, 0 or 1.
    """
    likely = logits.sigmoid()
    both, all_of = (of.sum(dim=(1, 2, 3)) for of in (likely * wanted, likely + wanted))
    return binary_cross_entropy_with_logits(logits, wanted) + (1 - (2 * both + 1) / (all_of + 1)).mean()


def _changed(images: Tensor, defect: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs moved and mirrored; another light would change nothing, as the network sees each image at deviation 1."""
    pairs = []
    for both in torch.cat([images, defect], dim=1):
        axes = [axis for axis in (1, 2) if float(torch.rand((), generator=random)) < 0.5]
        pairs.append(_moved(both, random).flip(axes))
    shown = torch.stack(pairs)
    return shown[:, :-1], shown[:, -1:]


def _moved(both: Tensor, random: torch.Generator) -> Tensor:
    """A square of at most `_SIDE` pixels of image and mask `[C + 1, H, W]`, around a pixel of the defect mostly."""
    height, width = (min(side, _SIDE) for side in both.shape[1:])
    both = pad(both[None], (_SHIFT,) * 4, mode="reflect")[0]
    free = both.shape[1] - height, both.shape[2] - width
    places = both[-1].nonzero()
    top, left = (int(torch.randint(side + 1, (), generator=random)) for side in free)
    if len(places) and max(free) > 2 * _SHIFT and float(torch.rand((), generator=random)) < 0.75:
        place = places[int(torch.randint(len(places), (), generator=random))].tolist()
        top, left = (
            min(max(at - side // 2, 0), room) for at, side, room in zip(place, (height, width), free, strict=True)
        )
    return both[:, top : top + height, left : left + width]
