"""Did the generator see photos that are tested with? By their files, their pixels, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from gan.photos.find import printable
from gan.photos.split_file import TEST, TRAIN, VALIDATION, Split
from gan.photos.traces import Traces
from models.errors import CommandError, ExitCode
from models.groups import STRICTER, alike, looks, turn

_TURNS = ((0, False), (0, True), (2, True), (2, False))
_ROWS = 512
_LISTED = 5
NOBODY_SAYS = (
    "nothing tells which photos made the images in {}: that none of the test photos is among them is taken on trust "
    "(`model` names the ONNX file of a run; gan-export of this version or later writes the photos into it)"
)


def refuse_leaks(real: Traces, split: Split, trained_on: Traces, measured_on: Traces | None, place: str) -> None:
    """Refuse a generator that saw photos of the parts that are kept from it.

    A near-duplicate is one by `models.groups.alike`, at the first of its levels that joins no photo of the part train
    to one kept back: of these it is known that they are none. Photos of the part train are asked for by their files
    alone, as the split has grouped them.

    Args:
        real: all photos of the split.
        split: where they belong.
        trained_on: what the generator's file says.
        measured_on: by which photos it was chosen, as its file says.
        place: of its images, for a message.

    Raises:
        CommandError: 65, with the names.
    """
    kept, own = _in(real, split, TEST, VALIDATION), _in(real, split, TRAIN)
    same = _Alike(kept, own)
    known = set(own.sha256)
    others = trained_on.take([row for row, sha256 in enumerate(trained_on.sha256) if sha256 not in known])
    if found := same.among(others):
        raise _leak(f"the generator of {place} was trained on {len(found)} photos that are kept back for tests", found)
    if measured_on is None:
        return
    if found := same.only(_in(real, split, TEST).names).among(measured_on):
        raise _leak(
            f"the generator of {place} was chosen by {len(found)} of the test photos (gan-train measured on them)",
            found,
        )


def refuse_shown(fitted: Traces, split: Split, made: Traces, place: str) -> str:
    """Refuse images of which nothing tells who made them, where they show photos that are kept back.

    Args:
        fitted: of the photos of the split in the shape of the images.
        split: where they belong.
        made: of the images.
        place: of them, for a message.

    Returns:
        What the reader has to know.

    Raises:
        CommandError: 65, with the names.
    """
    same = _Alike(_in(fitted, split, TEST, VALIDATION), _in(fitted, split, TRAIN))
    if found := same.among(made):
        raise _leak(f"images in {place} show {len(found)} photos that are kept back for tests", found)
    return NOBODY_SAYS.format(place)


def _in(photos: Traces, split: Split, *parts: str) -> Traces:
    """Those of some parts."""
    return photos.take(
        [row for row, name in enumerate(photos.names) if name in split.places and split.places[name].part in parts]
    )


def places_of(real: Traces, trained_on: Traces) -> list[int]:
    """Which of the photos a generator was trained on, ascending: by file or by pixels."""
    files, pixels = set(trained_on.sha256), set(trained_on.pixels)
    return [row for row in range(len(real)) if real.sha256[row] in files or real.pixels[row] in pixels]


class _Alike:
    """Which photos kept back are among others."""

    def __init__(self, kept: Traces, own: Traces, levels: Sequence[tuple[float, float]] | None = None) -> None:
        self._kept, self._own = kept, own
        self._seen = _looks(kept) if len(kept) else np.zeros((2, 0, 0), np.float32)
        self._levels = levels or [
            next((level for level in STRICTER if not self._rows(own, turned, level)), STRICTER[-1]) for turned in _TURNS
        ]

    def only(self, names: Collection[str]) -> _Alike:
        """The same, of some of the photos kept back."""
        rows = [row for row, name in enumerate(self._kept.names) if name in names]
        return _Alike(self._kept.take(rows), self._own, self._levels)

    def among(self, others: Traces) -> list[tuple[str, str]]:
        """Names of photos kept back, each with that of the other that is the same or a near-duplicate."""
        by_file, by_pixels = (
            {key: name for key, name in zip(keys, others.names, strict=True) if key}  # an image need not be a file
            for keys in (others.sha256, others.pixels)
        )
        found: dict[int, str] = {}
        for row, (sha256, pixels) in enumerate(zip(self._kept.sha256, self._kept.pixels, strict=True)):
            if name := by_file.get(sha256) or by_pixels.get(pixels):
                found[row] = name
        for turned, level in zip(_TURNS, self._levels, strict=True):
            for row, other in self._rows(others, turned, level).items():
                found.setdefault(row, others.names[other])
        return [(self._kept.names[row], found[row]) for row in sorted(found)]

    def _rows(self, others: Traces, turned: tuple[int, bool], level: tuple[float, float]) -> dict[int, int]:
        if not len(self._kept) or not len(others):
            return {}
        theirs = _looks(others, lambda thumbnails: turn(thumbnails, *turned))
        found: dict[int, int] = {}
        for start in range(0, theirs.shape[1], _ROWS):
            both = alike(self._seen, theirs[:, start : start + _ROWS], level)
            for row in np.flatnonzero(both.any(axis=1)).tolist():
                found.setdefault(row, start + int(both[row].argmax()))
        return found


def _looks(
    photos: Traces, turned: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda thumbnails: thumbnails
) -> NDArray[np.float32]:
    return looks(turned(photos.looks.astype(np.float32)))


def _leak(what: str, found: Sequence[tuple[str, str]]) -> CommandError:
    pairs = [
        printable(ours) if ours == theirs else f"{printable(ours)} ({printable(theirs)})"
        for ours, theirs in found[:_LISTED]
    ]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return CommandError(ExitCode.BAD_DATA, f"{what}, as they are or as near-duplicates: {', '.join(pairs)}{more}")
