"""What is in a folder of photos, before anything is trained on it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan.photos.duplicates import groups_of, near_duplicates, thumbnail
from gan.photos.find import Photo, photos_in
from gan.photos.read import eight_bit, opened
from gan.photos.split import natural, runs
from models.errors import CommandError, ExitCode

GRAY_TOLERANCE = 8
"""Steps by which the channels of a gray photo may differ: what JPEG makes of equal ones."""
GRAY_SHARE = 0.999
"""Share of pixels that must keep to it: the rest may be a few odd pixels, and no coloured defect."""
_DEEP = ("I", "F")


@dataclass(frozen=True)
class PhotoFacts:
    """One photo.

    Attributes:
        name: relative, `/`-separated.
        width: pixels, turned upright; so `height`.
        height: see `width`.
        mode: how it is stored, in Pillow's words: L gray, RGB, RGBA, P palette, I;16 …
        bits: a channel: 1, 8, 16 or 32.
        colour: whether its channels really differ.
        brightness: mean gray, 0 to 255.
        contrast: standard deviation of gray.
        clipped: share of pixels that are 0 or 255 in gray, 0 to 1.
        sha256: of size and decoded pixels: equal for the same picture in two formats without loss.
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
class Run:
    """Photos of one folder with one prefix whose numbers follow each other."""

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
        runs: neighbours in number.
        exact_duplicates: groups of names whose pixels are equal.
        near_duplicates: groups of names that show the same, the exact ones among them (`gan.photos.duplicates`).
    """

    data: str
    files: int
    unreadable: tuple[BadFile, ...]
    photos: tuple[PhotoFacts, ...]
    folders: dict[str, int]
    runs: tuple[Run, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]

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
        return sum(not photo.colour and not photo.mode.startswith(("1", "L", *_DEEP)) for photo in self.photos)

    def spread(self, name: str) -> Spread:
        """Of a number of `PhotoFacts`."""
        values = [float(getattr(photo, name)) for photo in self.photos]
        return Spread(*(round(float(value), 4) for value in np.percentile(values, [0, 5, 50, 95, 100])))

    def ranked(self, name: str) -> list[str]:
        """Names by a number of `PhotoFacts`, the smallest first."""
        return [photo.name for photo in sorted(self.photos, key=lambda photo: (getattr(photo, name), photo.name))]


def survey(data: Path, on_file: Callable[[], None] = lambda: None) -> Survey:
    """Look at every photo of a folder or zip; files that cannot be used are findings and no errors.

    Args:
        data: searched as `gan.load_images` does.
        on_file: called after each file.

    Raises:
        CommandError: 66 no such folder or no images, 65 not one can be used.
    """
    facts: list[PhotoFacts] = []
    thumbnails: list[NDArray[np.float32]] = []
    bad: list[BadFile] = []
    with photos_in(data) as photos:
        for photo in photos:
            try:
                fact, small = _look(photo)
                facts.append(fact)
                thumbnails.append(small)
            except ValueError as error:
                bad.append(BadFile(photo.name, str(error)))
            on_file()
    if not facts:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"not one of {len(bad)} files in {data.absolute()} can be used, the first is {bad[0].name!r}: "
            f"{bad[0].reason}",
        )
    names = [fact.name for fact in facts]
    numbers = {digest: number for number, digest in enumerate(dict.fromkeys(fact.sha256 for fact in facts))}
    exact = groups_of(np.array([numbers[fact.sha256] for fact in facts]))
    near = _united(len(facts), [*exact, *near_duplicates(np.stack(thumbnails))])
    return Survey(
        data=str(data),
        files=len(facts) + len(bad),
        unreadable=tuple(bad),
        photos=tuple(facts),
        folders=dict(Counter(str(PurePosixPath(name).parent) for name in sorted(names, key=natural))),
        runs=tuple(Run(run[0], run[-1], len(run)) for run in runs(names)),
        exact_duplicates=_named(exact, names),
        near_duplicates=_named(near, names),
    )


def to_json(found: Survey) -> str:
    """One object with everything in it, also what `gan.photos.survey_text` says of it."""
    from gan.photos.survey_text import advice

    content = {
        **dataclasses.asdict(found),
        "sizes": [{"width": width, "height": height, "count": count} for (width, height), count in found.sizes.items()],
        "modes": found.modes,
        "gray_in_effect": found.gray_in_effect,
        **{name: dataclasses.asdict(found.spread(name)) for name in ("width", "height", "brightness", "contrast")},
        "clipped": dataclasses.asdict(found.spread("clipped")),
        "advice": advice(found),
    }
    return json.dumps(content, indent=2)


def _look(photo: Photo) -> tuple[PhotoFacts, NDArray[np.float32]]:
    """A photo's facts and its thumbnail."""
    with opened(photo) as image:
        mode = image.mode
        bits = _bits(image)
        upright = eight_bit(ImageOps.exif_transpose(image))
        gray = upright.convert("L")
        plain = gray if upright.mode in {"1", "L"} else upright.convert("RGB")
    pixels = np.asarray(gray)
    digest = hashlib.sha256(f"{gray.width}×{gray.height}".encode())
    colour = plain.mode == "RGB" and _is_colour(np.asarray(plain))
    digest.update(plain.tobytes() if colour else pixels.tobytes())
    counts = gray.histogram()
    fact = PhotoFacts(
        name=photo.name,
        width=gray.width,
        height=gray.height,
        mode=mode,
        bits=bits,
        colour=colour,
        brightness=round(float(pixels.mean()), 2),
        contrast=round(float(pixels.std()), 2),
        clipped=round((counts[0] + counts[255]) / pixels.size, 5),
        sha256=digest.hexdigest(),
    )
    return fact, thumbnail(gray)


def _is_colour(pixels: NDArray[np.uint8]) -> bool:
    """Whether the channels of uint8 `[H, W, 3]` differ by more than JPEG makes of equal ones."""
    difference = pixels.max(axis=2) - pixels.min(axis=2)
    return bool((difference > GRAY_TOLERANCE).mean() > 1 - GRAY_SHARE)


def _bits(image: Image.Image) -> int:
    """Bits a channel as stored; Pillow opens 16-bit colour as 8-bit and tells only in what it hands its decoder."""
    if image.mode == "1":
        return 1
    if image.mode in _DEEP:
        return 32
    raw = "".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    return 16 if image.mode.startswith("I;16") or ";16" in raw else 8


def _united(count: int, groups: Iterable[list[int]]) -> list[list[int]]:
    """Groups of indices that share one become one."""
    label = np.arange(count)
    for group in groups:
        label[np.isin(label, label[group])] = label[group].min()
    return groups_of(label)


def _named(groups: list[list[int]], names: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[index] for index in group) for group in groups)
