"""Two sets of images compared: what goes in, what is measured, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan.evaluation.classes import Classwise, LabelledFeatures, by_class
from gan.evaluation.copying import Copying, Pair, find_copies, in_every_orientation
from gan.evaluation.features import FeatureNetwork
from gan.evaluation.line_figures import LineFigures, compare_lines
from gan.evaluation.masks import MaskFigures, compare_masks
from gan.evaluation.metrics import (
    ideal_coverage,
    kid,
    kid_interval,
    manifold,
    mean_ms_ssim,
    spectrum,
    spectrum_distance,
    ssim_scales,
)
from gan.evaluation.places import Places, places
from gan.evaluation.spots import Spots, compare_spots
from gan.photos.duplicates import same_pixels
from gan.photos.read import ImageSet
from gan.sizes import told
from models.progress import Progress


@dataclass(frozen=True)
class Sources:
    """Where the images came from, and how they were read.

    Attributes:
        real, fake, train: the folders or files; `train` is None where copies are not looked for.
        fit: how photos got the shape of the images, one of `gan.photos.fit.FITS`.
        fit_reason: why it is this one.
        notes: what the reader of the numbers should know.
    """

    real: str
    fake: str
    train: str | None = None
    fit: str = "crop"
    fit_reason: str = "as asked"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sets:
    """What is compared: images of one shape; `train` is what the fakes may have been copied from."""

    real: ImageSet
    fake: ImageSet
    train: ImageSet | None = None


@dataclass(frozen=True)
class Judgement:
    """What one network sees. "Floor": what real photos score, where the fakes could be no better.

    Attributes:
        features: the network's name.
        kid_x1000, kid_x1000_interval: KID × 1000 of the fakes, and its 95 % bootstrap interval.
        precision, density, coverage: of the fakes among the real photos.
    """

    features: str
    kid_x1000: float
    kid_x1000_interval: tuple[float, float]
    kid_x1000_floor: float
    kid_x1000_floor_interval: tuple[float, float]
    precision: float
    precision_floor: float
    density: float
    density_floor: float
    coverage: float
    coverage_floor: float


@dataclass(frozen=True)
class Quality(Judgement):
    """What `gan.evaluate` measured, by the first network and by none.

    Attributes:
        real, fake, train, fit, fit_reason, notes: see `Sources`.
        n_real, n_fake, n_train: how many of each.
        channels, image_size, seed: how they were compared; the size as `gan.sizes.told` tells it.
        floor_of: which real photos gave the floors.
        coverage_ideal: what as many fakes of the very distribution of the real photos would reach on average.
        second: what another network says, where one was asked.
        ms_ssim, ms_ssim_real: likeness of random pairs of fakes, and of real photos: the higher, the more alike they
            are; `ms_ssim_scales` is how many scales fit.
        spectrum_distance_db: between the two curves in dB, see `gan.evaluation.metrics.spectrum`.
        identical: fakes that are real photos, pixel by pixel.
        lines: what the lines are like.
        spots: what is at the same spot of many images.
        places, places_real: where lines stand and what grain is shared, of the fakes and of the real photos.
        copying, pixel_copying, shifted_copying: by features, by pixels, and by pixels wherever they lie, see
            `gan.evaluation.copying`; None without training images.
        copying_verdict: the worst of them.
        classes: class by class, where the images have labels.
        has_masks: whether the images have masks.
        masks: what these are like, where the photos have masks, too.
    """

    real: str
    fake: str
    train: str | None
    n_real: int
    n_fake: int
    n_train: int
    channels: int
    image_size: int | str
    fit: str
    fit_reason: str
    seed: int
    floor_of: str
    coverage_ideal: float
    second: Judgement | None
    ms_ssim: float
    ms_ssim_real: float
    ms_ssim_scales: int
    spectrum_distance_db: float
    spectrum_floor_db: float
    spectrum_real_db: tuple[float, ...]
    spectrum_fake_db: tuple[float, ...]
    identical: int
    lines: LineFigures
    spots: Spots
    places: Places
    places_real: Places
    copying: Copying | None
    pixel_copying: Copying | None
    shifted_copying: Copying | None
    copying_verdict: str | None
    notes: tuple[str, ...]
    classes: Classwise | None = None
    has_masks: bool = False
    masks: MaskFigures | None = None


def compare(
    sets: Sets,
    sources: Sources,
    network: FeatureNetwork,
    seed: int,
    second: FeatureNetwork | None = None,
    segmenter: str | None = None,
) -> tuple[Quality, list[Pair]]:
    """All the numbers, and the fakes that lie nearest to training images.

    Args:
        sets: what is compared: 10 real photos at least, and 20 where there are no training images.
        sources: where they came from.
        network: in whose eyes.
        seed: of what is drawn at random.
        second: another network to ask for the numbers of a `Judgement`.
        segmenter: the device on which one is trained that judges masks, where there are any; None: none is.

    Raises:
        ValueError: images of different shapes, or too few.
    """
    given = [images for images in (sets.real, sets.fake, sets.train) if images is not None]
    if len({images.images.shape[1:] for images in given}) != 1:
        raise ValueError(f"images of different shapes: {[list(images.images.shape) for images in given]}")
    real, fake, known = _seen(sets, network)
    if sets.train is not None and known is not None:
        floor_of, one, other = "training photos against real ones", real, known.first(len(sets.train.images))
        copies = find_copies(sets.fake, sets.real, sets.train, (fake.features, real.features, known.features))
    else:
        floor_of, copies = "two random halves of the real photos", None
        one, other = _halves(real, seed)
    real_curve, fake_curve = spectrum(real.images), spectrum(fake.images)
    quality = Quality(
        real=sources.real,
        fake=sources.fake,
        train=sources.train,
        n_real=len(real.images),
        n_fake=len(fake.images),
        n_train=len(sets.train.images) if sets.train else 0,
        channels=real.images.shape[1],
        image_size=told(real.images.shape[3], real.images.shape[2]),
        fit=sources.fit,
        fit_reason=sources.fit_reason,
        seed=seed,
        floor_of=floor_of,
        **vars(_judgement(network.name, real.features, fake.features, one.features, other.features, seed)),
        coverage_ideal=ideal_coverage(len(real.images), len(fake.images)),
        second=None if second is None else _second(sets, second, seed),
        ms_ssim=mean_ms_ssim(fake.images, seed=seed),
        ms_ssim_real=mean_ms_ssim(real.images, seed=seed),
        ms_ssim_scales=ssim_scales(min(real.images.shape[2:])),
        spectrum_distance_db=spectrum_distance(real_curve, fake_curve),
        spectrum_floor_db=spectrum_distance(spectrum(one.images), spectrum(other.images)),
        spectrum_real_db=tuple(real_curve.tolist()),
        spectrum_fake_db=tuple(fake_curve.tolist()),
        identical=sum(same_pixels(sets.fake, sets.real)),
        lines=compare_lines(fake.images, real.images, (one.images, other.images)),
        spots=compare_spots(fake.images, real.images, (one.images, other.images)),
        places=places(fake.images),
        places_real=places(real.images),
        copying=copies.by_features if copies else None,
        pixel_copying=copies.by_pixels if copies else None,
        shifted_copying=copies.by_shifted_pixels if copies else None,
        copying_verdict=copies.verdict if copies else None,
        notes=sources.notes,
        classes=_classwise(sets, real, fake, known, seed),
        has_masks=sets.fake.masks is not None,
        masks=_masks(sets, seed, segmenter),
    )
    return quality, copies.pairs if copies else []


@dataclass(frozen=True)
class _Seen:
    """Images uint8 `[N, C, H, W]` and their features `[N, D]`."""

    images: Tensor
    features: Tensor

    def first(self, count: int) -> _Seen:
        return _Seen(self.images[:count], self.features[:count])


def _seen(sets: Sets, network: FeatureNetwork) -> tuple[_Seen, _Seen, _Seen | None]:
    """The features of the real photos, of the fakes, and of the training images in every orientation."""
    mirrored = [] if sets.train is None else in_every_orientation(sets.train.images)
    passes = sum(len(images) for images in (sets.real.images, sets.fake.images, *mirrored))
    with Progress("features", passes, "images") as progress:
        real = _Seen(sets.real.images, network(sets.real.images, progress.update))
        fake = _Seen(sets.fake.images, network(sets.fake.images, progress.update))
        if not mirrored:
            return real, fake, None
        known = torch.cat([network(images, progress.update) for images in mirrored])
    return real, fake, _Seen(mirrored[0], known)


def _masks(sets: Sets, seed: int, segmenter: str | None) -> MaskFigures | None:
    """Where images and photos have masks."""
    if sets.fake.masks is None or sets.real.masks is None:
        return None
    train = sets.train if sets.train is not None and sets.train.masks is not None else None
    return compare_masks(sets.fake, sets.real, train, seed, segmenter)


def _classwise(sets: Sets, real: _Seen, fake: _Seen, known: _Seen | None, seed: int) -> Classwise | None:
    """Where all images have labels."""
    if sets.train is None or known is None or not (sets.real.labels and sets.fake.labels and sets.train.labels):
        return None
    trained = known.first(len(sets.train.images))
    photos, images, known_photos = (
        LabelledFeatures(seen.features, of.labels)
        for seen, of in ((real, sets.real), (fake, sets.fake), (trained, sets.train))
    )
    return by_class(sets.real.class_names, photos, images, known_photos, seed)


def _halves(seen: _Seen, seed: int) -> tuple[_Seen, _Seen]:
    order = torch.randperm(len(seen.images), generator=torch.Generator().manual_seed(seed))
    one, other = order.tensor_split(2)
    return _Seen(seen.images[one], seen.features[one]), _Seen(seen.images[other], seen.features[other])


def _judgement(name: str, real: Tensor, fake: Tensor, one: Tensor, other: Tensor, seed: int) -> Judgement:
    """Of features `[N, D]`; `one` and `other` are of real photos, and give the floors."""

    def interval(first: Tensor, second: Tensor) -> tuple[float, float]:
        low, high = kid_interval(first, second, seed=seed)
        return 1000 * low, 1000 * high

    among, floor = manifold(real, fake), manifold(one, other)
    return Judgement(
        name,
        kid_x1000=1000 * kid(real, fake),
        kid_x1000_interval=interval(real, fake),
        kid_x1000_floor=1000 * kid(one, other),
        kid_x1000_floor_interval=interval(one, other),
        precision=among.precision,
        precision_floor=floor.precision,
        density=among.density,
        density_floor=floor.density,
        coverage=among.coverage,
        coverage_floor=floor.coverage,
    )


def _second(sets: Sets, network: FeatureNetwork, seed: int) -> Judgement:
    given = [images.images for images in (sets.real, sets.fake, sets.train) if images is not None]
    with Progress(f"features of {network.name}", sum(map(len, given)), "images") as progress:
        real, fake, *train = (network(images, progress.update) for images in given)
    if train:
        one, other = real, train[0]
    else:
        one, other = (half.features for half in _halves(_Seen(sets.real.images, real), seed))
    return _judgement(network.name, real, fake, one, other, seed)
