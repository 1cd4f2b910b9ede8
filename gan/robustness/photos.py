"""The photos that a detector is asked about: those with defects, and those without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan import sizes
from gan.evaluation.images import read_made, read_photos
from gan.evaluation.runs import holds_images, image_names, is_run, labels_of, photos_of
from gan.photos.decode import shape_of
from gan.photos.find import Photo, photos_in, place_of
from gan.photos.masks import Masks, checked
from gan.photos.pairing import pair
from gan.photos.read import ImageSet
from gan.photos.which import Which
from gan.robustness.detectors import UserDetector
from models.attributes import Attributes, attributes_of
from models.errors import CommandError, ExitCode
from models.found import found_mask
from models.picks import spread
from models.progress import Progress
from models.stopping import Stop


@dataclass(frozen=True)
class Reading:
    """How photos are read.

    Attributes:
        count: how many of a folder are looked at, at most, evenly spread over it.
        channels, size: of the images; None: as the detector takes them, or as the photos are.
        fit: one of `gan.photos.fit.FITS`.
        which: of those with defects are meant, and their masks.
    """

    count: int
    channels: int | None
    size: int | str | None
    fit: str
    which: Which


@dataclass(frozen=True)
class Targets:
    """Photos, and what is known of them.

    Attributes:
        names: N, relative to their folders.
        images: uint8 `[N, H, W, C]`.
        masks: bool `[N, H, W]`: where the defect is, or where it was found.
        found: what the defect is like; nothing for photos without a defect.
        classes: N, or None where there are none.
        found_by: `masks`, or `ridge filter` where there are none.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_] | None = None
    found: tuple[Attributes, ...] = ()
    classes: tuple[str, ...] | None = None
    found_by: str = ""

    def take(self, rows: NDArray[np.bool_]) -> Targets:
        """Some of them; bool `[N]`."""
        kept = np.flatnonzero(rows).tolist()
        return Targets(
            tuple(self.names[row] for row in kept), self.images[rows],
            None if self.masks is None else self.masks[rows], tuple(self.found[row] for row in kept if self.found),
            None if self.classes is None else tuple(self.classes[row] for row in kept), self.found_by,
        )  # fmt: skip

    def and_clean(self, others: Targets) -> Targets:
        """With other photos without a defect."""
        return Targets(self.names + others.names, np.concatenate([self.images, others.images]))


def read_targets(data: Path, good: Path | None, detector: UserDetector, reading: Reading) -> tuple[Targets, Targets]:
    """Photos with a defect, measured, and photos without one.

    A photo whose mask is empty has no defect, wherever it lies.

    Raises:
        CommandError: 65 unusable photos or masks, or of several sizes; 66 none there, or an unfinished run.
    """
    channels, size = _shape(data, detector, reading)
    images = _read(data, reading, channels, size, reading.which.masks)
    targets = _measured(images, _classes(data, images.names))
    clean = np.array([each.count == 0 for each in targets.found]) & (targets.found_by == "masks")
    free = Targets(*(targets.take(clean).names, targets.images[clean]))
    if clean.all():
        raise CommandError(
            ExitCode.BAD_DATA, f"not one of {len(clean)} photos in {place_of(data)} has a defect by its mask"
        )
    if good is not None:
        others = _read(good, reading, channels, size, None)
        free = free.and_clean(Targets(tuple(others.names), _pixels(others)))
    return targets.take(~clean), free


def _read(folder: Path, reading: Reading, channels: int, size: int | str, masks: Path | None) -> ImageSet:
    if is_run(folder) or (folder.is_file() and holds_images(folder)):
        return read_made(folder, reading.count, channels, size, reading.fit)[0]
    mine = masks is not None or reading.which.masks is None  # patterns are of the photos with defects
    only, without = (reading.which.only, reading.which.without) if mine else ((), ())
    fitting = None if masks is None else _masks(folder, masks, reading)
    found = read_photos(
        folder, channels, size, reading.which.skip_bad_files, reading.fit, only, without, masks=fitting, blind=True
    )
    rows = spread(len(found.names), reading.count)
    return ImageSet(
        found.images[rows], [found.names[row] for row in rows], masks=None if found.masks is None else found.masks[rows]
    )


def _masks(folder: Path, masks: Path, reading: Reading) -> Masks:
    """Those of a folder; others may lie beside them, of photos that the detector was trained on."""
    found = replace(pair([folder], masks, reading.which.only, reading.which.without), without_photo=())
    return checked(found, reading.which.missing_masks, reading.which.skip_bad_files)


def _shape(data: Path, detector: UserDetector, reading: Reading) -> tuple[int, int | str]:
    """Channels and size of the images: as asked, else as the detector takes them, else as the photos are."""
    channels = reading.channels or detector.channels
    size = reading.size
    if size is None and detector.width is not None and detector.height is not None:
        size = sizes.told(detector.width, detector.height)
    if channels is not None and size is not None:
        return channels, size
    shapes = Counter(_shapes(data, reading))
    found = Counter(shape[1:] for shape in shapes.elements())
    if size is None and len(found) > 1:
        told = sorted(found)
        raise CommandError(
            ExitCode.BAD_DATA,
            f"the photos in {place_of(data)} are of {len(found)} sizes, {told[0][0]}×{told[0][1]} to "
            f"{told[-1][0]}×{told[-1][1]}: `image_size` brings them to one, that which the detector is used with",
        )
    return channels or max(shape[0] for shape in shapes), size or sizes.told(*next(iter(found)))


def _shapes(data: Path, reading: Reading) -> list[tuple[int, int, int]]:
    """Channels, width and height of those photos that can be read; the others are told of when they are."""
    if is_run(data) or (data.is_file() and holds_images(data)):
        names = image_names(data)
        return _shapes_of(photos_of(data, [names[row] for row in spread(len(names), reading.count)]), data)
    within = pair([data], reading.which.masks).within[data] if reading.which.masks else frozenset[str]()
    with photos_in(data, reading.which.only, reading.which.without, within) as photos:
        return _shapes_of(photos, data)


def _shapes_of(photos: Sequence[Photo], data: Path) -> list[tuple[int, int, int]]:
    found = []
    for photo in photos:
        try:
            found.append(shape_of(photo))
        except ValueError:
            continue
    if not found:
        raise CommandError(ExitCode.BAD_DATA, f"not one of {len(photos)} photos in {place_of(data)} can be read")
    return found


def _measured(images: ImageSet, classes: tuple[str, ...] | None) -> Targets:
    pixels = _pixels(images)
    masks, found = [], []
    with Stop() as stop, Progress("measuring", len(pixels), "images") as progress:
        for row, image in enumerate(progress.counted(pixels)):
            if stop:
                raise stop.error("the detector was not asked yet")
            gray = _gray(image)
            mask = found_mask(gray) if images.masks is None else images.masks[row, 0].numpy() > 0
            masks.append(mask)
            found.append(attributes_of(gray, mask))
    by = "ridge filter" if images.masks is None else "masks"
    return Targets(tuple(images.names), pixels, np.stack(masks), tuple(found), classes, by)


def _gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 `[H, W, C]` to `[H, W]`."""
    return image[..., 0] if image.shape[2] == 1 else np.asarray(Image.fromarray(image).convert("L"))


def _pixels(images: ImageSet) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.images.permute(0, 2, 3, 1).numpy())


def _classes(data: Path, names: Sequence[str]) -> tuple[str, ...] | None:
    """Of each photo, by the run's manifest or by sub-folders; None where nothing tells, or all are of one."""
    try:
        found = tuple(labels_of(data, names))
    except CommandError:
        return None
    return found if len(set(found)) > 1 else None
