"""Which photos of the folders are meant, and what is told of them: one value for training and for comparing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan.photos.pairing import MISSING
from models.errors import CommandError, ExitCode


@dataclass(frozen=True)
class Which:
    """Which photos to take, what each shows and where its defects are; nothing said: all, and neither is known.

    Attributes:
        skip_bad_files: do without the photos that cannot be used, instead of stopping.
        only: patterns of the photos to take, where not all; see `gan.photos.find.fits`.
        without: patterns of photos to leave out.
        classes: the folders' sub-folders are classes.
        labels: the same, but a CSV file says which photo is of which class: `gan.photos.labels.classes_in`.
        masks: folder or `.zip` with the masks of the photos: `gan.photos.pairing.pair`.
        missing_masks: `empty`: a photo without a mask has no defect; `refuse`.
    """

    skip_bad_files: bool = False
    only: Sequence[str] = ()
    without: Sequence[str] = ()
    classes: bool = False
    labels: Path | None = None
    masks: Path | None = None
    missing_masks: str = MISSING[0]

    @property
    def classed(self) -> bool:
        """Whether folders or a table say the class of each photo."""
        return self.classes or self.labels is not None

    def check(self) -> None:
        """Refuse what cannot be meant together.

        Raises:
            CommandError: 2.
        """
        if self.classes and self.labels is not None:
            raise _usage("`classes` and `labels` exclude each other: folders or a table say the class")
        if self.missing_masks not in MISSING:
            raise _usage(f"`missing_masks` is one of {', '.join(MISSING)}, not {self.missing_masks!r}")
        if self.masks is None and self.missing_masks != MISSING[0]:
            raise _usage("`missing_masks` has a meaning with `masks` only")


ALL_PHOTOS = Which()
"""All photos, of which nothing is told."""


def _usage(message: str) -> CommandError:
    return CommandError(ExitCode.USAGE, message)
