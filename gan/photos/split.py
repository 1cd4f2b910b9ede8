"""Photos for training and photos kept back, so that what is kept back was not seen under another name."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import statistics
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from gan.photos.find import Photo, photos_in
from gan.photos.read import printable
from models.errors import CommandError, ExitCode, writing_error
from models.files import sync_filesystem, sync_folder, temporary_name

BLOCK = 10
"""Photos. Those of one production run have neighbouring numbers and resemble each other in ways that no thumbnail
shows, such as the same strip a hand's breadth further on."""
GAP = 10
"""Times the usual step: where the numbers leap further, another run begins."""
SHARE = 0.25
ENOUGH = 60
"""Photos kept back below which a comparison with them says little."""
_NO_NAME = {errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR}
"""What a disk says of a zip's `a.png` and `a.png/b.png`, or of a name of 300 letters."""


def default_share(count: int) -> float:
    """A quarter is kept back; of fewer than 240 photos 60, but never more than a third."""
    return max(SHARE, min(ENOUGH / max(count, 1), 1 / 3))


def split(
    names: Iterable[str], groups: Iterable[Sequence[str]], share: float, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Divide photos into those to train on and those to keep back.

    What stays together: `units_of`, none larger than half of what is wished where that can be. Those kept back are
    drawn evenly over the order, so that they look like the rest. The result does not depend on the order of the
    arguments. Their number is what is wished to within the largest unit.

    Args:
        names: relative, `/`-separated, no two the same.
        groups: names that must not be parted.
        share: to keep back, above 0 and below 1.
        seed: where along the order the drawing begins.

    Returns:
        The names to train on and those kept back, each in natural order.

    Raises:
        ValueError: a name is there twice, a group names another photo, the share is none, or all is one unit.
    """
    ordered = sorted(names, key=natural)
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    units = units_of(ordered, groups, share * len(ordered) / 2)
    if len(units) < 2:
        raise ValueError("all photos belong together: near-duplicates or neighbours of one another")
    usual = float(np.median([len(unit) for unit in units]))
    wished = float(np.random.default_rng(seed).uniform(-0.5, 0.5)) * usual
    validation: set[str] = set()
    for unit in units:
        wished += share * len(unit)
        if len(validation) + len(unit) / 2 < wished and len(validation) + len(unit) < len(ordered):
            validation.update(unit)
    if not validation:
        smallest = min(units, key=lambda unit: (len(unit), unit[0]))
        validation.update(smallest)
    return [name for name in ordered if name not in validation], [name for name in ordered if name in validation]


def natural(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """A key that sorts `a/b9.png` before `a/b10.png`, folder by folder."""
    parts = [part for part in re.split(r"([0-9]+|/)", name) if part]
    key = tuple((0, "") if part == "/" else (1, int(part)) if part[0] in "0123456789" else (2, part) for part in parts)
    return key, name


def numbered(name: str) -> tuple[str, int | None]:
    """What stands before the last number of a photo's name, its folder included, and that number or None."""
    path = PurePosixPath(name)
    found = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", path.stem)
    if found is None:
        return f"{path.parent}/", None
    return f"{path.parent}/{found[1]}", int(found[2])


def runs(names: Iterable[str]) -> list[list[str]]:
    """Names in the order of their numbers, divided where the series changes or the numbers leap.

    A series is a folder and what stands before the number. Those that differ in one short number only and share none
    behind it count on together (`cam1_0817`, `cam2_0818`: the magnetic tiles are `exp1_num_2610`, `exp2_num_2627`, … of
    one tile): they are one series.
    """
    by_prefix: dict[str, list[str]] = {}
    for name in sorted(names, key=natural):
        by_prefix.setdefault(numbered(name)[0], []).append(name)
    families: dict[str, list[str]] = {}
    for prefix in by_prefix:
        folder, _, text = prefix.rpartition("/")
        short = re.fullmatch(r"([^0-9]*)[0-9]{1,2}([^0-9]+)", text)
        families.setdefault(f"{folder}/{short[1]}\0{short[2]}" if short else prefix, []).append(prefix)
    found: list[list[str]] = []
    for prefixes in families.values():
        series = [by_prefix[prefix] for prefix in prefixes]
        together = [name for members in series for name in members]
        counted = [numbered(name)[1] for name in together]
        if len(series) > 1 and None not in counted and len(set(counted)) == len(counted):
            series = [sorted(together, key=lambda name: numbered(name)[1] or 0)]
        for members in series:
            found += _cut_at_leaps(members)
    return found


def blocks(names: Iterable[str], size: int = BLOCK) -> list[list[str]]:
    """Runs cut into pieces of about `size`, as equal as they can be."""
    found: list[list[str]] = []
    for run in runs(names):
        pieces = max(1, round(len(run) / size))
        edges = [round(piece * len(run) / pieces) for piece in range(pieces + 1)]
        found += [run[edges[piece] : edges[piece + 1]] for piece in range(pieces)]
    return found


def units_of(names: Iterable[str], groups: Iterable[Sequence[str]], largest: float) -> list[list[str]]:
    """What must stay together: groups of near-duplicates always, and blocks of neighbours, joined where a group spans
    several; in the order of their first photo.

    Where the parts of a photo series lie apart, groups join block to block until all is one. So blocks give way: they
    have 10 photos, or 5, 2 or 1 where a unit would else have more than `largest`.

    Raises:
        ValueError: a name is there twice, or a group names another photo.
    """
    ordered = sorted(names, key=natural)
    place = {name: index for index, name in enumerate(ordered)}
    if len(place) < len(ordered):
        raise ValueError("a name is there twice")
    joined = [list(group) for group in groups]
    if strangers := [name for group in joined for name in group if name not in place]:
        raise ValueError(f"{strangers[0]} is in a group and not among the names")
    units: list[list[str]] = []
    for size in (BLOCK, BLOCK // 2, 2, 1):
        units = _joined(blocks(ordered, size), joined)
        if max(map(len, units), default=0) <= largest:
            break
    return sorted((sorted(unit, key=place.__getitem__) for unit in units), key=lambda unit: place[unit[0]])


def check_place(data: Path, out: Path) -> None:
    """Refuse a place for a split before the work.

    Raises:
        CommandError: 2 `out` lies in `data`, 73 it is there and not an empty folder.
    """
    if out.resolve().is_relative_to(data.resolve()):
        raise CommandError(ExitCode.USAGE, f"{out} lies in {data}: its photos would be counted twice")
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise CommandError(ExitCode.CANNOT_WRITE, f"{out} is there and not an empty folder: remove it or name another")


def write_split(data: Path, out: Path, train: Collection[str], validation: Collection[str]) -> None:
    """Put the photos of a folder or zip into `out/train` and `out/validation`, under their names.

    Files are hard links where the disk allows it, else copies: nothing is copied on one disk, and who changes a file in
    place changes both. `out` appears whole or not at all; what a kill leaves behind has another, hidden name.

    Raises:
        CommandError: 2 `out` lies in `data`, 65 names in a zip that cannot all be files, 73 `out` is not empty or
            cannot be written, 74 disk full.
    """
    check_place(data, out)
    side_of = {**dict.fromkeys(train, "train"), **dict.fromkeys(validation, "validation")}
    temporary = temporary_name(out.absolute())
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # what a killed run left
        temporary.mkdir(parents=True)
        with photos_in(data) as photos:
            for photo in photos:
                if photo.name in side_of and not photo.problem:
                    _place(photo, temporary / side_of.pop(photo.name) / photo.name)
        if side_of:
            raise CommandError(ExitCode.NO_INPUT, f"{next(iter(side_of))} is no longer in {data}: run it again")
        sync_filesystem(temporary)
        os.rename(temporary, out)  # onto nothing, or onto an empty folder
        sync_folder(temporary.parent)
    except OSError as error:
        raise writing_error(error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cut_at_leaps(members: list[str]) -> list[list[str]]:
    numbers = [numbered(name)[1] or 0 for name in members]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    leap = GAP * statistics.median([step for step in steps if step > 0] or [1])
    found = [members[:1]]
    for name, step in zip(members[1:], steps, strict=True):
        if step > leap:
            found.append([])
        found[-1].append(name)
    return found


def _joined(pieces: list[list[str]], groups: list[list[str]]) -> list[list[str]]:
    """Pieces that share a group become one."""
    piece_of = {name: number for number, piece in enumerate(pieces) for name in piece}
    members = {number: list(piece) for number, piece in enumerate(pieces)}
    for group in groups:
        first, *others = sorted({piece_of[name] for name in group})
        for number in others:
            moved = members.pop(number)
            members[first] += moved
            piece_of.update(dict.fromkeys(moved, first))
    return list(members.values())


def _place(photo: Photo, target: Path) -> None:
    if photo.archive is not None:
        return _unpack(photo, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = photo.path.resolve()  # of a link the photo itself: a hard link to a relative link would lead nowhere
    try:
        os.link(source, target)
    except OSError:  # another disk, a file system without links, a photo of another user
        shutil.copyfile(source, target)


def _unpack(photo: Photo, target: Path) -> None:
    content = photo.read()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{printable(str(photo.path))} cannot be a file beside the others: {error.strerror}: rename it in the zip",
        ) from None
