"""Real photos for a data set: a folder a class, and their masks in a folder of their own."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.convert.sample import Content, Sample, encoded
from jobs.dataset.tally import MASK, images_among
from models.errors import CommandError, ExitCode
from models.groups import SIDE, VIEW
from models.series import natural
from models.times import taken_at

_FORMATS = {"PNG": {".png"}, "JPEG": {".jpg", ".jpeg"}, "BMP": {".bmp"}, "TIFF": set[str](), "WEBP": set[str]()}
"""What is read, and by which names every trainer knows it; under another name it is written anew."""
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
_UPRIGHT, _ORIENTATION = 1, 0x0112


@dataclass(frozen=True)
class RealPhoto:
    """One photo.

    Attributes:
        name: relative to its folder, `/`-separated.
        class_name: the uppermost folder that it is in.
        path: its file.
        sha256: of its file.
        width, height: in pixels, turned upright.
        gray: whether it has one channel.
        plain: whether every trainer reads its file as it is: 8 bits, upright, of a usual kind, and named so.
        mask: the file of its mask, or None.
        small, view: for `models.groups`.
        taken: seconds, by its EXIF, or None.
    """

    name: str
    class_name: str
    path: Path
    sha256: str
    width: int
    height: int
    gray: bool
    plain: bool
    mask: Path | None
    small: NDArray[np.float32] = field(repr=False)
    view: NDArray[np.float32] = field(repr=False)
    taken: float | None = None

    def sample(self, number: int, label: int) -> Sample:
        """It as the `number`th photo of a data set: the number keeps names apart, and in one order with any ending."""
        stem = re.sub(r"[^A-Za-z0-9-]+", "_", PurePosixPath(self.name).stem)[:60]
        suffix = self.path.suffix.lower() if self.plain else ".png"
        image = Content(self.path.read_bytes, self.path) if self.plain else Content(partial(_as_png, self.path))
        mask = None if self.mask is None else Content(partial(_mask_png, self.mask))
        name = f"real_{number:06d}_{stem}{suffix}"
        return Sample(name, label, self.width, self.height, self.gray, image, mask, real=True)


def photos_below(
    folder: Path, class_name: str, masks: Path | None = None, without: Path | None = None
) -> list[RealPhoto]:
    """The photos below a folder, in natural order of their names, each with its mask where there are any.

    The mask of `scratch/X.jpg` is `scratch/X.png` or `scratch/X_mask.png` in the folder of masks, or a file of such a
    name directly in it. Photos and masks may lie in one folder, as those of the magnetic tiles
    do: a mask is then what ends in `_mask`, or a PNG beside a JPEG of the same name. Without `masks`, what
    `images_among` takes for a mask is left out.

    Args:
        folder: searched with all folders below it.
        class_name: of photos that lie in no folder below it.
        masks: where each photo must have its mask.
        without: a folder below it whose photos are others.

    Raises:
        CommandError: 66 where there is no such folder, or nothing in it; 65 where files cannot be used, with how many
            and the first.
    """
    known = _Masks(masks) if masks is not None else None
    every = _names(folder, among=images_among if known is None else list)
    if without is not None:
        every = [name for name in every if not (folder / name).resolve().is_relative_to(without.resolve())]
    names = [name for name in every if known is None or not known.has(folder / name)]
    if every and not names:
        raise CommandError(
            ExitCode.NO_INPUT,
            f"no photos in {folder} or below it: all {len(every)} images there count as masks, as `real_masks` is "
            f"{masks}: name the folder of the masks there",
        )
    if not names:
        raise CommandError(ExitCode.NO_INPUT, f"no photos ({' '.join(sorted(_SUFFIXES))}) in {folder} or below it")
    found: list[RealPhoto] = []
    bad: list[str] = []
    for name in sorted(names, key=natural):
        try:
            parts = name.split("/")
            found.append(_read(folder / name, name, parts[0] if len(parts) > 1 else class_name, known))
        except ValueError as error:
            bad.append(f"{folder / name}: {error}")
    if bad:
        raise CommandError(ExitCode.BAD_DATA, f"{len(bad)} of {len(names)} photos cannot be used, the first: {bad[0]}")
    return found


def digest(photos: Iterable[tuple[RealPhoto, str]]) -> str:
    """Of the files of photos and of their masks, their names and classes, and the part that each goes into."""
    whole = hashlib.sha256()
    for photo, part in photos:
        mask = "" if photo.mask is None else hashlib.sha256(photo.mask.read_bytes()).hexdigest()
        whole.update(
            f"{photo.name}\0{photo.class_name}\0{part}\0{photo.sha256}\0{mask}\n".encode(errors="surrogateescape")
        )
    return whole.hexdigest()


class _Masks:
    """The masks below a folder, by the names of what they are masks of."""

    def __init__(self, folder: Path) -> None:
        names = _names(folder)
        if not names:
            raise CommandError(ExitCode.NO_INPUT, f"no masks in {folder} or below it")
        photos = {name.rpartition(".")[0] for name in names if name.lower().endswith((".jpg", ".jpeg"))}
        named = {name for name in names if name.rpartition(".")[0].endswith(MASK)}
        beside = {name for name in names if name.lower().endswith(".png") and name.rpartition(".")[0] in photos}
        self._folder = folder
        masks = named | beside or set(names)
        self._files = {(folder / name).resolve() for name in masks}
        self._by_name: dict[str, list[str]] = {}
        for name in sorted(masks):
            self._by_name.setdefault(name.rpartition(".")[0].removesuffix(MASK), []).append(name)
        self._taken: dict[str, str] = {}

    def has(self, path: Path) -> bool:
        return path.resolve() in self._files

    def of(self, name: str) -> Path:
        """The mask of a photo.

        Raises:
            ValueError: there is none, more than one, or it is another photo's.
        """
        stem = name.rpartition(".")[0]
        for key in (stem, stem.rpartition("/")[2]):
            if found := self._by_name.get(key):
                if len(found) > 1:
                    raise ValueError(f"{len(found)} files could be its mask, such as {found[0]} and {found[1]}")
                if (other := self._taken.setdefault(found[0], name)) != name:
                    raise ValueError(f"its mask {found[0]} is that of {other} as well")
                return self._folder / found[0]
        raise ValueError(f"it has no mask in {self._folder}; of a photo without a defect it would be all black")


def _names(folder: Path, among: Callable[[Iterable[str]], list[str]] = list) -> list[str]:
    """The images below a folder, relative to it, of each folder those that `among` picks; hidden files and folders are
    left out."""
    if not folder.is_dir():
        raise CommandError(ExitCode.NO_INPUT, f"no folder {folder.absolute()}")
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        within = Path(parent).relative_to(folder)
        images = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES]
        found += [(within / name).as_posix() for name in among(images)]
    return found


def _read(path: Path, name: str, class_name: str, masks: _Masks | None) -> RealPhoto:
    from PIL import Image, ImageOps

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    mask = None if masks is None else masks.of(name)
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_FORMATS)) as image:
            image.load()
            mode, kind, taken = image.mode, image.format, taken_at(image)
            plain = mode in {"L", "RGB"} and image.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
            upright = ImageOps.exif_transpose(image)
            gray = upright.convert("L")
    except Exception:  # decoders raise many kinds
        raise ValueError("it is no image, or damaged") from None
    if mode.startswith(("I", "F")):
        raise ValueError(f"it has more than 8 bits a channel ({mode}), and trainers read 8: save it with 8")
    if mask is not None and (size := _size(mask)) != gray.size:
        raise ValueError(f"its mask {mask} is {size[0]}x{size[1]}, the photo {gray.width}x{gray.height}")
    plain = plain and path.suffix.lower() in _FORMATS[kind or ""]
    small, view = (_reduced(gray, side) for side in (SIDE, VIEW))
    sha256 = hashlib.sha256(content).hexdigest()
    return RealPhoto(
        name, class_name, path, sha256, gray.width, gray.height, mode in {"L", "1", "LA"}, plain, mask, small, view,
        taken,
    )  # fmt: skip


def _reduced(gray: object, side: int) -> NDArray[np.float32]:
    from PIL import Image

    assert isinstance(gray, Image.Image)
    return np.asarray(gray.resize((side, side), Image.Resampling.BOX), dtype=np.float32)


def _size(mask: Path) -> tuple[int, int]:
    """Of a mask that can be read to its end."""
    from PIL import Image

    try:
        with Image.open(mask) as image:
            image.load()
            return image.size
    except Exception:  # decoders raise many kinds
        raise ValueError(f"its mask {mask} is no image, or damaged") from None


def _as_png(path: Path) -> bytes:
    """A photo upright, gray or RGB, as a PNG file."""
    from PIL import Image, ImageOps

    content = io.BytesIO()
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        upright.convert("L" if upright.mode in {"L", "1", "LA"} else "RGB").save(content, "PNG")
    return content.getvalue()


def _mask_png(path: Path) -> bytes:
    """A mask in any of the usual codings as 0 and 255.

    Whatever is not 0 is a defect: 1, 255, or an index into a palette. JPEG keeps no 0, so there the middle divides.
    """
    from PIL import Image

    with Image.open(path) as image:
        lossy = image.format == "JPEG"
        one = image.mode in {"1", "L", "P", "I", "I;16", "F"}
        pixels = np.atleast_3d(np.asarray(image if one else image.convert("RGB")))  # without what is transparent
    inside: NDArray[np.bool_] = pixels.max(axis=2) > (127 if lossy else 0)
    return encoded(inside)
