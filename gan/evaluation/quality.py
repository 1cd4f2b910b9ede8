"""How good generated images are: read them and real photos, measure, and keep what a person should look at."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan.evaluation.fakes import read_fakes
from gan.evaluation.features import DEFAULT, FeatureNetwork, load_features
from gan.evaluation.metrics import (
    NEIGHBOURS,
    VERDICTS,
    Copying,
    copying,
    density_coverage,
    diversity,
    kid,
    kid_interval,
    nearest,
    spectrum,
    spectrum_distance,
    ssim_scales,
)
from gan.evaluation.report import write_report
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.read import MIN_IMAGES, ImageSet, find_images, load_images
from models.errors import CommandError, ExitCode
from models.files import write_probe
from models.progress import Progress

MIRRORS: dict[str, tuple[int, ...]] = {
    "as it is": (),
    "mirrored left to right": (3,),
    "mirrored top to bottom": (2,),
    "turned by 180°": (2, 3),
}
"""The ways to show a training image, as the dimensions that are flipped: a mirrored copy is a copy."""
PIXEL_SIDE = 32
"""Images are compared pixel by pixel at this size, at which grain no longer counts."""
SHOWN_PAIRS = 16
REPORT = "report.html"


@dataclass(frozen=True)
class Quality:
    """What `evaluate` measured. "Floor": what real photos score, where the fakes could be no better.

    Attributes:
        real, fake, train: where the images came from.
        n_real, n_fake, n_train: how many of each.
        channels, image_size, features, seed: how they were compared.
        floor_of: which real photos gave the floors.
        kid_x1000, kid_x1000_interval: KID × 1000 of the fakes, and its 95 % bootstrap interval.
        density, coverage: of the fakes among the real photos; `coverage_ideal` is what as many fakes of the very
            distribution of the real photos would reach on average.
        ms_ssim, ms_ssim_real: of random pairs of fakes, and of real photos; `ms_ssim_scales` is how many scales fit.
        spectrum_distance_db: between the two curves in dB, which hold 1 to image_size // 2 cycles per image.
        copying: in feature space; None without training images.
        pixel_copying: the same by pixels at 32×32 without their mean, which sees copies under noise or compression that
            features take for other images.
        copying_verdict: the worse of both.
        notes: what the reader of the numbers should know.
    """

    real: str
    fake: str
    train: str | None
    n_real: int
    n_fake: int
    n_train: int
    channels: int
    image_size: int
    features: str
    seed: int
    floor_of: str
    kid_x1000: float
    kid_x1000_interval: tuple[float, float]
    kid_x1000_floor: float
    kid_x1000_floor_interval: tuple[float, float]
    density: float
    density_floor: float
    coverage: float
    coverage_floor: float
    coverage_ideal: float
    ms_ssim: float
    ms_ssim_real: float
    ms_ssim_scales: int
    spectrum_distance_db: float
    spectrum_floor_db: float
    spectrum_real_db: tuple[float, ...]
    spectrum_fake_db: tuple[float, ...]
    copying: Copying | None
    pixel_copying: Copying | None
    copying_verdict: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A fake and the training image nearest to it.

    Attributes:
        fake, train: uint8 `[C, S, S]`, the training image in the orientation in which it is nearest.
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
class Sets:
    """What is compared: images of one shape; `train` is what the fakes may have been copied from."""

    real: ImageSet
    fake: ImageSet
    train: ImageSet | None = None


def evaluate(
    real: Path,
    fake: Path,
    *,
    train: Path | None = None,
    count: int = 1000,
    seed: int = 0,
    features: str = DEFAULT,
    channels: int | None = None,
    image_size: int | None = None,
    fit: str = "crop",
    skip_bad_files: bool = False,
    device: str = "cpu",
    out: Path | None = None,
) -> Quality:
    """Compare generated images with real photos.

    Args:
        real: folder of photos that were not trained on.
        fake: folder of generated images (of `gan-batch`: the images in its manifest), of which `count` are taken,
            evenly spaced in their order; or a `generator_model.pth` or `network-snapshot-*.pt`.
        train: folder of the photos that were trained on: for the floor, and for the search for copies.
        count: how many fakes, at most.
        seed: of the latents, and of everything that is drawn at random.
        features: see `gan.evaluation.features.load_features`.
        channels: 1 or 3; None: those of the fakes.
        image_size: all images are brought to it; None: that of the generator, or 128.
        fit: how a photo becomes a square, as in training (`gan.photos.read.FITS`).
        skip_bad_files: compare without the photos that cannot be used, instead of stopping.
        device: `cpu` or `cuda`.
        out: folder for `report.html`; None: none is written.

    Raises:
        CommandError: 2 folders that overlap or a FAKE that is no images, 65 unusable images or features, 66 nothing
            there, 73 or 74 where `out` cannot be written.
    """
    _refuse_overlap(real, fake, train)
    for folder in (real, train) if train else (real,):
        find_images(folder)  # that there is none should not be told after a minute of making fakes
    if out is not None:
        write_probe(out)
    network = load_features(features, device)
    fakes, notes = read_fakes(fake, count, seed, channels, image_size, device)
    channels, size = fakes.images.shape[1], fakes.images.shape[2]
    photos = load_images(real, channels, size, skip_bad_files, fit=fit)
    trained = None if train is None else load_images(train, channels, size, skip_bad_files, fit=fit)
    if copied := len(fakes.names) - len(_without_known(fakes, photos).names):
        notes += (f"{copied} of {len(fakes.names)} images of FAKE are photos of REAL, pixel by pixel",)
    if trained is not None:
        photos, of_photos = _held_out(photos, trained)
        notes += of_photos
    least = 2 * MIN_IMAGES if trained is None else MIN_IMAGES
    if len(photos.names) < least:
        also = "without --train, as its halves are compared" if trained is None else "that are not in --train, too"
        raise CommandError(ExitCode.BAD_DATA, f"{len(photos.names)} photos in {real}: {least} are needed {also}")
    sets = Sets(photos, fakes, trained)
    names = (str(real), str(fake), None if train is None else str(train))
    quality, pairs = measure(sets, network, seed, names, notes)
    if out is not None:
        write_report(out / REPORT, quality, sets, pairs)
    return quality


def measure(
    sets: Sets, network: FeatureNetwork, seed: int, names: tuple[str, str, str | None], notes: tuple[str, ...] = ()
) -> tuple[Quality, list[Pair]]:
    """All the numbers, and the fakes that lie nearest to training images.

    Args:
        sets: what is compared; REAL needs 10 photos, and 20 where there are no training images.
        network: in whose eyes.
        seed: of what is drawn at random.
        names: of the real, the fake and the training images.
        notes: of how they were read.

    Raises:
        ValueError: images of different shapes, or too few.
    """
    given = [images for images in (sets.real, sets.fake, sets.train) if images is not None]
    if len({images.images.shape[1:] for images in given}) != 1:
        raise ValueError(f"images of different shapes: {[list(images.images.shape) for images in given]}")
    mirrored = [] if sets.train is None else [sets.train.images.flip(dims) for dims in MIRRORS.values()]
    passes = sum(len(images) for images in (sets.real.images, sets.fake.images, *mirrored))
    with Progress("features", passes, "images") as progress:
        real = _Seen(sets.real.images, network(sets.real.images, progress.update))
        fake = _Seen(sets.fake.images, network(sets.fake.images, progress.update))
        known = torch.cat([network(images, progress.update) for images in mirrored]) if mirrored else None
    if known is not None:
        floor_of, one, other = "--train against REAL", real, _Seen(mirrored[0], known[: len(mirrored[0])])
    else:
        floor_of = "two random halves of REAL"
        one, other = _halves(real, seed)
    density, coverage = density_coverage(real.features, fake.features)
    density_floor, coverage_floor = density_coverage(one.features, other.features)
    real_curve, fake_curve = spectrum(real.images), spectrum(fake.images)
    copies = pixels = verdict = None
    pairs: list[Pair] = []
    if known is not None:
        by_features = _Distances.of(real.features, fake.features, known)
        by_pixels = _Distances.of(_small(real.images), _small(fake.images), torch.cat([*map(_small, mirrored)]))
        copies, pixels = (copying(found.fake, found.held_out) for found in (by_features, by_pixels))
        verdict = max(copies.verdict, pixels.verdict, key=VERDICTS.index)
        pairs = _nearest_pairs(sets, by_features if copies.verdict == verdict else by_pixels)
    quality = Quality(
        *names,
        n_real=len(real.images),
        n_fake=len(fake.images),
        n_train=len(mirrored[0]) if mirrored else 0,
        channels=real.images.shape[1],
        image_size=real.images.shape[2],
        features=network.name,
        seed=seed,
        floor_of=floor_of,
        kid_x1000=1000 * kid(real.features, fake.features),
        kid_x1000_interval=_kid_interval(real, fake, seed),
        kid_x1000_floor=1000 * kid(one.features, other.features),
        kid_x1000_floor_interval=_kid_interval(one, other, seed),
        density=density,
        density_floor=density_floor,
        coverage=coverage,
        coverage_floor=coverage_floor,
        coverage_ideal=ideal_coverage(len(real.images), len(fake.images)),
        ms_ssim=diversity(fake.images, seed=seed),
        ms_ssim_real=diversity(real.images, seed=seed),
        ms_ssim_scales=ssim_scales(real.images.shape[2]),
        spectrum_distance_db=spectrum_distance(real_curve, fake_curve),
        spectrum_floor_db=spectrum_distance(spectrum(one.images), spectrum(other.images)),
        spectrum_real_db=tuple(real_curve.tolist()),
        spectrum_fake_db=tuple(fake_curve.tolist()),
        copying=copies,
        pixel_copying=pixels,
        copying_verdict=verdict,
        notes=notes,
    )
    return quality, pairs


def ideal_coverage(real: int, fake: int, k: int = NEIGHBOURS) -> float:
    """The coverage that as many fakes of the very distribution of the real images have on average.

    A ball stays empty where, of the `real - 1 + fake` images around its centre, the nearest k are all real.
    """
    empty = 1.0
    for index in range(k):
        empty *= (real - 1 - index) / (real - 1 + fake - index)
    return 1 - empty


@dataclass(frozen=True)
class _Seen:
    """Images uint8 `[N, C, S, S]` and their features `[N, D]`."""

    images: Tensor
    features: Tensor


def _halves(seen: _Seen, seed: int) -> tuple[_Seen, _Seen]:
    order = torch.randperm(len(seen.images), generator=torch.Generator().manual_seed(seed))
    one, other = order.tensor_split(2)
    return _Seen(seen.images[one], seen.features[one]), _Seen(seen.images[other], seen.features[other])


def _kid_interval(real: _Seen, fake: _Seen, seed: int) -> tuple[float, float]:
    low, high = kid_interval(real.features, fake.features, seed=seed)
    return 1000 * low, 1000 * high


@dataclass(frozen=True)
class _Distances:
    """Distances of fakes `[M]` and held-out photos `[N]` to the nearest training image, and which that is of a fake."""

    fake: Tensor
    held_out: Tensor
    index: Tensor

    @classmethod
    def of(cls, real: Tensor, fake: Tensor, known: Tensor) -> _Distances:
        near, index = nearest(fake, known)
        return cls(near, nearest(real, known)[0], index)


def _nearest_pairs(sets: Sets, found: _Distances) -> list[Pair]:
    """The fakes nearest to training images, the nearest first."""
    assert sets.train is not None
    count, mirrors = len(sets.train.names), list(MIRRORS)
    pairs = []
    for row in found.fake.argsort(stable=True)[:SHOWN_PAIRS].tolist():
        mirror, photo = mirrors[int(found.index[row]) // count], int(found.index[row]) % count
        pairs.append(
            Pair(
                fake=sets.fake.images[row],
                train=sets.train.images[photo].flip([dim - 1 for dim in MIRRORS[mirror]]),
                fake_name=sets.fake.names[row],
                train_name=sets.train.names[photo],
                mirror=mirror,
                distance=float(found.fake[row] / found.held_out.median().clamp_min(1e-12)),
            )
        )
    return pairs


def _small(images: Tensor) -> Tensor:
    """Images `[N, C, S, S]` as vectors to compare by pixels: small, and without their mean."""
    flat = adaptive_avg_pool2d(images.float(), PIXEL_SIDE).flatten(1)
    return flat - flat.mean(dim=1, keepdim=True)


def _refuse_overlap(real: Path, fake: Path, train: Path | None) -> None:
    """One folder in another would make its images count as both."""
    folders = [("REAL", real), ("--train", train), ("FAKE", fake if fake.is_dir() else None)]
    given = [(name, folder, folder.resolve()) for name, folder in folders if folder is not None]
    for (name, folder, path), (other_name, other, other_path) in itertools.combinations(given, 2):
        if path.is_relative_to(other_path) or other_path.is_relative_to(path):
            raise CommandError(
                ExitCode.USAGE,
                f"{name} {folder} and {other_name} {other} are one folder or one lies in the other: "
                "the same images would be compared with themselves",
            )


def _held_out(photos: ImageSet, trained: ImageSet) -> tuple[ImageSet, tuple[str, ...]]:
    """The photos of REAL that are not in --train, and what the reader should know of them."""
    kept = _without_known(photos, trained)
    notes: tuple[str, ...] = ()
    if len(kept.names) < len(photos.names):
        notes += (f"{len(photos.names) - len(kept.names)} photos of REAL are in --train, too, and were left out",)
    if kept.names and (copies := near_copies(kept, trained)):
        notes += (f"{copies}: near-copies flatter the floor, and a generator that learned them by heart",)
    return kept, notes


def _without_known(images: ImageSet, known: ImageSet) -> ImageSet:
    """`images` without those whose pixels are those of a known one."""
    rows = [row for row, same in enumerate(same_pixels(images, known)) if not same]
    return ImageSet(images.images[rows], [images.names[row] for row in rows])
