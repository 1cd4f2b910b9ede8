"""What of a run's photos, classes and masks is refused before PyTorch is loaded, which takes seconds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from gan.config import NEED_BOTH, Course, TrainConfig
from gan.photos.find import photos_in
from gan.photos.labels import Classes, classes_in
from gan.photos.pairing import Pairing, pair
from gan.photos.which import Which
from models.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from gan.photos.read import ImageSet
    from gan.training.validation import Validation


def refuse_arguments(resume: bool, overwrite: bool, course: Course, validation: object) -> None:
    """Refuse what cannot be meant together.

    Raises:
        CommandError: 2.
    """
    if resume and overwrite:
        raise CommandError(ExitCode.USAGE, "`resume` and `overwrite` exclude each other")
    if course.patience_kimg and validation is None:
        raise CommandError(ExitCode.USAGE, "`patience_kimg` needs photos to measure on: add `validation`")


def refuse_classes(
    data: ImageSet | Path,
    validation: ImageSet | Validation | Path | None,
    config: TrainConfig,
    which: Which,
) -> None:
    """Refuse classes that cannot be trained.

    Raises:
        CommandError: 2.
    """
    if which.classed and not all(isinstance(photos, Path) for photos in (data, validation) if photos is not None):
        raise CommandError(
            ExitCode.USAGE, "`classes` and `labels` are for folders: give images with labels of their own"
        )
    labelled = which.classed or (not isinstance(data, Path) and bool(data.class_names))
    if labelled and not config.can_have_classes:
        raise CommandError(ExitCode.USAGE, f"`classes` {NEED_BOTH}")


def classes_of(
    data: ImageSet | Path,
    validation: ImageSet | Validation | Path | None,
    which: Which,
    masks: Pairing | None,
) -> Classes | None:
    """What the photos in folders show, or None.

    Raises:
        CommandError: 65, 66.
    """
    if not isinstance(data, Path) or not which.classed:
        return None
    within = None if masks is None else masks.within
    held_out = validation if isinstance(validation, Path) else None
    return classes_in(data, held_out, which.labels, which.only, which.without, within)


def refuse_masks(data: ImageSet | Path, config: TrainConfig, masks: Path | None) -> None:
    """Refuse masks that cannot be trained.

    Raises:
        CommandError: 2.
    """
    if masks is not None and not isinstance(data, Path):
        raise CommandError(ExitCode.USAGE, "`masks` are for a folder: give images with masks of their own")
    there = masks is not None or (not isinstance(data, Path) and data.masks is not None)
    if there and not config.can_have_masks:
        raise CommandError(ExitCode.USAGE, f"`masks` {NEED_BOTH}")
    if config.masks and not there:
        raise CommandError(ExitCode.USAGE, "the options say that there are masks: give `masks`")


def paired_masks(
    data: ImageSet | Path,
    validation: ImageSet | Validation | Path | None,
    which: Which,
) -> Pairing | None:
    """Which mask belongs to which photo in folders, or None.

    Raises:
        CommandError: 65, 66.
    """
    if which.masks is None:
        return None
    folders = [photos for photos in (data, validation) if isinstance(photos, Path)]
    return pair(folders, which.masks, which.only, which.without)


def refuse_photos(
    data: ImageSet | Path,
    validation: ImageSet | Validation | Path | None,
    which: Which,
) -> None:
    """Refuse folders that are not there, hold no photos or lie in each other.

    Raises:
        CommandError: 2, 65 a damaged zip, 66.
    """
    folders = [photos for photos in (data, validation) if isinstance(photos, Path)]
    resolved = [path.resolve() for path in folders]
    if any(one.is_relative_to(other) for one, other in itertools.permutations(resolved, 2)):
        raise CommandError(
            ExitCode.USAGE,
            f"`validation` {validation} and `data` {data} lie in each other: the photos to measure on must not be "
            "trained on",
        )
    for path in folders:
        with photos_in(path, which.only, which.without):
            pass


def refuse_nesting(out: Path, *photos: object) -> None:
    """Refuse to write where photos are read.

    Raises:
        CommandError: 2.
    """
    if any(isinstance(path, Path) and out.resolve().is_relative_to(path.resolve()) for path in photos):
        raise CommandError(
            ExitCode.USAGE, f"`out` {out} lies in a folder of photos: its samples would be taken for photos"
        )
