"""Where compared images come from: which generator made them, how photos get their shape, and which photos count."""

from __future__ import annotations

from pathlib import Path

import models
from gan import sizes
from gan.evaluation import defaults
from gan.evaluation.comparison import Sets, Sources
from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.refusals import CommonShape
from gan.evaluation.runs import file_sha256, holds_images, model_sha256
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.find import MIN_IMAGES
from gan.photos.fit import FITS
from gan.photos.read import ImageSet
from models.errors import CommandError, ExitCode


def generator_in(fake: Path, shape: CommonShape, device: str) -> TrainedGenerator | None:
    """The generator in `fake`; None where that is a folder or a tar file of images.

    Raises:
        CommandError: 2 a shape that the generator does not make, 65 not a generator.
    """
    if holds_images(fake):
        return None
    generator = TrainedGenerator.open(fake, device)
    if shape.channels not in (None, generator.channels):
        raise CommandError(ExitCode.USAGE, f"`channels={shape.channels}`: {fake} makes images of {generator.channels}")
    if shape.image_size is not None and sizes.told(*sizes.sides(shape.image_size)) != generator.size:
        raise CommandError(ExitCode.USAGE, f"`image_size={shape.image_size}`: {fake} makes images of {generator.size}")
    return generator


def maker_of(fake: Path, generator: TrainedGenerator | None, model: Path | None) -> TrainedGenerator | None:
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


def sources_of(real: Path, fake: Path, train: Path | None, fit: str | None, maker: TrainedGenerator | None) -> Sources:
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


def sets_of(real: Path, photos: ImageSet, fakes: ImageSet, trained: ImageSet | None) -> tuple[Sets, tuple[str, ...]]:
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
