"""A folder or zip of photos to one tensor: check every one, fit it to a square, load all as uint8."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gan.photos.find import Photo, photos_in
from models.errors import CommandError, ExitCode, first_line
from models.log import log

MIN_IMAGES = 10
MIN_SIDE = 32
"""Pixels; a smaller photo would be mostly interpolation."""
MAX_PIXELS = 100_000_000
"""A file that claims more is taken for a decompression bomb and is not decoded."""
FITS = ("crop", "pad", "stretch", "tile")
"""How an oblong or large photo becomes a square; `fit_image` says what each does."""
MAX_TILE_BYTES = 8 << 30
"""What the photos may take in memory where they are kept at their own resolution (`tile`)."""


@dataclass(frozen=True)
class ImageSet:
    """The training images.

    Attributes:
        images: uint8 `[N, C, S, S]`; of `tile` the centre of each photo.
        names: N paths relative to the folder or inside the zip, sorted, `/`-separated.
        photos: only of `tile`: the N photos to crop from, uint8 `[C, H, W]` with H, W ≥ S, each of its own size.
    """

    images: Tensor
    names: list[str]
    photos: tuple[Tensor, ...] = ()


def find_images(data: Path) -> list[Path]:
    """Image files below a folder or in a `.zip`, in sorted order; in a zip its own path with the name behind it.

    What is looked at and what is left out: `gan.photos.find.photos_in`.

    Raises:
        CommandError: 66 where there is nothing by that name or no image in it, 65 where a `.zip` is none.
    """
    with photos_in(data) as photos:
        return [photo.path for photo in photos]


def load_images(
    folder: Path,
    channels: int,
    size: int,
    skip_bad_files: bool = False,
    on_file: Callable[[], None] = lambda: None,
    fit: str = "crop",
) -> ImageSet:
    """Check and load every image below `folder`; all the files that cannot be used are logged in one report.

    Args:
        folder: searched recursively, or a `.zip`.
        channels: 1 for gray, 3 for colour; other modes are converted.
        size: side in pixels.
        skip_bad_files: go on without unusable files instead of stopping.
        on_file: called after each file.
        fit: one of `FITS`.

    Raises:
        CommandError: 66 no such folder or no images; 65 unusable files, fewer than 10 good ones, or with `tile` more
            pixels than `MAX_TILE_BYTES`.
        ValueError: `fit` is none of `FITS`.
    """
    if fit not in FITS:
        raise ValueError(f"fit is one of {', '.join(FITS)}, not {fit!r}")
    squares: list[Tensor] = []
    whole: list[Tensor] = []
    names: list[str] = []
    bad: list[str] = []
    tile_bytes = 0
    with photos_in(folder) as photos:
        for photo in photos:
            try:
                image = read_plain(photo, channels)
                if fit == "tile":
                    image = _at_least(image, size)
                    tile_bytes += image.width * image.height * channels
                    if tile_bytes > MAX_TILE_BYTES:
                        raise _too_many_tiles(folder, len(whole) + 1, len(photos))
                    whole.append(_to_tensor(image).contiguous())
                squares.append(_to_tensor(fit_image(image, size, fit)))
                names.append(photo.name)
            except ValueError as error:
                bad.append(f"{printable(photo.name)}: {error}")
            on_file()
    if bad:
        log.warning("%d of %d files cannot be used:\n  %s", len(bad), len(bad) + len(names), "\n  ".join(bad))
        if not skip_bad_files:
            raise CommandError(
                ExitCode.BAD_DATA,
                f"{len(bad)} of {len(bad) + len(names)} files in {folder.absolute()} cannot be used, the first is "
                f"{bad[0]}; fix or remove them, or add --skip-bad-files",
            )
    if len(names) < MIN_IMAGES:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{len(names)} usable images in {folder.absolute()}, at least {MIN_IMAGES} are needed "
            "(a few hundred for good results)",
        )
    return ImageSet(torch.stack(squares), names, tuple(whole))


def read_image(photo: Photo | Path, channels: int, size: int, fit: str = "crop") -> NDArray[np.uint8]:
    """One photo, turned upright, as uint8 `[size, size, channels]`; of several pages or frames the first.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    fitted = fit_image(read_plain(photo, channels), size, fit)
    return np.array(fitted, dtype=np.uint8).reshape(size, size, channels)


def read_plain(photo: Photo | Path, channels: int) -> Image.Image:
    """One photo in its own size, turned upright, of mode L or RGB.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    with opened(photo) as image:
        return eight_bit(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")


@contextlib.contextmanager
def opened(photo: Photo | Path) -> Iterator[Image.Image]:
    """The photo with its claims checked and its pixels not decoded yet; what fails in the block is named, too.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    if isinstance(photo, Path):
        photo = Photo(photo.name, photo)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning; MAX_PIXELS decides
            with Image.open(photo.source()) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ValueError(f"{width}×{height} pixels are more than {MAX_PIXELS:,}")
                if min(width, height) < MIN_SIDE:
                    raise ValueError(f"{width}×{height} pixels, the shorter side needs at least {MIN_SIDE}")
                yield image
    except UnidentifiedImageError:
        raise ValueError("not an image, or damaged at its start") from None
    except Image.DecompressionBombError:
        raise ValueError(f"claims more than {MAX_PIXELS:,} pixels") from None
    except ValueError:
        raise
    except Exception as error:  # decoders raise many kinds; one damaged file must not hide the others
        raise ValueError(f"unreadable: {first_line(error)}") from None


def fit_image(image: Image.Image, size: int, fit: str) -> Image.Image:
    """A photo as a square of `size` pixels.

    - `crop`: the shorter side is resized to `size`, the centre kept.
    - `pad`: the longer side is resized to `size`, and the rest filled with the photo's own reflection. Repeated edge
      pixels would be stripes without grain, which no surface has and a discriminator finds, or a generator learns, at
      once; a reflection has the grain, the brightness and the contrast of the surface. Its price: what touches the
      border is seen twice.
    - `stretch`: resized to `size` × `size`, whatever its shape.
    - `tile`: the centre at its own resolution; a photo whose shorter side is under `size` is enlarged first.
    """
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    if fit == "pad":
        scale = size / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        inner = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
        left, top = (size - width) // 2, (size - height) // 2
        borders = [(top, size - height - top), (left, size - width - left), (0, 0)]
        return Image.fromarray(np.pad(inner, borders[: inner.ndim], mode="reflect"))
    if fit == "tile":
        image = _at_least(image, size)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        return image.crop((left, top, left + size, top + size))
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def printable(name: str) -> str:
    """A file's name that keeps a report's lines whole."""
    return name if name.isprintable() else repr(name)


def _at_least(image: Image.Image, size: int) -> Image.Image:
    """`image` itself where its shorter side has `size` pixels, else enlarged until it has."""
    shorter = min(image.size)
    if shorter >= size:
        return image
    width, height = (max(size, round(side * size / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _too_many_tiles(folder: Path, reached: int, count: int) -> CommandError:
    return CommandError(
        ExitCode.BAD_DATA,
        f"the first {reached} of {count} photos in {folder.absolute()} need more than "
        f"{MAX_TILE_BYTES / (1 << 30):.3g} GiB of memory at their own resolution: take fewer or smaller ones, "
        "or --fit crop",
    )


def _to_tensor(image: Image.Image) -> Tensor:
    """Mode L or RGB to uint8 `[C, H, W]`."""
    pixels = np.array(image, dtype=np.uint8).reshape(image.height, image.width, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def eight_bit(image: Image.Image) -> Image.Image:
    """8 bits a channel without transparency: 16-bit and float samples are scaled, transparent becomes black."""
    if image.mode.startswith(("I", "F")):
        samples = np.asarray(image, dtype=np.float64)
        if not np.isfinite(samples).all() or samples.min() < 0 or samples.max() > 65535:
            raise ValueError("samples outside 0 to 65535")
        top = samples.max()
        white = 1.0 if image.mode == "F" and top <= 1 else 255.0 if image.mode == "F" and top <= 255 else 65535.0
        return Image.fromarray(np.round(samples * (255 / white)).astype(np.uint8))
    if "transparency" in image.info or image.mode in {"LA", "PA", "La", "RGBa", "RGBA"}:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return image
