"""Which photo goes into which part of a data set: as a split says, or by groups that are not parted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jobs.dataset.convert.photos import RealPhoto
from jobs.dataset.convert.sample import TEST, TRAIN, VAL
from models.errors import CommandError, ExitCode
from models.groups import groups_of, near_duplicates, overlapping, turned, united
from models.split import split
from models.times import minutes_of

HELD_BACK = 0.3
"""Of the photos, half of them for `val` and half for `test`, where no split says otherwise."""
UNUSED = "unused"
"""Photos that a split knows and that go nowhere, as in the subsets of `gan-eval usefulness`."""
_PARTS = {"train": TRAIN, "validation": VAL, "val": VAL, "test": TEST, UNUSED: UNUSED}


def parts_by_file(photos: Sequence[RealPhoto], file: Path, folder: Path) -> dict[str, str]:
    """Name to part or `UNUSED`, as a `split.json` of `gan-eval data` or `usefulness` has it: its validation is `val`.

    A split of a folder may be asked about one of its folders, such as that of the good parts.

    Args:
        photos: the photos.
        file: of the split.
        folder: of the photos.

    Raises:
        CommandError: 66 where there is no such file; 65 where it is none, or a photo is not in it or was changed.
    """
    try:
        rows = json.loads(file.read_bytes())["photos"]
        known = {str(name): (_PARTS[row["part"]], str(row["sha256"])) for name, row in rows.items()}
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CommandError(ExitCode.BAD_DATA, f"{file} is no split.json of `gan-eval`") from None
    if not any(photo.name in known for photo in photos):
        within = f"{folder.resolve().name}/"
        known = {name.removeprefix(within): row for name, row in known.items() if name.startswith(within)} or known
    strange = [photo.name for photo in photos if photo.name not in known]
    changed = [photo.name for photo in photos if photo.name in known and known[photo.name][1] != photo.sha256]
    for names, what in ((strange, "are not in it"), (changed, "have another content than it says")):
        if names:
            raise CommandError(
                ExitCode.BAD_DATA, f"{file}: {len(names)} of {len(photos)} photos {what}, such as {names[0]}"
            )
    return {photo.name: known[photo.name][0] for photo in photos}


def parts_by_group(photos: Sequence[RealPhoto], share: float = HELD_BACK, tested: bool = True) -> dict[str, str]:
    """Name to part: photos that show the same, of one minute, or neighbours in number stay together.

    Args:
        photos: in natural order.
        share: to keep back.
        tested: whether half of these become `test`, else all are `val`.

    Raises:
        CommandError: 65 where all belong together.
    """
    names = [photo.name for photo in photos]
    small, views = (np.stack([getattr(photo, field) for photo in photos]) for field in ("small", "view"))
    digests = {sha256: number for number, sha256 in enumerate(dict.fromkeys(photo.sha256 for photo in photos))}
    exact = groups_of(np.array([digests[photo.sha256] for photo in photos]))
    alike = [*exact, *near_duplicates(small), *turned(small, views), *overlapping(views)]
    groups = [[names[place] for place in group] for group in united(len(names), alike)]
    times = minutes_of(names, {photo.name: photo.taken for photo in photos if photo.taken is not None})
    try:
        train, held = split(names, groups, share, times=times)
    except ValueError as error:
        raise CommandError(
            ExitCode.BAD_DATA, f"{len(names)} photos cannot be divided, such as {names[0]}: {error}"
        ) from None
    val, test = held, list[str]()
    if tested:
        inside = [group for group in groups if group[0] in set(held)]
        with contextlib.suppress(ValueError):  # where all that is kept back belongs together, there is no `test`
            test, val = split(held, inside, 0.5, times=times)
    return {**dict.fromkeys(train, TRAIN), **dict.fromkeys(val, VAL), **dict.fromkeys(test, TEST)}
