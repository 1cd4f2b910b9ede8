"""Photos that were taken one after the other: by the numbers in their names, or by their times."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

BLOCK = 10
"""Photos. Those of one production run have neighbouring numbers and resemble each other in ways that no thumbnail
shows, such as the same strip a hand's breadth further on."""
GAP = 10
"""Times the usual step: where the numbers or the times leap further, another run begins."""
MINUTE = 60.0
NO_TIMES: Mapping[str, float] = {}


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


def runs(names: Iterable[str], times: Mapping[str, float] = NO_TIMES) -> list[list[str]]:
    """Names in the order of their numbers or times, divided where the series changes or where these leap.

    A series is a folder and what stands before the number. Those that differ in one short number only and share none
    behind it count on together (`cam1_0817`, `cam2_0818`: the magnetic tiles are `exp1_num_2610`, `exp2_num_2627`, … of
    one tile): they are one series. Photos with a time are one series, whatever their folders: two cameras see one part.

    Args:
        names: relative, `/`-separated.
        times: name to seconds, of the photos whose time is known: `models.times.minutes_of`.
    """
    ordered = sorted(names, key=natural)
    timed = sorted((name for name in ordered if name in times), key=times.__getitem__)
    found = [
        run
        for members in _families([name for name in ordered if name not in times])
        for run in _cut_at_leaps(members, {})
    ]
    return [*found, *_cut_at_leaps(timed, times)]


def blocks(names: Iterable[str], size: int = BLOCK, times: Mapping[str, float] = NO_TIMES) -> list[list[str]]:
    """Runs cut into pieces of about `size`, as equal as they can be: near these places where the step is largest, and
    never within a minute of the clock."""
    found: list[list[str]] = []
    for run in runs(names, times):
        places = _places(run, times)
        edges = [0, *_edges(places, run[0] in times, max(1, round(len(run) / size)), size), len(run)]
        found += [run[start:end] for start, end in itertools.pairwise(edges)]
    return found


def same_minute(times: Mapping[str, float]) -> list[list[str]]:
    """Groups of two and more names whose times lie in one minute of the clock, in the order of time."""
    minutes: dict[int, list[str]] = {}
    for name in sorted(times, key=lambda name: (times[name], natural(name))):
        minutes.setdefault(int(times[name] // MINUTE), []).append(name)
    return [members for members in minutes.values() if len(members) > 1]


def _families(ordered: list[str]) -> list[list[str]]:
    """Series, those that count on together as one, each in the order of its numbers."""
    by_prefix: dict[str, list[str]] = {}
    for name in ordered:
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
        found += series
    return found


def _places(members: Sequence[str], times: Mapping[str, float]) -> list[float]:
    return [times[name] if name in times else numbered(name)[1] or 0 for name in members]


def _cut_at_leaps(members: list[str], times: Mapping[str, float]) -> list[list[str]]:
    if not members:
        return []
    places = _places(members, times)
    steps = [after - before for before, after in itertools.pairwise(places)]
    leap = GAP * statistics.median([step for step in steps if step > 0] or [1])
    if members[0] in times:
        leap = max(leap, MINUTE)
    found = [members[:1]]
    for name, step in zip(members[1:], steps, strict=True):
        if step > leap:
            found.append([])
        found[-1].append(name)
    return found


def _edges(places: Sequence[float], timed: bool, pieces: int, size: int) -> list[int]:
    """Where to cut a run: near where equal pieces would end, at the largest step there."""
    may_be = [
        index for index in range(1, len(places)) if not timed or places[index] // MINUTE != places[index - 1] // MINUTE
    ]
    found: set[int] = set()
    for piece in range(1, pieces):
        ideal = round(piece * len(places) / pieces)
        near = [index for index in may_be if abs(index - ideal) <= size // 4]
        if near:
            found.add(min(near, key=lambda index: (places[index - 1] - places[index], abs(index - ideal))))
        elif may_be:
            found.add(min(may_be, key=lambda index: abs(index - ideal)))
    return sorted(found)
