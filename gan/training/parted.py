"""Which photos of a folder are trained on and which measured on, where a split says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gan.config import Course
from gan.photos.find import NOBODY, ExactNames, photos_in, place_of
from gan.photos.split_file import TRAIN, VALIDATION, check_split, read_split
from gan.photos.which import Which
from models.errors import CommandError, ExitCode
from models.log import log

if TYPE_CHECKING:
    from gan.photos.read import ImageSet

MIN_MEASURED = 10
"""Photos that a comparison needs."""


@dataclass(frozen=True)
class TrainedParts:
    """Photos of a folder.

    Attributes:
        train: those to train on.
        held_out: names of those to measure on, or nobody.
    """

    train: Which
    held_out: ExactNames = NOBODY

    @property
    def all(self) -> Which:
        """Both."""
        return replace(self.train, only=ExactNames((*self.train.only, *self.held_out))) if self.held_out else self.train


def parts_of(
    data: ImageSet | Path,
    split: Path | None,
    validation: object,
    course: Course,
    which: Which,
) -> TrainedParts:
    """The parts `train` and `validation` of a split, as far as they are meant; without one, all that are.

    Raises:
        CommandError: 2 a split for no folder, beside `validation`, or of too few photos to measure on and patience; 65
            no split, or one of other photos; 66 no photos.
    """
    if split is None:
        return TrainedParts(which)
    if not isinstance(data, Path):
        raise CommandError(ExitCode.USAGE, "`split` is for a folder: divide the images yourself")
    if validation is not None:
        raise CommandError(ExitCode.USAGE, "`split` and `validation` exclude each other: the split has its own")
    found = read_split(split)
    check_split(found, data, (TRAIN, VALIDATION))
    with photos_in(data, which.only, which.without) as photos:
        wanted = {photo.name for photo in photos}
    train, held_out = (ExactNames(name for name in found.names(part) if name in wanted) for part in (TRAIN, VALIDATION))
    if not train:
        raise CommandError(ExitCode.NO_INPUT, f"no photo of {place_of(split)} to train on is left by the patterns")
    if held_out and len(held_out) < MIN_MEASURED:
        log.warning("the split keeps back %d photos, and %d are needed to measure on", len(held_out), MIN_MEASURED)
        held_out = NOBODY
    if course.patience_kimg and not held_out:
        raise CommandError(ExitCode.USAGE, "`patience_kimg` needs photos to measure on, and the split has too few")
    return TrainedParts(replace(which, only=train), held_out)
