"""Are the photos fit to train on: what is in a folder, before anything is learned from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan.photos.decode import Picture, decode, scales_of
from gan.photos.find import Photo, passed_over, photos_in, place_of, printable
from gan.photos.fit import thumbnail
from gan.photos.lettering import lettered
from gan.photos.masks import MaskReport
from gan.photos.mixture import mask_like, mixtures
from gan.photos.scale import Scale
from models.errors import CommandError, ExitCode
from models.groups import VIEW, groups_of, near_duplicates, overlapping, turned, united
from models.series import natural, runs, same_minute
from models.times import minutes_of

GRAY_TOLERANCE = 8
"""Steps by which the channels of a gray photo may differ: what JPEG makes of equal ones."""
GRAY_SHARE = 0.999
"""Share of pixels that must keep to it: the rest may be a few odd pixels, and no coloured defect."""
DEEP = ("I", "F")


@dataclass(frozen=True)
class PhotoFacts:
    """One photo.

    Attributes:
        name: relative, `/`-separated.
        width: pixels, turned upright; so `height`.
        height: see `width`.
        mode: how it is stored, in Pillow's words: L gray, RGB, RGBA, P palette, I;16 …
        bits: a channel, as stored.
        colour: whether its channels really differ.
        brightness: mean gray, 0 to 255.
        contrast: standard deviation of gray.
        clipped: share of pixels that are 0 or 255 in gray, 0 to 1.
        sha256: of size and decoded pixels: equal for the same picture in two formats without loss.
        see_through: part of it is transparent, and was read as black.
        mask: all black and white, as masks are.
        lettered: letters or digits seem to stand on it (`gan.photos.lettering`).
        taken: seconds, by its EXIF (`models.times.taken_at`), or None.
    """

    name: str
    width: int
    height: int
    mode: str
    bits: int
    colour: bool
    brightness: float
    contrast: float
    clipped: float
    sha256: str
    see_through: bool = False
    mask: bool = False
    lettered: bool = False
    taken: float | None = None


@dataclass(frozen=True)
class Spread:
    """How a number is spread over the photos: smallest, 5 %, middle, 95 %, largest."""

    min: float
    p5: float
    median: float
    p95: float
    max: float


@dataclass(frozen=True)
class BadFile:
    """A file that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Series:
    """Photos whose numbers or times follow each other."""

    first: str
    last: str
    count: int


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        data: the folder or zip.
        files: image files, with the bad ones.
        unreadable: those that cannot be used.
        photos: the others, sorted by name.
        folders: photos a folder; the uppermost is `.`.
        runs: neighbours in number or time.
        exact_duplicates: groups of names whose pixels are equal.
        near_duplicates: groups of names that show the same, the exact ones among them (`models.groups`).
        times: name to seconds, of the photos whose time their name or EXIF tells.
        scales: how deep gray became 8 bits.
        mixed: what is mixed in the folder, in sentences.
        passed_over: how many pictures of kinds that are not read, by suffix.
        masks: how their masks fit, or None.
    """

    data: str
    files: int
    unreadable: tuple[BadFile, ...]
    photos: tuple[PhotoFacts, ...]
    folders: dict[str, int]
    runs: tuple[Series, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    times: dict[str, float] = field(default_factory=dict)
    scales: tuple[Scale, ...] = ()
    mixed: tuple[str, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    masks: MaskReport | None = None

    @property
    def same_minute(self) -> list[list[str]]:
        """Groups of names that were taken in one minute of the clock."""
        return same_minute(self.times)

    @property
    def sizes(self) -> dict[tuple[int, int], int]:
        """(width, height) to how many, the most frequent first."""
        return dict(Counter((photo.width, photo.height) for photo in self.photos).most_common())

    @property
    def modes(self) -> dict[str, int]:
        """Pillow mode to how many, the most frequent first."""
        return dict(Counter(photo.mode for photo in self.photos).most_common())

    @property
    def gray_in_effect(self) -> int:
        """Photos stored as colour whose channels are the same."""
        return sum(not photo.colour and not photo.mode.startswith(("1", "L", *DEEP)) for photo in self.photos)

    def spread(self, name: str) -> Spread:
        """Of a number of `PhotoFacts`."""
        values = [float(getattr(photo, name)) for photo in self.photos]
        return Spread(*(round(float(value), 4) for value in np.percentile(values, [0, 5, 50, 95, 100])))

    def ranked(self, name: str) -> list[str]:
        """Names by a number of `PhotoFacts`, the smallest first."""
        return [photo.name for photo in sorted(self.photos, key=lambda photo: (getattr(photo, name), photo.name))]


def survey(
    data: Path,
    on_file: Callable[[], None] = lambda: None,
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    masks: Collection[str] = (),
) -> Survey:
    """Look at every photo of a folder or zip; files that cannot be used are findings and no errors.

    Args:
        data: searched as `gan.load_images` does.
        on_file: called after each file.
        only: patterns of the photos to look at, where not all; see `gan.photos.find.fits`.
        without: patterns of photos to leave out.
        masks: names of files that are masks and no photos.

    Raises:
        CommandError: 66 no such folder or no images, 65 not one can be used.
    """
    facts: list[PhotoFacts] = []
    small: list[NDArray[np.float32]] = []
    views: list[NDArray[np.float32]] = []
    bad: list[BadFile] = []
    with photos_in(data, only, without, masks) as photos:
        scales = scales_of(photos)
        for photo in photos:
            try:
                picture = decode(photo, scales)
                gray = picture.image.convert("L")
                facts.append(_facts(photo, picture, gray))
                small.append(thumbnail(gray))
                views.append(thumbnail(gray, VIEW))
            except ValueError as error:
                bad.append(BadFile(photo.name, str(error)))
            on_file()
    if not facts:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"not one of {len(bad)} files in {place_of(data)} can be used, the first is {printable(bad[0].name)}: "
            f"{bad[0].reason}",
        )
    names = [fact.name for fact in facts]
    exact, near = _same(facts, np.stack(small), np.stack(views))
    times = minutes_of(names, {fact.name: fact.taken for fact in facts if fact.taken is not None})
    return Survey(
        data=str(data),
        files=len(facts) + len(bad),
        unreadable=tuple(bad),
        photos=tuple(facts),
        folders=dict(Counter(str(PurePosixPath(name).parent) for name in sorted(names, key=natural))),
        runs=tuple(Series(run[0], run[-1], len(run)) for run in runs(names, times)),
        exact_duplicates=_named(exact, names),
        near_duplicates=_named(near, names),
        times=times,
        scales=tuple(scales.values()),
        mixed=tuple(mixtures(names, [fact.name for fact in facts if fact.mask])),
        passed_over=passed_over(data),
    )


def _same(
    facts: list[PhotoFacts], small: NDArray[np.float32], views: NDArray[np.float32]
) -> tuple[list[list[int]], list[list[int]]]:
    """Groups of equal pixels, and of photos that show the same."""
    numbers = {digest: number for number, digest in enumerate(dict.fromkeys(fact.sha256 for fact in facts))}
    exact = groups_of(np.array([numbers[fact.sha256] for fact in facts]))
    order = sorted(range(len(facts)), key=lambda index: natural(facts[index].name))
    shifted = [[order[place] for place in group] for group in overlapping(views[order])]
    return exact, united(len(facts), [*exact, *near_duplicates(small), *turned(small, views), *shifted])


def _facts(photo: Photo, picture: Picture, gray: Image.Image) -> PhotoFacts:
    pixels = np.asarray(gray)
    plain = gray if picture.image.mode in {"1", "L"} else picture.image.convert("RGB")
    colour = plain.mode == "RGB" and _is_colour(np.asarray(plain))
    digest = hashlib.sha256(f"{gray.width}×{gray.height}".encode())
    digest.update(plain.tobytes() if colour else pixels.tobytes())
    counts = gray.histogram()
    return PhotoFacts(
        name=photo.name,
        width=gray.width,
        height=gray.height,
        mode=picture.mode,
        bits=picture.bits,
        colour=colour,
        brightness=round(float(pixels.mean()), 2),
        contrast=round(float(pixels.std()), 2),
        clipped=round((counts[0] + counts[255]) / pixels.size, 5),
        sha256=digest.hexdigest(),
        see_through=picture.see_through,
        mask=mask_like(gray),
        lettered=lettered(gray),
        taken=picture.taken,
    )


def _is_colour(pixels: NDArray[np.uint8]) -> bool:
    """Whether the channels of uint8 `[H, W, 3]` differ by more than JPEG makes of equal ones."""
    difference = pixels.max(axis=2) - pixels.min(axis=2)
    return bool((difference > GRAY_TOLERANCE).mean() > 1 - GRAY_SHARE)


def _named(groups: list[list[int]], names: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[index] for index in group) for group in groups)
