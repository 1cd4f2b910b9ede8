"""Whether generated images are copies of training images: by features, by pixels, and by pixels wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d

from gan.evaluation.metrics import nearest
from gan.photos.read import ImageSet

MIRRORS = {
    "as it is": (),
    "mirrored left to right": (3,),
    "mirrored top to bottom": (2,),
    "turned by 180°": (2, 3),
}
"""The ways to show a training image, as the dimensions that are flipped: a mirrored copy is a copy."""
PIXEL_SIDE = 32
"""Images of any shape are compared pixel by pixel as squares of this side, at which grain no longer counts."""
WAYS = 3
"""In which copies are looked for: each has a third of the chance of a false alarm."""
RIVAL = 3
"""A copy that was shifted is told by how much nearer one training image is than the third nearest."""
SHOWN_PAIRS = 16
VERDICTS = ("none found", "suspected", "copies")
"""From good to bad."""
_BLOCK = 64
SUSPECTED_RATIO = 0.8
"""A ratio of medians below this is `suspected`, whatever the shares."""


@dataclass(frozen=True)
class Copying:
    """How near the fakes lie to training images, beside how near held-out photos do.

    Attributes:
        verdict: one of `VERDICTS`.
        ratio: median distance of the fakes to their nearest training image, over that of the held-out photos.
        below_1st: share of fakes nearer than the 1st percentile of the held-out photos; fresh photos: about 0.01.
        below_5th: the same for the 5th percentile.
        copies_above: `below_1st` above which the verdict is `copies`.
        suspected_above: `below_1st` above which it is `suspected`.
    """

    verdict: str
    ratio: float
    below_1st: float
    below_5th: float
    copies_above: float
    suspected_above: float


@dataclass(frozen=True)
class Pair:
    """A fake and the training image nearest to it.

    Attributes:
        fake, train: uint8 `[C, H, W]`, the training image in the orientation in which it is nearest.
        fake_name, train_name: which they are.
        mirror: the orientation, a key of `MIRRORS`.
        distance: over the median distance of held-out photos to their nearest training image.
    """

    fake: Tensor
    train: Tensor
    fake_name: str
    train_name: str
    mirror: str
    distance: float


@dataclass(frozen=True)
class Copies:
    """What the search for copies found.

    Attributes:
        by_features: in feature space.
        by_pixels: by pixels at 32×32 without their mean, which sees copies under noise or compression that features
            take for other images.
        by_shifted_pixels: by the middle of the image wherever it lies in the training image, up to a quarter of the
            side from its place: the distance over that to another training image, as lines are alike wherever they lie.
        pairs: the fakes that lie nearest to a training image, the nearest first, in the way that found more.
    """

    by_features: Copying
    by_pixels: Copying
    by_shifted_pixels: Copying
    pairs: list[Pair]

    @property
    def verdict(self) -> str:
        """The worst of the three."""
        return max(
            (found.verdict for found in (self.by_features, self.by_pixels, self.by_shifted_pixels)), key=_badness
        )


def in_every_orientation(images: Tensor) -> list[Tensor]:
    """Images `[N, C, H, W]` in each of `MIRRORS`."""
    return [images.flip(dims) for dims in MIRRORS.values()]


def find_copies(fake: ImageSet, real: ImageSet, train: ImageSet, features: tuple[Tensor, Tensor, Tensor]) -> Copies:
    """Search the fakes for copies of training images.

    Args:
        fake: generated images.
        real: photos that were not trained on.
        train: the training images.
        features: `[M, D]` of the fakes, `[N, D]` of the photos, and `[4 T, D]` of the training images
            `in_every_orientation`.
    """
    mirrored = torch.cat([_small(images) for images in in_every_orientation(train.images)])
    ways = (
        _Distances.of(*features),
        _Distances.of(*(_flat(images) for images in (_small(fake.images), _small(real.images), mirrored))),
        _Distances.of_shifted(_small(fake.images), _small(real.images), mirrored),
    )
    judged = [judge_copying(found.fake, found.held_out) for found in ways]
    worst = max(range(len(ways)), key=lambda way: _badness(judged[way].verdict))
    return Copies(judged[0], judged[1], judged[2], _nearest_pairs(fake, train, ways[worst]))


def judge_copying(fake: Tensor, held_out: Tensor) -> Copying:
    """Judge distances to the nearest training image.

    After Meehan et al., "A Non-Parametric Test to Detect Data-Copying in Generative Models", AISTATS 2020: fakes that
    lie systematically nearer to the training images than photos the training never saw were copied from them.
    Percentiles are the next lower held-out distance. Of n held-out photos the nearest is a guess at a percentile:
    a share s of fresh photos lies below it with probability (1 - s)ⁿ, so the limits, 10 % and 3 %, are raised where n
    is so small that chance would pass them, in any of three ways, once in 1000 and once in 20 times.

    Args:
        fake: distances `[M]`.
        held_out: distances `[N]` of photos from the same source that were not trained on.

    Raises:
        ValueError: no distances.
    """
    if not len(fake) or not len(held_out):
        raise ValueError(f"need distances of both, got {len(fake)} and {len(held_out)}")
    first, fifth = (held_out.double().quantile(share, interpolation="lower") for share in (0.01, 0.05))
    medians = float(fake.double().quantile(0.5)), float(held_out.double().quantile(0.5))
    ratio = medians[0] / medians[1] if medians[1] else 1.0
    below_1st, below_5th = (float((fake <= limit).double().mean()) for limit in (first, fifth))
    rare, seldom = (1 - (chance / WAYS) ** (1 / len(held_out)) for chance in (0.001, 0.05))
    limits = max(0.10, rare), max(0.03, seldom)
    bad = 2 if below_1st > limits[0] else int(below_1st > limits[1] or ratio < SUSPECTED_RATIO)
    return Copying(VERDICTS[bad], ratio, below_1st, below_5th, *limits)


@dataclass(frozen=True)
class _Distances:
    """Distances of fakes `[M]` and held-out photos `[N]` to the nearest training image, and which that is of a fake."""

    fake: Tensor
    held_out: Tensor
    index: Tensor

    @classmethod
    def of(cls, fake: Tensor, real: Tensor, known: Tensor) -> _Distances:
        near, index = nearest(fake, known)
        return cls(near, nearest(real, known)[0], index)

    @classmethod
    def of_shifted(cls, fake: Tensor, real: Tensor, known: Tensor) -> _Distances:
        """Of images `[N, C, S, S]`; the ratio of two distances (Lowe, IJCV 2004, section 7.1) in their place."""
        near, index = _nearest_shifted(fake, known)
        return cls(near, _nearest_shifted(real, known)[0], index)


def _nearest_pairs(fake: ImageSet, train: ImageSet, found: _Distances) -> list[Pair]:
    """The fakes nearest to training images, the nearest first."""
    count, mirrors = len(train.names), list(MIRRORS)
    pairs = []
    for row in found.fake.argsort(stable=True)[:SHOWN_PAIRS].tolist():
        mirror, photo = mirrors[int(found.index[row]) // count], int(found.index[row]) % count
        pairs.append(
            Pair(
                fake=fake.images[row],
                train=train.images[photo].flip([dim - 1 for dim in MIRRORS[mirror]]),
                fake_name=fake.names[row],
                train_name=train.names[photo],
                mirror=mirror,
                distance=float(found.fake[row] / found.held_out.median().clamp_min(1e-12)),
            )
        )
    return pairs


def _small(images: Tensor) -> Tensor:
    """Images as they are compared by pixels: float `[N, C, 32, 32]`."""
    return adaptive_avg_pool2d(images.float(), PIXEL_SIDE)


def _flat(images: Tensor) -> Tensor:
    """Images as vectors without their mean."""
    flat = images.flatten(1)
    return flat - flat.mean(dim=1, keepdim=True)


def _nearest_shifted(images: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """How much nearer than others one training image is to the middle of each image, wherever that lies in it.

    The distance is that of both brought to mean 0 and norm 1, so that a shallow scratch counts as much as a deep one.

    Args:
        images: `[N, C, S, S]`.
        known: `[4 T, C, S, S]`, the training images in every orientation.

    Returns:
        The least distance over the third least, of different training images, float64 `[N]`; and the former's index in
        `known`.
    """
    side = images.shape[-1] // 2
    edge = side // 2
    middles = images[:, :, edge : edge + side, edge : edge + side]
    middles = middles - middles.mean(dim=(1, 2, 3), keepdim=True)
    pixels = middles[0].numel()
    middles = middles / _norm(middles.square().sum(dim=(1, 2, 3), keepdim=True), pixels)
    alike = []
    for part in torch.split(known, _BLOCK):
        mean, power = (avg_pool2d(of.mean(dim=1, keepdim=True), side, 1) for of in (part, part.square()))
        norms = _norm((power - mean.square()).clamp_min(0) * pixels, pixels)
        alike.append((conv2d(part, middles) / norms).amax(dim=(2, 3)))
    by_orientation = torch.cat(alike).reshape(len(MIRRORS), -1, len(images)).double()
    best, mirror = by_orientation.max(dim=0)
    distance, order = (2 - 2 * best).clamp_min(0).sqrt().sort(dim=0, stable=True)
    rival = distance[min(RIVAL, len(distance)) - 1].clamp_min(1e-12)
    photo = order[0]
    return distance[0] / rival, mirror[photo, torch.arange(len(images))] * best.shape[0] + photo


def _norm(squares: Tensor, pixels: int) -> Tensor:
    """The norm of so many pixels, with noise of a grey level in each: an even plate is like nothing."""
    return (squares + pixels).sqrt()


def _badness(verdict: str) -> int:
    return VERDICTS.index(verdict)
