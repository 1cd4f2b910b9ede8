"""A folder or zip of photos to one tensor: check every one, fit it to one shape, load all as uint8."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan.photos.decode import read_plain, scales_of
from gan.photos.find import MIN_IMAGES, Photo, photos_in, place_of, printable
from gan.photos.fit import (
    CENTRE,
    FITS,
    at_least,
    enlarged_with,
    fit_image,
    fullest,
    invented,
    invents_much,
    scale_of,
)
from gan.photos.masks import Masks, masks_for
from gan.photos.mixture import mask_like, mixtures
from gan.photos.scale import Scale
from gan.photos.spots import vanishes
from gan.photos.traces import Trace, Traces, trace_of, traces
from gan.sizes import sides
from models.errors import CommandError, ExitCode
from models.log import log

MAX_TILE_BYTES = 8 << 30
"""What the photos may take in memory where they are kept at their own resolution (`tile`)."""


@dataclass(frozen=True)
class ImageSet:
    """The training images.

    Attributes:
        images: uint8 `[N, C, H, W]`; of `tile` the centre of each photo.
        names: N paths relative to the folder or inside the zip, sorted, `/`-separated.
        photos: only of `tile`: the N photos to crop from, each of its own size, which is that of the images at least.
        scales: how the folder's deep gray became 8 bits: give it to `load_images` for photos to be compared with these.
        labels: N places in `class_names`, or nothing.
        class_names: what the photos show.
        masks: uint8 `[N, 1, H, W]`, 255 where the defect is, else 0, fitted with the images; or None.
        whole_masks: only of `tile` with masks: those of `photos`, uint8 `[1, H, W]` each, of their sizes.
        traces: what is kept of the N photos to know them again; None where they come from no files.
    """

    images: Tensor
    names: list[str]
    photos: tuple[Tensor, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    labels: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    masks: Tensor | None = None
    whole_masks: tuple[Tensor, ...] = ()
    traces: Traces | None = None


@dataclass
class _Loading:
    """What has been read so far."""

    images: list[Tensor] = field(default_factory=list)
    whole: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    mask_like: list[str] = field(default_factory=list)
    oblong: dict[str, float] = field(default_factory=dict)
    tile_bytes: int = 0
    masks: list[Tensor] = field(default_factory=list)
    whole_masks: list[Tensor] = field(default_factory=list)
    defects: int = 0
    vanishing: list[str] = field(default_factory=list)

    def add(
        self, photo: Photo, image: Image.Image, size: tuple[int, int], fit: str, mask: Image.Image | None = None,
        blind: bool = False,
    ) -> None:  # fmt: skip
        place, trace = CENTRE, trace_of(photo, image)
        if mask is not None:
            self._note(photo, np.asarray(mask), scale_of(image.size, size, fit))
        if fit == "tile":
            image = at_least(image, size)
            self.whole.append(_to_tensor(image).contiguous())
            self.tile_bytes += self.whole[-1].numel()
        if mask is not None:
            if fit == "tile":
                mask = enlarged_with(mask, image.size)
                self.whole_masks.append(_to_tensor(mask).contiguous())
                self.tile_bytes += self.whole_masks[-1].numel()
            place = CENTRE if blind else fullest(np.asarray(mask), size, fit)
            self.masks.append(_to_tensor(fit_image(mask, size, fit, place, mask=True)))
        self.images.append(_to_tensor(fit_image(image, size, fit, place)))
        self.names.append(photo.name)
        self.traces.append(trace)
        if mask_like(image):
            self.mask_like.append(photo.name)
        if fit == "pad" and invents_much(image.size, size):
            self.oblong[photo.name] = invented(image.size, size)

    def _note(self, photo: Photo, mask: NDArray[np.uint8], scale: float) -> None:
        self.defects += bool(mask.any())
        if vanishes(mask, scale):
            self.vanishing.append(photo.name)


def find_images(
    data: Path, only: Sequence[str] = (), without: Sequence[str] = (), masks: Collection[str] = ()
) -> list[Path]:
    """Image files below a folder or in a `.zip`, in sorted order; in a zip its own path with the name behind it.

    What is looked at and what is left out: `gan.photos.find.photos_in`.

    Raises:
        CommandError: 66 where there is nothing by that name or no image in it, 65 where a `.zip` is none.
    """
    with photos_in(data, only, without, masks) as photos:
        return [photo.path for photo in photos]


def load_images(
    folder: Path,
    channels: int,
    size: int | str,
    skip_bad_files: bool = False,
    on_file: Callable[[], None] = lambda: None,
    fit: str = "crop",
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    scales: Mapping[str, Scale] | None = None,
    masks: Masks | Path | None = None,
    missing_masks: str = "refuse",
    classed: bool = False,
    blind: bool = False,
) -> ImageSet:
    """Check and load every image below `folder`; all the files that cannot be used are logged in one report.

    Logged as well: how deep gray was scaled, what is mixed in the folder, photos of which `pad` invents much, and what
    is wrong with masks, or lost of them.

    Args:
        folder: searched recursively, or a `.zip`.
        channels: 1 for gray, 3 for colour; other modes are converted.
        size: in pixels: the side of a square, or width and height, such as `320x128`.
        skip_bad_files: go on without unusable files instead of stopping.
        on_file: called after each file.
        fit: one of `FITS`.
        only: patterns of the photos to take, where not all; see `gan.photos.find.fits`.
        without: patterns of photos to leave out.
        scales: of other photos, with which these will be compared; by default the folder's own.
        masks: folder or zip of the photos' masks, or those of this folder and of another from `masks_for`. `crop` and
            `tile` then keep the part with most of the defect.
        missing_masks: `empty`: a photo without a mask has no defect; `refuse`.
        classed: whether their classes are known, so that good parts beside bad ones are nothing to warn of.
        blind: keep the middle all the same, as for detectors that are judged: where the defect is would else be told
            by what is kept.

    Raises:
        CommandError: 66 no such folder or no images; 65 unusable files, masks that do not fit, fewer than 10 good
            photos, or with `tile` more pixels than `MAX_TILE_BYTES`.
        ValueError: `fit` is none of `FITS`, `missing_masks` none of its two, or `size` is no size.
    """
    if fit not in FITS:
        raise ValueError(f"fit is one of {', '.join(FITS)}, not {fit!r}")
    shape = sides(size)
    loading = _Loading()
    if isinstance(masks, Path):
        masks = masks_for([folder], masks, missing_masks, skip_bad_files, only, without)
    with contextlib.ExitStack() as stack:
        photos = stack.enter_context(photos_in(folder, only, without, masks.within(folder) if masks else ()))
        mask_of = stack.enter_context(masks.opened(folder)) if masks else None
        scales = {**scales_of(photos), **(scales or {})}
        for photo in photos:
            try:
                image = read_plain(photo, channels, scales)
                loading.add(photo, image, shape, fit, mask_of(photo, image.size) if mask_of else None, blind)
            except ValueError as error:
                loading.bad.append(f"{printable(photo.name)}: {error}")
            if loading.tile_bytes > MAX_TILE_BYTES:
                raise _too_many_tiles(folder, len(loading.whole), len(photos))
            on_file()
    _report_bad(folder, loading.bad, len(loading.names), skip_bad_files)
    for scale in scales.values():
        log.info("%s", scale)
    _warn(loading, classed)
    if len(loading.names) < MIN_IMAGES:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{len(loading.names)} usable images in {place_of(folder)}, at least {MIN_IMAGES} are needed "
            "(a few hundred for good results)",
        )
    return ImageSet(
        torch.stack(loading.images), loading.names, tuple(loading.whole), scales,
        masks=torch.stack(loading.masks) if masks else None, whole_masks=tuple(loading.whole_masks),
        traces=traces(loading.traces),
    )  # fmt: skip


def read_image(
    photo: Photo | Path, channels: int, size: int | str, fit: str = "crop", scales: Mapping[str, Scale] | None = None
) -> NDArray[np.uint8]:
    """One photo, turned upright, as uint8 `[height, width, channels]`; of several pages or frames the first.

    Args:
        photo: of a folder or zip, or a file.
        channels: 1 for gray, 3 for colour.
        size: as of `load_images`.
        fit: one of `FITS`.
        scales: of deep gray, from `gan.photos.decode.scales_of`; by default by the photo's own largest sample.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    fitted = fit_image(read_plain(photo, channels, scales), sides(size), fit)
    return np.array(fitted, dtype=np.uint8).reshape(fitted.height, fitted.width, channels)


def _report_bad(folder: Path, bad: list[str], good: int, skip_bad_files: bool) -> None:
    if not bad:
        return
    count = len(bad) + good
    log.warning("%d of %d files cannot be used:\n  %s", len(bad), count, "\n  ".join(bad))
    if not skip_bad_files:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{len(bad)} of {count} files in {place_of(folder)} cannot be used, the first is {bad[0]}; fix or remove "
            "them, or add `skip_bad_files`",
        )


def _warn(loading: _Loading, classed: bool) -> None:
    for mixed in mixtures(loading.names, loading.mask_like, classed):
        log.warning("%s", mixed)
    if loading.oblong:
        worst = max(loading.oblong, key=loading.oblong.__getitem__)
        log.warning(
            "`fit=pad` invents more than a third of %d of %d photos by reflection (%.0f %% of %s), and letters there "
            "stand mirrored: `fit=crop` cuts them instead, `fit=tile` takes crops at their own size",
            len(loading.oblong), len(loading.names), 100 * loading.oblong[worst], printable(worst),
        )  # fmt: skip

    if 2 * len(loading.vanishing) > loading.defects:
        log.warning(
            "the defects of %d of %d photos, such as %s, are under 4 pixels large or a pixel wide in images of this "
            "size: a larger `image_size`, or `fit=tile`, which keeps their size",
            len(loading.vanishing), loading.defects, printable(loading.vanishing[0]),
        )  # fmt: skip


def _too_many_tiles(folder: Path, reached: int, count: int) -> CommandError:
    return CommandError(
        ExitCode.BAD_DATA,
        f"the first {reached} of {count} photos in {place_of(folder)} need more than "
        f"{MAX_TILE_BYTES / (1 << 30):.3g} GiB of memory at their own resolution: take fewer or smaller ones, "
        "or `fit=crop`",
    )


def _to_tensor(image: Image.Image) -> Tensor:
    """Mode L or RGB to uint8 `[C, H, W]`."""
    pixels = np.array(image, dtype=np.uint8).reshape(image.height, image.width, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def to_picture(image: Tensor) -> Image.Image:
    """uint8 `[C, H, W]` to mode L (C = 1) or RGB (C = 3)."""
    return Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
