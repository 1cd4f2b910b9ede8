"""What of a comparison is refused before PyTorch is loaded, which takes seconds."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

from gan import sizes
from gan.evaluation import defaults
from gan.evaluation.runs import holds_images, image_names, is_run
from gan.photos.find import photos_in
from gan.photos.fit import FITS
from gan.photos.labels import Classes, classes_in
from gan.photos.pairing import Pairing, pair
from gan.photos.which import Which
from models.errors import CommandError, ExitCode


@dataclasses.dataclass(frozen=True)
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


AS_MADE = CommonShape()
"""That of the fakes."""


def refuse_values(count: int, seed: int, shape: CommonShape) -> None:
    """Refuse numbers and words that cannot be meant.

    Raises:
        CommandError: 2.
    """
    ranges = {"count": (count, *defaults.COUNTS), "seed": (seed, 0, 2**63 - 1)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise CommandError(ExitCode.USAGE, f"`{name}={value}` is not between {low} and {high}")
    refuse_shape(shape)


def refuse_shape(shape: CommonShape) -> None:
    """Refuse a shape that no image can have.

    Raises:
        CommandError: 2.
    """
    if shape.image_size is not None:
        _refuse_size(shape.image_size)
    if shape.channels not in (None, 1, 3):
        raise CommandError(ExitCode.USAGE, f"`channels={shape.channels}` is neither 1 (gray) nor 3 (colour)")
    if shape.fit is not None and shape.fit not in FITS:
        raise CommandError(ExitCode.USAGE, f"`fit={shape.fit}` is none of {', '.join(FITS)}")


def _refuse_size(image_size: int | str) -> None:
    low, high = defaults.IMAGE_SIZES
    try:
        sides = sizes.sides(image_size)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"`image_size`: {error}") from None
    if not all(low <= side <= high for side in sides):
        raise CommandError(ExitCode.USAGE, f"`image_size={image_size}` is not between {low} and {high}")


def refuse_overlap(real: Path, fake: Path, train: Path | None) -> None:
    """Refuse one folder in another, which would make its images count as both.

    Raises:
        CommandError: 2.
    """
    folders = [("real", real), ("train", train), ("fake", fake if fake.is_dir() else None)]
    given = [(name, folder, folder.resolve()) for name, folder in folders if folder is not None]
    for (name, folder, path), (other_name, other, other_path) in itertools.combinations(given, 2):
        if path.is_relative_to(other_path) or other_path.is_relative_to(path):
            raise CommandError(
                ExitCode.USAGE,
                f"`{name}` {folder} and `{other_name}` {other} are one folder, or one lies in the other: "
                "the same images would be compared with themselves",
            )


def refuse_nothing(real: Path, fake: Path, train: Path | None, which: Which) -> None:
    """Refuse places where no images and no photos are.

    Raises:
        CommandError: 2 generated images in a zip, 65 a damaged zip, 66.
    """
    for photos in (real, train) if train else (real,):
        if is_run(photos):
            image_names(photos)
        else:
            with photos_in(photos, which.only, which.without):
                pass
    if holds_images(fake):
        return
    if not fake.exists():
        remote = "copy a run from an object store to this machine" if ":/" in str(fake) else ""
        here = remote or "name generated images or a model"
        raise CommandError(ExitCode.NO_INPUT, f"no folder or file {fake.absolute()}: {here}")
    if fake.suffix.lower() == ".zip":
        raise CommandError(ExitCode.USAGE, f"`fake` {fake} is a zip: unpack it, and name the folder")


def paired_masks(real: Path, train: Path | None, which: Which) -> Pairing | None:
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


def classes_of(real: Path, train: Path | None, which: Which) -> Classes | None:
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
