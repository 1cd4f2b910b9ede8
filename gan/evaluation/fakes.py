"""Generated images as they are found: a folder, a run of gan-batch, or a trained generator."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

import torch
from PIL import Image

from gan.networks.pixels import to_pixels
from gan.networks.reader import load_generator
from gan.photos.read import MIN_IMAGES, ImageSet, find_images, read_image
from models.errors import CommandError, ExitCode
from models.latents import latents

BATCH_SIZE = 50
IMAGE_SIZE = 128
"""Side to compare folders of images at, unless told otherwise."""


def read_fakes(
    fake: Path, count: int, seed: int, channels: int | None, image_size: int | None, device: str = "cpu"
) -> tuple[ImageSet, tuple[str, ...]]:
    """Generated images, and what to know of how they were read; the arguments are those of `gan.evaluate`.

    Returns:
        The images, all of one shape, and notes for the reader of the report.

    Raises:
        CommandError: 2 for an ONNX file or a shape that the generator does not make, 65 unusable images or model, 66
            nothing there or an unfinished run.
    """
    if fake.suffix.lower() == ".onnx" and not fake.is_dir():
        raise CommandError(
            ExitCode.USAGE,
            f"{fake} is an ONNX file: make its images first, gan-batch --count {count} --model {fake} --out fakes, "
            "and give that folder as FAKE",
        )
    if fake.is_dir():
        return _read_folder(fake, count, channels, image_size)
    if not fake.exists():
        raise CommandError(ExitCode.NO_INPUT, f"no folder or file {fake.absolute()}: name generated images or a model")
    generator = load_generator(fake).to(device).eval()
    if channels not in (None, generator.channels):
        raise CommandError(ExitCode.USAGE, f"--channels {channels}: {fake} makes images of {generator.channels}")
    batches = []
    with torch.no_grad():
        for start in range(0, count, BATCH_SIZE):
            z = torch.from_numpy(latents(seed, start, min(start + BATCH_SIZE, count), generator.z_dim))
            batches.append(to_pixels(generator(z.to(device))).permute(0, 3, 1, 2).cpu())
    images = torch.cat(batches)
    if image_size not in (None, images.shape[2]):
        raise CommandError(ExitCode.USAGE, f"--image-size {image_size}: {fake} makes images of {images.shape[2]}")
    return ImageSet(images, [f"image {index} of seed {seed}" for index in range(count)]), ()


def _read_folder(
    folder: Path, count: int, channels: int | None, image_size: int | None
) -> tuple[ImageSet, tuple[str, ...]]:
    """`count` images, evenly spaced in their order, so that every part of the folder is looked at."""
    names = _listed(folder)
    names = [names[index * len(names) // count] for index in range(count)] if len(names) > count else names
    if len(names) < MIN_IMAGES:
        raise CommandError(ExitCode.BAD_DATA, f"{len(names)} images in {folder}, at least {MIN_IMAGES} are needed")
    shapes = {_shape(folder, name) for name in names}
    sides = {shape[1:] for shape in shapes}
    if len(sides) > 1:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"images of {len(sides)} sizes in {folder}, such as "
            f"{' and '.join(f'{width}×{height}' for width, height in sorted(sides)[:2])}: bring them to one first",
        )
    (width, height) = sides.pop()
    size, channels = image_size or IMAGE_SIZE, channels or max(shape[0] for shape in shapes)
    if min(width, height) < size:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"the images in {folder} are {width}×{height}: add --image-size {min(width, height)} "
            "(enlarged ones would look blurred beside the photos)",
        )
    images = []
    for name in names:
        try:
            images.append(torch.from_numpy(read_image(folder / name, channels, size)).permute(2, 0, 1))
        except ValueError as error:
            raise CommandError(ExitCode.BAD_DATA, f"{folder / name}: {error}") from None
    brought = (f"the fakes are {width}×{height} and were brought to {size}×{size}",)
    return ImageSet(torch.stack(images), names), () if width == height == size else brought


def _listed(folder: Path) -> list[str]:
    """Names of a folder's images: those in the manifest that gan-batch leaves, else all that are there, sorted."""
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        if (folder / "_manifests").exists():
            raise CommandError(
                ExitCode.NO_INPUT, f"{folder} is an unfinished run of gan-batch: run the same command again first"
            )
        return [path.relative_to(folder).as_posix() for path in find_images(folder)]
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            names = [row["file_name"] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error):
        raise CommandError(ExitCode.BAD_DATA, f"{manifest} cannot be read, or has no column file_name") from None
    for name in names:
        if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise CommandError(ExitCode.BAD_DATA, f"{manifest} names {name!r}, which is not a file in its folder")
    return names


def _shape(folder: Path, name: str) -> tuple[int, int, int]:
    """Channels, width and height that a file's header tells."""
    try:
        with Image.open(folder / name) as image:
            return (1 if image.mode in {"1", "L", "F"} or image.mode.startswith("I") else 3), *image.size
    except FileNotFoundError:
        raise CommandError(
            ExitCode.BAD_DATA, f"{folder / name} is in the manifest and not there: gan-batch verify {folder}"
        ) from None
    except (OSError, Image.DecompressionBombError) as error:
        raise CommandError(ExitCode.BAD_DATA, f"{folder / name} cannot be read: {error}") from None
