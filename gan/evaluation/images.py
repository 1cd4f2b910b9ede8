"""The images that are compared, brought to one shape: photos, and what a generator made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan import sizes
from gan.evaluation.defaults import IMAGE_SIZE
from gan.evaluation.runs import image_names, is_run, masks_of, photos_of
from gan.photos.decode import scales_of, shape_of
from gan.photos.find import MIN_IMAGES, Photo
from gan.photos.fit import fit_image
from gan.photos.mask_coding import read_mask
from gan.photos.masks import Masks
from gan.photos.read import ImageSet, load_images, read_image
from gan.photos.scale import Scale
from models.errors import CommandError, ExitCode
from models.picks import spread


def read_photos(
    folder: Path,
    channels: int,
    size: int | str,
    skip_bad_files: bool,
    fit: str,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    scales: Mapping[str, Scale] | None = None,
    masks: Masks | None = None,
    blind: bool = False,
) -> ImageSet:
    """All photos of a folder or `.zip`, or the images of a run of gan-batch; arguments and errors of `load_images`.

    A run has masks of its own.
    """
    if not is_run(folder):
        return load_images(
            folder, channels, size, skip_bad_files, fit=fit, only=only, without=without, scales=scales, masks=masks,
            blind=blind,
        )  # fmt: skip
    return _read(folder, image_names(folder), channels, size, fit)


def read_made(
    folder: Path, count: int, channels: int | None, image_size: int | str | None, fit: str
) -> tuple[ImageSet, tuple[str, ...]]:
    """`count` images of a folder, evenly spaced in their order, so that every part of the folder is looked at.

    Args:
        folder: a run of gan-batch, or one of images.
        count: how many, at most.
        channels: 1 or 3; None: as the files.
        image_size: all are brought to it; None: 128.
        fit: how one of another shape gets this one.

    Returns:
        The images, all of one shape, with the masks that a run has, and notes for the reader of the report.

    Raises:
        CommandError: 65 unusable images, or smaller ones than the size; 66 none there, or an unfinished run.
    """
    names = image_names(folder)
    names = [names[index] for index in spread(len(names), count)]
    if len(names) < MIN_IMAGES:
        raise CommandError(ExitCode.BAD_DATA, f"{len(names)} images in {folder}, at least {MIN_IMAGES} are needed")
    photos = photos_of(folder, names)
    shapes = {_shape(folder, photo) for photo in photos}
    sides = sorted({shape[1:] for shape in shapes}, key=lambda side: (min(side), side))
    size, channels = sizes.sides(image_size or IMAGE_SIZE), channels or max(shape[0] for shape in shapes)
    told = f"{_by(sides[0])}" if len(sides) == 1 else f"of {len(sides)} sizes, {_by(sides[0])} to {_by(sides[-1])}"
    if any(has < needed for side in sides for has, needed in zip(side, size, strict=True)):
        fitting = f"`image_size={min(sides[0])}`"
        if len(sides) == 1 and sides[0][0] != sides[0][1]:
            fitting += f" or `image_size={sizes.told(*sides[0])}`"
        raise CommandError(
            ExitCode.BAD_DATA,
            f"the images in {folder} are {told}: add {fitting} (enlarged ones would look blurred beside the photos)",
        )
    images = _read(folder, names, channels, sizes.told(*size), fit)
    return images, () if sides == [size] else (f"the fakes are {told} and were brought to {_by(size)}",)


def _read(folder: Path, names: list[str], channels: int, size: int | str, fit: str) -> ImageSet:
    photos, masks = photos_of(folder, names), masks_of(folder, names)
    scales = scales_of(photos)
    images = [_usable(folder, photo, lambda of: read_image(of, channels, size, fit, scales)) for photo in photos]
    found = None
    if masks is not None:
        found = _stacked([_usable(folder, mask, lambda of: _mask(of, sizes.sides(size), fit)) for mask in masks])
    return ImageSet(_stacked(images), names, masks=found)


def _mask(file: Photo, size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    fitted = fit_image(Image.fromarray(read_mask(file)), size, fit, mask=True)
    return np.array(fitted)[..., None]


def _stacked(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _usable(folder: Path, photo: Photo, read: Callable[[Photo], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    try:
        return read(photo)
    except ValueError as error:
        raise _unusable(folder, photo, error) from None


def _shape(folder: Path, photo: Photo) -> tuple[int, int, int]:
    """Channels, width and height that a file's header tells."""
    try:
        return shape_of(photo)
    except ValueError as error:
        raise _unusable(folder, photo, error) from None


def _unusable(folder: Path, photo: Photo, error: ValueError) -> CommandError:
    return CommandError(ExitCode.BAD_DATA, f"{folder / photo.name} cannot be read: {error}")


def _by(side: tuple[int, int]) -> str:
    return f"{side[0]}×{side[1]}"
