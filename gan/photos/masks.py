"""Masks of photos: read in any usual coding, held against their photos, and told of in one report."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan.photos.decode import SIDEWAYS, Picture, decode, upright_size
from gan.photos.find import Photo, photos_in, place_of, printable
from gan.photos.pairing import Pairing, pair
from gan.photos.spots import spots
from models.errors import CommandError, ExitCode
from models.log import log

MISSING = ("refuse", "empty")
"""What a photo without a mask is: an error, or a photo without a defect."""
FEW_LEVELS = 8
"""Gray levels up to which they are classes of defects, all but 0."""
_MIDDLE = 0.1
"""Share of pixels that may lie between black and white: the edges of thin cracks, smoothed or stored as JPEG."""
_NEAR = 1 / 8
"""So much of white is still black, or white: JPEG moves them."""
_WHITE = 128
_TURNED = "is {}, and the photo, which its EXIF turns upright, {}: turn the mask, or remove the tag from the photo"
_LISTED = 10


@dataclass(frozen=True)
class MaskReport:
    """How masks fit their photos, and what they show.

    Attributes:
        place: the folder or zip of the masks.
        without_mask: photos that have none.
        without_photo: masks of no photo.
        unclear: sentences about several masks of one photo, or several photos of one mask.
        wrong_size: masks of another size than their photo, with both sizes.
        unreadable: masks that cannot be read, or are none, each with its reason.
        turned: photos that EXIF turns in a way that the size of the mask does not tell.
        shares: of each photo in the first folder with a mask that fits: the share of it that is defect, 0 to 1.
        spots: how many connected spots each of these has; pixels that touch at a corner are connected.
    """

    place: Path
    without_mask: tuple[str, ...] = ()
    without_photo: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    wrong_size: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    spots: tuple[int, ...] = ()

    @property
    def inverted(self) -> int:
        """Masks that are mostly defect."""
        return sum(share > 0.5 for share in self.shares)

    def figures(self) -> str:
        """What the masks show, in a line."""
        defects = [share for share in self.shares if share]
        counts = [count for count in self.spots if count]
        none = f"; {len(self.without_mask)} without a mask" if self.without_mask else ""
        line = f"{len(self.shares)} photos with masks, {len(self.shares) - len(defects)} without a defect{none}"
        if not defects:
            return line
        usual, most = round(float(np.median(counts))), max(counts)
        return (
            f"{line}; a usual defect covers {100 * float(np.median(defects)):.2g} % of a photo, in {usual} "
            f"spot{'' if usual == 1 else 's'} (at most {most})"
        )

    def problems(self, missing: str = "refuse") -> dict[str, tuple[str, ...]]:
        """What keeps the masks from being used: a title with the number, and all names."""
        found = [
            ("photo", "without a mask", self.without_mask if missing == "refuse" else ()),
            ("mask", "of no photo", self.without_photo),
            ("mask", "not clear", self.unclear),
            ("mask", "of another size", self.wrong_size),
            ("mask", "that cannot be read", self.unreadable),
        ]
        return {
            f"{len(names)} {what}{'' if len(names) == 1 else 's'} {title}": names
            for what, title, names in found
            if names
        }

    def warnings(self) -> list[str]:
        """What makes one look again, a sentence each."""
        found = []
        if 2 * self.inverted > len(self.shares):
            found.append(
                f"{self.inverted} of {len(self.shares)} masks in {place_of(self.place)} cover more than half of their "
                "photo: are they inverted? 0 is what has no defect, all else is defect"
            )
        if self.turned:
            found.append(
                f"{len(self.turned)} photos are turned by their EXIF, such as {self.turned[0]}, and the size of a mask "
                "does not tell whether it is, too: the masks are taken as upright"
            )
        return found


@dataclass(frozen=True)
class Masks:
    """Masks that fit their photos.

    Attributes:
        pairing: which belongs to which.
        unusable: photos whose masks do not fit or cannot be read, by their folder or zip.
    """

    pairing: Pairing
    unusable: frozenset[tuple[Path, str]] = frozenset()

    def within(self, folder: Path) -> frozenset[str]:
        """Names of files in a folder of photos that are masks."""
        return self.pairing.within[folder]

    @contextlib.contextmanager
    def opened(self, folder: Path) -> Iterator[Callable[[Photo, tuple[int, int]], Image.Image]]:
        """A function from a photo in `folder`, with its width and height, to its mask: mode L, 255 where the defect is.

        It raises `ValueError` with a few words where the mask does not fit or cannot be read.

        Raises:
            CommandError: 66 the masks are gone.
        """
        with photos_in(self.pairing.place) as files:
            by_name = {file.name: file for file in files if not file.problem}

            def mask_of(photo: Photo, size: tuple[int, int]) -> Image.Image:
                name = self.pairing.mask_of[folder].get(photo.name, "")
                if not name:
                    return Image.new("L", size)
                if (folder, photo.name) in self.unusable or name not in by_name:
                    raise ValueError("its mask cannot be used")
                mask = read_mask(by_name[name])
                if mask.shape != size[::-1]:
                    raise ValueError(f"its mask is {_size(mask.shape[::-1])}, not {_size(size)}")
                return Image.fromarray(mask)

            yield mask_of


def masks_for(
    folders: Sequence[Path],
    masks: Path,
    missing: str = "refuse",
    skip_bad_files: bool = False,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    others: bool = False,
) -> Masks:
    """The masks of the photos in folders or zips, all read and held against their photos.

    Logged: what does not fit, how much of a photo is defect, and whether the masks seem to be inverted.

    Args:
        folders: of photos to train on and, where there are any, to measure on.
        masks: folder or zip of their masks; see `gan.photos.pairing.pair`.
        missing: one of `MISSING`: refuse photos without a mask, or take them as photos without a defect.
        skip_bad_files: go on without masks of no photo, and without photos whose mask does not fit or cannot be read.
        only, without: patterns of the photos that are meant.
        others: masks of other photos may lie there, too.

    Raises:
        CommandError: 65 masks that are missing, belong to no photo, have another size or cannot be read; 66 no photos
            or no masks.
        ValueError: `missing` is none of `MISSING`.
    """
    if missing not in MISSING:
        raise ValueError(f"`missing_masks` is one of {', '.join(MISSING)}, not {missing!r}")
    pairing = pair(folders, masks, only, without)
    if others:
        pairing = dataclasses.replace(pairing, without_photo=())
    report, unusable = check(pairing)
    if problems := report.problems(missing):
        log.warning("masks in %s that do not fit the photos:\n  %s", place_of(masks), "\n  ".join(listed(problems)))
        if report.unclear or (report.without_mask and missing == "refuse") or not skip_bad_files:
            raise _refused(report, problems, missing)
    log.info("%s", report.figures())
    for warning in report.warnings():
        log.warning("%s", warning)
    return Masks(pairing, unusable)


def check(pairing: Pairing) -> tuple[MaskReport, frozenset[tuple[Path, str]]]:
    """Read every mask, and hold its size against that of its photo.

    Returns:
        What was found, and the photos whose masks cannot be used, each with its folder or zip.

    Raises:
        CommandError: 66 photos or masks are gone.
    """
    wrong_size, unreadable, turned = [], [], []
    unusable: set[tuple[Path, str]] = set()
    shares: list[float] = []
    counts: list[int] = []
    with photos_in(pairing.place) as files:
        by_name = {file.name: file for file in files if not file.problem}
        for place, (folder, mask_of) in enumerate(pairing.mask_of.items()):
            with photos_in(folder) as photos:
                for photo in (photo for photo in photos if mask_of.get(photo.name)):
                    name = mask_of[photo.name]
                    try:
                        size, orientation = upright_size(photo)
                    except ValueError:  # whoever reads the photos says so
                        continue
                    try:
                        mask = read_mask(by_name[name])
                    except ValueError as error:
                        unreadable.append(f"{printable(name)}: {error}")
                        unusable.add((folder, photo.name))
                        continue
                    if mask.shape != size[::-1]:
                        wrong_size.append(f"{printable(name)} {_misfit(mask.shape[::-1], size, orientation)}")
                        unusable.add((folder, photo.name))
                        continue
                    if orientation != 1 and (orientation not in SIDEWAYS or size[0] == size[1]):
                        turned.append(printable(photo.name))
                    if place == 0:
                        shares.append(float((mask > 0).mean()))
                        counts.append(int(spots(mask).max()))
    report = MaskReport(
        pairing.place, pairing.without_mask, tuple(map(printable, pairing.without_photo)), pairing.unclear,
        tuple(wrong_size), tuple(unreadable), tuple(turned), tuple(shares), tuple(counts),
    )  # fmt: skip
    return report, frozenset(unusable)


def read_mask(file: Photo) -> NDArray[np.uint8]:
    """A mask, turned upright by its own EXIF: uint8 `[H, W]`, 255 where the defect is, else 0.

    0 is the background, and everything else defect. Where JPEG or smoothing have left levels between, half of white
    divides. Of a palette the colours count, or where none is black the place 0.

    Raises:
        ValueError: what is wrong with the file, in a few words.
    """
    picture = decode(file)
    gray = _gray(picture)
    if picture.see_through and not gray.any():
        raise ValueError("what it shows is in its transparency alone: save it as gray, 0 and 255")
    levels, counts = np.unique(gray, return_counts=True)
    top = int(levels[-1])
    if len(levels) == 1:
        return np.full_like(gray, 255 if top else 0)
    lossy = file.head(3) == b"\xff\xd8\xff"
    if levels[0] == 0 and not lossy and (_are_classes(levels) or _has_areas(gray)):
        return np.where(gray > 0, np.uint8(255), np.uint8(0))
    if not lossy and len(levels) <= FEW_LEVELS and not _are_noisy(levels):
        raise ValueError(f"no pixel of it is 0, which is what has no defect; the darkest is {levels[0]}")
    dark, bright = levels <= _NEAR * top, levels >= (1 - _NEAR) * top
    if top < _WHITE or not dark.any() or counts[~dark & ~bright].sum() > _MIDDLE * gray.size:
        raise ValueError(f"{len(levels)} gray levels, so no mask: 0 is what has no defect, and 255 the defect")
    return np.where(2 * gray.astype(np.int32) >= top, np.uint8(255), np.uint8(0))


def listed(problems: dict[str, tuple[str, ...]]) -> list[str]:
    """What does not fit, in lines: each kind with its first names."""
    lines = []
    for title, names in problems.items():
        more = f"; and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        lines.append(f"{title}: {'; '.join(names[:_LISTED])}{more}")
    return lines


def _refused(report: MaskReport, problems: dict[str, tuple[str, ...]], missing: str) -> CommandError:
    said = "; ".join(f"{title}, such as {names[0]}" for title, names in problems.items())
    ways = []
    if report.without_mask and missing == "refuse":
        ways.append("`missing_masks=empty` takes photos without a mask as free of defects")
    if report.without_photo or report.wrong_size or report.unreadable:
        ways.append("`skip_bad_files` goes on without what does not fit")
    way = f": {', and '.join(ways)}" if ways else ""
    return CommandError(ExitCode.BAD_DATA, f"`masks` {place_of(report.place)}: {said}{way}")


def _gray(picture: Picture) -> NDArray[np.uint8]:
    """uint8 `[H, W]`: of colour the largest of a pixel's channels, so that a defect in any colour is there."""
    image = picture.image
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))
    colours: NDArray[np.uint8] = np.asarray(image.convert("RGB")).max(axis=2)
    return np.asarray(image) if image.mode == "P" and colours.all() else colours


def _are_classes(levels: NDArray[np.uint8]) -> bool:
    return len(levels) <= FEW_LEVELS and not _are_noisy(levels)


def _are_noisy(levels: NDArray[np.uint8]) -> bool:
    """Whether there are levels both beside black and beside white, as of a JPEG that was stored anew."""
    top = int(levels[-1])
    beside_black, beside_white = levels[1:-1] <= _NEAR * top, levels[1:-1] >= (1 - _NEAR) * top
    return top >= _WHITE and bool(beside_black.any() and beside_white.any())


def _has_areas(gray: NDArray[np.uint8]) -> bool:
    """Whether what is neither black nor white lies in areas of one level, as classes do, and not along edges."""
    inner = gray[1:-1, 1:-1]
    top = int(gray.max())
    middle = (inner > _NEAR * top) & (inner < (1 - _NEAR) * top)
    if not middle.any():
        return False
    flat = np.ones_like(middle)
    for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
        flat &= inner == gray[down : down + inner.shape[0], across : across + inner.shape[1]]
    return bool((flat & middle).sum() > middle.sum() / 4)


def _misfit(mask: tuple[int, ...], photo: tuple[int, int], orientation: int) -> str:
    if orientation in SIDEWAYS and mask == photo[::-1]:
        return _TURNED.format(_size(mask), _size(photo))
    return f"is {_size(mask)}, its photo {_size(photo)}"


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"
