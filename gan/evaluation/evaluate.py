"""How good generated images are: find and read them and real photos, compare, and leave the report."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import models
from gan import sizes
from gan.devices import find_device
from gan.evaluation import defaults
from gan.evaluation.comparison import Quality, Sets, Sources, compare
from gan.evaluation.features import load_features
from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.images import read_made, read_photos
from gan.evaluation.labelling import labelled
from gan.evaluation.report import write_report
from gan.evaluation.runs import file_sha256, holds_images, image_names, is_run, model_sha256
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.fit import FITS
from gan.photos.labels import Classes, classes_in
from gan.photos.masks import checked
from gan.photos.pairing import Pairing, pair
from gan.photos.read import MIN_IMAGES, ImageSet, find_images
from gan.photos.which import Which
from models.errors import CommandError, ExitCode
from models.files import write_probe

REPORT = "report.html"


@dataclass(frozen=True)
class CommonShape:
    """The shape in which images are compared; what is None is as the fakes have it.

    Attributes:
        channels: 1 or 3; else those of the fakes.
        image_size: the side of a square, or width and height, such as `320x128`, each 32 to 1024 pixels; else that of
            the generator, or 128.
        fit: how a photo gets that shape, one of `gan.photos.fit.FITS`; else as when the generator was trained, or
            `crop` where that is not known.
    """

    channels: int | None = None
    image_size: int | str | None = None
    fit: str | None = None


AS_MADE, ALL = CommonShape(), Which()


def evaluate(
    real: Path,
    fake: Path,
    *,
    train: Path | None = None,
    model: Path | None = None,
    count: int = defaults.COUNT,
    seed: int = 0,
    features: str = defaults.FEATURES,
    second_features: str | None = None,
    shape: CommonShape = AS_MADE,
    which: Which = ALL,
    segmenter: bool | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> Quality:
    """Compare generated images with real photos.

    Args:
        real: folder or `.zip` of photos that were not trained on.
        fake: folder of generated images (of a run of `gan-batch`, with folders or tar files: the images in its
            manifest) or one tar file, of which `count` are taken, evenly spaced in their order; or a generator that is
            asked for `count` images: a file of `gan-export onnx`, a `generator_model.pth` or a `network-snapshot-*.pt`.
        train: folder or `.zip` of the photos that were trained on: for the floor, and for the search for copies.
        model: the ONNX file that made the run in `fake`, which tells how the training photos were fitted; None:
            `models/generator.onnx` or the bundled generator, if that is the file that made it.
        count: how many fakes, at most; 10 to 20,000.
        seed: of the latents, and of everything that is drawn at random; 0 to 2⁶³ - 1.
        features: see `gan.evaluation.features.load_features`.
        second_features: another such network to ask, since each has its own eyes; None: none.
        shape: that all images are brought to.
        which: photos of `real` and `train` to take, and what is told of them. With `classes` or `labels` they are
            compared class by class, too: the fakes tell theirs by the generator, by the column `label` of a run's
            manifest, or by sub-folders. With `masks` the masks of the images are judged, and `crop` and `tile` keep the
            part of a photo with most of the defect; a run in the place of photos has its own.
        segmenter: whether to train a small one on the photos that asks how well masks fit, some minutes; None: where
            `train` and `masks` are given.
        device: `auto`, `cpu` or `cuda`.
        out: folder for `report.html`; None: none is written.

    Raises:
        CommandError: 2 arguments that cannot be meant, such as folders that overlap; 65 unusable images, model or
            features; 66 nothing there, or an unfinished run; 69 no such device; 73 or 74 where `out` cannot be written.
    """
    _refuse_values(count, seed, shape)
    _refuse_overlap(real, fake, train)
    which.check()
    if which.masks is None and segmenter:
        raise CommandError(ExitCode.USAGE, "`segmenter` needs the masks of the photos: `masks`")
    paired = _paired(real, train, which)
    known = _classes(real, train, which)
    device = find_device(device)
    for folder in (real, train) if train else (real,):
        _refuse_nothing(folder, which)  # that there is none should not be told after a minute of making fakes
    generator = _generator(fake, shape, device)
    maker = _maker(fake, generator, model)
    if maker is not None and maker.taught:
        for name in (features, second_features):
            defaults.refuse_teacher(name)
    sources = _sources(real, fake, train, shape.fit, maker)
    fitting = None if paired is None else checked(paired, which.missing_masks, which.skip_bad_files)
    if out is not None:
        write_probe(out)
    network = load_features(features, device)
    second = None if second_features is None else load_features(second_features, device)
    if generator is None:
        fakes, notes = read_made(fake, count, shape.channels, shape.image_size, sources.fit)
    else:
        fakes, notes = generator.images(count, seed), ()
    _, channels, height, width = fakes.images.shape
    load = partial(
        read_photos, channels=channels, size=sizes.told(width, height), skip_bad_files=which.skip_bad_files,
        fit=sources.fit, only=which.only, without=which.without, masks=fitting,
    )  # fmt: skip
    trained = None if train is None else load(train)
    photos = load(real, scales=trained.scales if trained else None)
    sets, told = _sets(real, photos, fakes, trained)
    if known is not None:
        sets = labelled(sets, known, fake)
    notes = sources.notes + notes + told + _of_masks(sets, which.masks)
    asked = train is not None if segmenter is None else segmenter
    quality, pairs = compare(
        sets, dataclasses.replace(sources, notes=notes), network, seed, second, device if asked else None
    )
    if out is not None:
        write_report(out / REPORT, quality, sets, pairs)
    return quality


def _of_masks(sets: Sets, masks: Path | None) -> tuple[str, ...]:
    """What to know where masks are given and cannot be compared."""
    if masks is None or sets.fake.masks is not None:
        return ()
    return ("the images have no masks, so those of the photos only said where to crop",)


def _refuse_values(count: int, seed: int, shape: CommonShape) -> None:
    ranges = {"count": (count, *defaults.COUNTS), "seed": (seed, 0, 2**63 - 1)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise CommandError(ExitCode.USAGE, f"`{name}={value}` is not between {low} and {high}")
    if shape.image_size is not None:
        _refuse_size(shape.image_size)
    if shape.channels not in (None, 1, 3):
        raise CommandError(ExitCode.USAGE, f"`channels={shape.channels}` is neither 1 (gray) nor 3 (colour)")
    if shape.fit is not None and shape.fit not in FITS:
        raise CommandError(ExitCode.USAGE, f"`fit={shape.fit}` is none of {', '.join(FITS)}")


def _paired(real: Path, train: Path | None, which: Which) -> Pairing | None:
    """Which mask belongs to which photo; None where none are asked for. Runs have masks of their own.

    Raises:
        CommandError: 66 no photos or no masks there.
    """
    folders = [folder for folder in (train, real) if folder is not None and not is_run(folder)]
    if which.masks is None or not folders:
        return None
    found = pair(folders, which.masks, which.only, which.without)
    # Without the photos that were trained on nobody knows whether a mask is of one of them.
    return dataclasses.replace(found, without_photo=()) if train is None else found


def _classes(real: Path, train: Path | None, which: Which) -> Classes | None:
    """Those of the photos, or None where they are not asked for.

    Raises:
        CommandError: 2 arguments that cannot be meant, 65 and 66 as of `classes_in`.
    """
    if not which.classed:
        return None
    if train is None:
        raise CommandError(
            ExitCode.USAGE, "`classes` need the photos that were trained on, to learn the classes: `train`"
        )
    return classes_in(train, real, which.labels, which.only, which.without)


def _refuse_size(image_size: int | str) -> None:
    low, high = defaults.IMAGE_SIZES
    try:
        sides = sizes.sides(image_size)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"`image_size`: {error}") from None
    if not all(low <= side <= high for side in sides):
        raise CommandError(ExitCode.USAGE, f"`image_size={image_size}` is not between {low} and {high}")


def _refuse_overlap(real: Path, fake: Path, train: Path | None) -> None:
    """One folder in another would make its images count as both."""
    folders = [("real", real), ("train", train), ("fake", fake if fake.is_dir() else None)]
    given = [(name, folder, folder.resolve()) for name, folder in folders if folder is not None]
    for (name, folder, path), (other_name, other, other_path) in itertools.combinations(given, 2):
        if path.is_relative_to(other_path) or other_path.is_relative_to(path):
            raise CommandError(
                ExitCode.USAGE,
                f"`{name}` {folder} and `{other_name}` {other} are one folder, or one lies in the other: "
                "the same images would be compared with themselves",
            )


def _refuse_nothing(photos: Path, which: Which) -> None:
    if is_run(photos):
        image_names(photos)
    else:
        find_images(photos, which.only, which.without)


def _generator(fake: Path, shape: CommonShape, device: str) -> TrainedGenerator | None:
    """The generator in `fake`; None where that is a folder or a tar file of images.

    Raises:
        CommandError: 2 a shape that the generator does not make, 65 not a generator, 66 nothing there.
    """
    if holds_images(fake):
        return None
    if not fake.exists():
        remote = "copy a run from an object store to this machine" if ":/" in str(fake) else ""
        here = remote or "name generated images or a model"
        raise CommandError(ExitCode.NO_INPUT, f"no folder or file {fake.absolute()}: {here}")
    if fake.suffix.lower() == ".zip":
        raise CommandError(ExitCode.USAGE, f"`fake` {fake} is a zip: unpack it, and name the folder")
    generator = TrainedGenerator.open(fake, device)
    if shape.channels not in (None, generator.channels):
        raise CommandError(ExitCode.USAGE, f"`channels={shape.channels}`: {fake} makes images of {generator.channels}")
    if shape.image_size is not None and sizes.told(*sizes.sides(shape.image_size)) != generator.size:
        raise CommandError(ExitCode.USAGE, f"`image_size={shape.image_size}`: {fake} makes images of {generator.size}")
    return generator


def _maker(fake: Path, generator: TrainedGenerator | None, model: Path | None) -> TrainedGenerator | None:
    """The generator that made the fakes; None where it is not known.

    Raises:
        CommandError: 2 `model` did not make them.
    """
    if generator is not None:
        if model is not None:
            raise CommandError(ExitCode.USAGE, f"`model={model}`: {fake} is a generator itself")
        return generator
    made_by = model_sha256(fake)
    if model is None:
        known = (path for path in (defaults.MODEL, models.path()) if made_by and file_sha256(path) == made_by)
        path = next(known, None)
        return None if path is None else TrainedGenerator.open(path)
    found = TrainedGenerator.open(model)
    if made_by and file_sha256(model) != made_by:
        raise CommandError(
            ExitCode.USAGE, f"`model={model}` did not make {fake}, whose run.json names the sha256 {made_by[:12]}…"
        )
    return found


def _sources(real: Path, fake: Path, train: Path | None, fit: str | None, maker: TrainedGenerator | None) -> Sources:
    """Where the images are, and how photos get their shape: as asked, else as the generator was trained."""
    trained = maker.fit if maker is not None and maker.fit in FITS else ""
    notes: tuple[str, ...] = ()
    if fit is not None:
        reason = "as asked"
        if trained and trained != fit:
            notes = (
                f"the generator was trained with `fit={trained}`, so it saw other photos than those compared here",
            )
    elif trained and maker is not None:
        fit, reason = trained, f"as the generator was trained ({maker.path})"
    else:
        fit = defaults.FIT
        reason = "the usual one, as nothing tells how the generator's training photos were fitted"
        if maker is None:
            reason += " (`model` or `fit` can)"
    return Sources(str(real), str(fake), None if train is None else str(train), fit, reason, notes)


def _sets(real: Path, photos: ImageSet, fakes: ImageSet, trained: ImageSet | None) -> tuple[Sets, tuple[str, ...]]:
    """What is compared, and what the reader should know of it.

    Raises:
        CommandError: 65 too few photos that were not trained on.
    """
    notes: tuple[str, ...] = ()
    if copied := sum(same_pixels(fakes, photos)):
        notes += (f"{copied} of {len(fakes.names)} fakes are real photos, pixel by pixel",)
    if trained is not None:
        photos, of_photos = _held_out(photos, trained)
        notes += of_photos
    least = 2 * MIN_IMAGES if trained is None else MIN_IMAGES
    if len(photos.names) < least:
        also = "without `train`, as its halves are compared" if trained is None else "that are not in `train`, too"
        raise CommandError(ExitCode.BAD_DATA, f"{len(photos.names)} photos in {real}: {least} are needed {also}")
    return Sets(photos, fakes, trained), notes


def _held_out(photos: ImageSet, trained: ImageSet) -> tuple[ImageSet, tuple[str, ...]]:
    """The real photos that were not trained on, and what the reader should know of them."""
    rows = [row for row, known in enumerate(same_pixels(photos, trained)) if not known]
    masks = None if photos.masks is None else photos.masks[rows]
    kept = ImageSet(photos.images[rows], [photos.names[row] for row in rows], masks=masks)
    notes: tuple[str, ...] = ()
    if len(rows) < len(photos.names):
        notes += (f"{len(photos.names) - len(rows)} real photos were trained on, too, and were left out",)
    if kept.names and (copies := near_copies(kept, trained)):
        notes += (f"{copies}: near-copies flatter the floor, and a generator that learned them by heart",)
    return kept, notes
