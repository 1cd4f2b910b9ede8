"""A folder of photos to one tensor: find the files, check every one, load all as uint8."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from models.console import CommandError, ExitCode, log

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
MIN_IMAGES = 10
MIN_SIDE = 32
"""Pixels; a smaller photo would be mostly interpolation."""
MAX_PIXELS = 100_000_000
"""A file that claims more is taken for a decompression bomb and is not decoded."""


@dataclass(frozen=True)
class ImageSet:
    """The training images.

    Attributes:
        images: uint8 `[N, C, S, S]`.
        names: N paths relative to the folder, sorted, `/`-separated.
    """

    images: Tensor
    names: list[str]


def find_images(folder: Path) -> list[Path]:
    """Image files below `folder` in sorted order.

    Hidden files and folders are left out, and links to folders are not followed, so no link can form a loop.

    Raises:
        CommandError: 66 where there is no such folder or no image in it.
    """
    if not folder.is_dir():
        raise CommandError(ExitCode.NO_INPUT, f"no folder {folder.absolute()}: name a folder of images")
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise CommandError(ExitCode.NO_INPUT, f"cannot look into {error.filename}: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        kinds = " ".join(sorted(SUFFIXES))
        raise CommandError(ExitCode.NO_INPUT, f"no images ({kinds}) in {folder.absolute()} or below it")
    return sorted(found)


def load_images(
    folder: Path,
    channels: int,
    size: int,
    skip_bad_files: bool = False,
    on_file: Callable[[], None] = lambda: None,
) -> ImageSet:
    """Check and load every image below `folder`; all the files that cannot be used are logged in one report.

    Args:
        folder: searched recursively.
        channels: 1 for gray, 3 for colour; other modes are converted.
        size: side in pixels; the shorter side is resized to it and the centre is kept.
        skip_bad_files: go on without unusable files instead of stopping.
        on_file: called after each file.

    Raises:
        CommandError: 66 no such folder or no images, 65 unusable files or fewer than 10 good ones.
    """
    loaded: list[Tensor] = []
    names: list[str] = []
    bad: list[str] = []
    for path in find_images(folder):
        name = path.relative_to(folder).as_posix()
        try:
            pixels = read_image(path, channels, size)
            loaded.append(torch.from_numpy(pixels).permute(2, 0, 1))
            names.append(name)
        except ValueError as error:
            bad.append(f"{name if name.isprintable() else repr(name)}: {error}")
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
    return ImageSet(torch.stack(loaded), names)


def read_image(path: Path, channels: int, size: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """One photo, turned upright, as uint8 `[size, size, channels]`; of a multi-page file the first page.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    try:
        if path.stat().st_size == 0:
            raise ValueError("empty file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning; MAX_PIXELS decides
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ValueError(f"{width}×{height} pixels are more than {MAX_PIXELS:,}")
                if min(width, height) < MIN_SIDE:
                    raise ValueError(f"{width}×{height} pixels, the shorter side needs at least {MIN_SIDE}")
                upright = ImageOps.exif_transpose(image)
                plain = _eight_bit(upright).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise ValueError("not an image, or damaged at its start") from None
    except Image.DecompressionBombError:
        raise ValueError(f"claims more than {MAX_PIXELS:,} pixels") from None
    except ValueError:
        raise
    except Exception as error:  # decoders raise many kinds; one damaged file must not hide the others
        raise ValueError(f"unreadable: {error}") from None
    fitted = ImageOps.fit(plain, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8).reshape(size, size, channels).copy()


def _eight_bit(image: Image.Image) -> Image.Image:
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
