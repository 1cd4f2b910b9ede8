"""Masks of photos: all of them read, held against their photos, and told of in one report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gan.photos.decode import SIDEWAYS, upright_size
from gan.photos.find import Photo, photos_in, place_of, printable
from gan.photos.mask_coding import read_mask
from gan.photos.pairing import MISSING, Pairing, pair
from gan.photos.spots import spots
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress

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

    place: str
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
            place = place_of(Path(self.place))
            found.append(
                f"{self.inverted} of {len(self.shares)} masks in {place} cover more than half of their photo: are they "
                "inverted? 0 is what has no defect, all else is defect"
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
) -> Masks:
    """The masks of the photos in folders or zips: `pair` and `checked` in one.

    Args:
        folders: of photos to train on and, where there are any, to measure on.
        masks: folder or zip of their masks.
        missing, skip_bad_files: as of `checked`.
        only, without: patterns of the photos that are meant.

    Raises:
        CommandError: as `pair` and `checked` do.
    """
    return checked(pair(folders, masks, only, without), missing, skip_bad_files)


def checked(pairing: Pairing, missing: str = "refuse", skip_bad_files: bool = False) -> Masks:
    """Masks that have all been read and held against their photos.

    Logged: what does not fit, how much of a photo is defect, and whether the masks seem to be inverted.

    Args:
        pairing: which belongs to which photo.
        missing: one of `MISSING`: refuse photos without a mask, or take them as photos without a defect.
        skip_bad_files: go on without masks of no photo, and without photos whose mask does not fit or cannot be read.

    Raises:
        CommandError: 65 masks that are missing, belong to no photo, have another size or cannot be read; 66 they are
            gone.
        ValueError: `missing` is none of `MISSING`.
    """
    if missing not in MISSING:
        raise ValueError(f"`missing_masks` is one of {', '.join(MISSING)}, not {missing!r}")
    with Progress("checking", pairing.count, "masks") as progress:
        report, unusable = check(pairing, lambda: progress.update(1))
    if problems := report.problems(missing):
        place, lines = place_of(pairing.place), listed(problems)
        log.warning("masks in %s that do not fit the photos:\n  %s", place, "\n  ".join(lines))
        if report.unclear or (report.without_mask and missing == "refuse") or not skip_bad_files:
            raise _refused(report, problems, missing)
    log.info("%s", report.figures())
    for warning in report.warnings():
        log.warning("%s", warning)
    return Masks(pairing, unusable)


def check(
    pairing: Pairing, on_mask: Callable[[], None] = lambda: None
) -> tuple[MaskReport, frozenset[tuple[Path, str]]]:
    """Read every mask, and hold its size against that of its photo; `on_mask` is called before each.

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
                    on_mask()
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
        str(pairing.place), pairing.without_mask, tuple(map(printable, pairing.without_photo)), pairing.unclear,
        tuple(wrong_size), tuple(unreadable), tuple(turned), tuple(shares), tuple(counts),
    )  # fmt: skip
    return report, frozenset(unusable)


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
    return CommandError(ExitCode.BAD_DATA, f"`masks` {place_of(Path(report.place))}: {said}{way}")


def _misfit(mask: tuple[int, ...], photo: tuple[int, int], orientation: int) -> str:
    if orientation in SIDEWAYS and mask == photo[::-1]:
        return _TURNED.format(_size(mask), _size(photo))
    return f"is {_size(mask)}, its photo {_size(photo)}"


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"
