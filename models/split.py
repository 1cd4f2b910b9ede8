"""Which photos to train on and which to keep back, so that what is kept back was not seen under another name."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.series import BLOCK, NO_TIMES, blocks, natural, same_minute

SHARE = 0.25
ENOUGH = 60
"""Photos kept back below which a comparison with them says little."""


@dataclass(frozen=True)
class Leaks:
    """Pairs of photos that belong together, and how many of them a split parts: one is trained on, the other kept back.

    Attributes:
        near_duplicates: pairs that show the same.
        same_minute: pairs taken in one minute of the clock.
        neighbours: pairs of successive numbers or times in one run.
    """

    near_duplicates: float
    same_minute: float
    neighbours: float


@dataclass(frozen=True)
class Parted:
    """Pairs that belong together and lie in both parts.

    Attributes:
        kept_back: photos that are not trained on.
        by_chance: what a split at random parts on average.
        made: what the split that was made has parted, or None where none was.
    """

    kept_back: int
    by_chance: Leaks
    made: Leaks | None


def default_share(count: int) -> float:
    """A quarter is kept back; of fewer than 240 photos 60, but never more than a third."""
    return max(SHARE, min(ENOUGH / max(count, 1), 1 / 3))


def split(
    names: Iterable[str],
    groups: Iterable[Sequence[str]],
    share: float,
    seed: int = 0,
    times: Mapping[str, float] = NO_TIMES,
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
        times: name to seconds, of the photos whose time is known.

    Returns:
        The names to train on and those kept back, each in natural order.

    Raises:
        ValueError: a name is there twice, a group names another photo, the share is none, or all is one unit.
    """
    ordered = sorted(names, key=natural)
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    units = units_of(ordered, groups, share * len(ordered) / 2, times)
    if len(units) < 2:
        raise ValueError("all photos belong together: near-duplicates, of the same minute, or neighbours")
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


def units_of(
    names: Iterable[str], groups: Iterable[Sequence[str]], largest: float, times: Mapping[str, float] = NO_TIMES
) -> list[list[str]]:
    """What must stay together: groups of near-duplicates and photos of one minute always, and blocks of neighbours,
    joined where a group spans several; in the order of their first photo.

    Where the parts of a photo series lie apart, groups join block to block until all is one. So blocks give way: they
    have 10 photos, and 5, 2 or 1 within a unit that would else have more than `largest`.

    Raises:
        ValueError: a name is there twice, or a group names another photo.
    """
    ordered = sorted(names, key=natural)
    place = {name: index for index, name in enumerate(ordered)}
    if len(place) < len(ordered):
        raise ValueError("a name is there twice")
    known = {name: moment for name, moment in times.items() if name in place}
    joined = [*map(list, groups), *same_minute(known)]
    if strangers := [name for group in joined for name in group if name not in place]:
        raise ValueError(f"{strangers[0]} is in a group and not among the names")
    units = _units(ordered, joined, largest, known, (BLOCK, BLOCK // 2, 2, 1))
    return sorted((sorted(unit, key=place.__getitem__) for unit in units), key=lambda unit: place[unit[0]])


def leaks(
    groups: Iterable[Sequence[str]],
    minutes: Iterable[Sequence[str]],
    neighbours: Iterable[Sequence[str]],
    kept_back: Collection[str],
) -> Leaks:
    """How many pairs that belong together a split has parted.

    Args:
        groups: of near-duplicates: each two of a group are a pair.
        minutes: photos of one minute: each two are a pair.
        neighbours: runs, in their order: each photo and the next are a pair.
        kept_back: the names that are not trained on.
    """
    held = set(kept_back)

    def parted(group: Sequence[str]) -> int:
        inside = sum(name in held for name in group)
        return inside * (len(group) - inside)

    return Leaks(
        sum(map(parted, groups)),
        sum(map(parted, minutes)),
        sum((one in held) != (other in held) for run in neighbours for one, other in itertools.pairwise(run)),
    )


def expected_leaks(
    groups: Iterable[Sequence[str]],
    minutes: Iterable[Sequence[str]],
    neighbours: Iterable[Sequence[str]],
    count: int,
    kept_back: int,
) -> Leaks:
    """How many a split at random parts on average, `kept_back` of `count` photos; the others as of `leaks`."""
    parted = 2 * kept_back * (count - kept_back) / max(1, count * (count - 1))
    pairs = [sum(len(group) * (len(group) - 1) // 2 for group in kind) for kind in (groups, minutes)]
    successive = sum(len(run) - 1 for run in neighbours)
    return Leaks(*(round(parted * number, 1) for number in (*pairs, successive)))


def _units(
    names: list[str], groups: list[list[str]], largest: float, times: Mapping[str, float], sizes: Sequence[int]
) -> list[list[str]]:
    found: list[list[str]] = []
    for unit in _joined(blocks(names, sizes[0], times), groups):
        if len(unit) <= largest or len(sizes) == 1:
            found.append(unit)
        else:
            members = set(unit)
            inside = [group for group in groups if group[0] in members]
            found += _units(unit, inside, largest, times, sizes[1:])
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
