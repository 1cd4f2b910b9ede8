"""`split.json`: which photo belongs to which part, and whether a folder's files are still those of the split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from gan.photos.find import photos_in, place_of, printable
from models.errors import CommandError, ExitCode
from models.files import write_atomically

TRAIN, VALIDATION, TEST, UNUSED = "train", "validation", "test", "unused"
PARTS = (TRAIN, VALIDATION, TEST, UNUSED)
"""A split of `gan-eval data` has the first two."""


@dataclass(frozen=True)
class Place:
    """Where a photo belongs.

    Attributes:
        part: one of `PARTS`.
        sha256: of its file.
        group: a name that those share which must not be parted.
    """

    part: str
    sha256: str
    group: str


@dataclass(frozen=True)
class Split:
    """Name of a photo, relative to its folder, to its place; in the order of the file."""

    places: Mapping[str, Place]

    def names(self, part: str) -> list[str]:
        """The photos of one part."""
        return [name for name, place in self.places.items() if place.part == part]

    def write(self, path: Path) -> None:
        """As `read_split` reads it; the file appears whole or not at all."""
        rows = {
            name: {"part": place.part, "sha256": place.sha256, "group": place.group}
            for name, place in self.places.items()
        }
        text = json.dumps({"photos": rows}, indent=1) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text))


def read_split(path: Path) -> Split:
    """A `split.json` of `gan-eval data` or of `gan-eval usefulness`.

    Raises:
        CommandError: 65 it is no split, 66 it is not there.
    """
    try:
        rows = json.loads(path.read_bytes())["photos"]
        places = {str(name): Place(row["part"], row["sha256"], str(row["group"])) for name, row in rows.items()}
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {place_of(path)}: {error.strerror}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _bad(f"{place_of(path)} is no split.json of gan-eval: `photos` with part, sha256 and group") from None
    if strange := next((name for name, place in places.items() if place.part not in PARTS), ""):
        raise _bad(f"{place_of(path)}: the part of {printable(strange)} is none of {', '.join(PARTS)}")
    if TRAIN not in {place.part for place in places.values()}:
        raise _bad(f"{place_of(path)} has no photo to train on")
    return Split(places)


def check_split(split: Split, data: Path, parts: Collection[str] = PARTS) -> None:
    """See to it that a folder or zip still has the very files of a split, of some parts.

    Raises:
        CommandError: 65 a photo of the split is not there, or another file by its name; 66 no photos.
    """
    with photos_in(data) as photos:
        there = {photo.name: photo for photo in photos}
        for name, place in split.places.items():
            if place.part not in parts or place.part == UNUSED:
                continue
            if name not in there:
                raise _bad(f"the split names {printable(name)}, which is not in {place_of(data)}")
            try:
                sha256 = hashlib.sha256(there[name].read()).hexdigest()
            except (OSError, ValueError) as error:
                raise _bad(f"{place_of(data)}: {printable(name)} cannot be read: {error}") from None
            if sha256 != place.sha256:
                raise _bad(
                    f"{printable(name)} in {place_of(data)} is another file than that of the split: make a new split"
                )


def _bad(message: str) -> CommandError:
    return CommandError(ExitCode.BAD_DATA, message)
