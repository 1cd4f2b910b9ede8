"""Train, validation and test, by groups and evenly over the classes, before anything is trained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gan.photos.find import printable
from gan.photos.split_file import TEST, TRAIN, UNUSED, VALIDATION, Place, Split
from gan.photos.survey import Survey
from models.errors import CommandError, ExitCode
from models.split import units_of

SHARES = {TRAIN: 0.5, VALIDATION: 0.2, TEST: 0.3}
"""Of the photos of each class, as far as groups allow."""
LEAST = {TRAIN: 3, VALIDATION: 1, TEST: 2}
"""Photos of each class in each part."""
_ENOUGH = 10
"""Photos of a class below which it is not parted."""
_LARGEST = 8
"""A unit of neighbours has at most this part of its class, an eighth, unless they are near-duplicates."""


def parted(found: Survey, class_of: Mapping[str, str], sha256: Mapping[str, str], seed: int) -> Split:
    """Three parts of the photos of a survey.

    Near-duplicates, photos of one minute and blocks of neighbours stay together, as `models.split.units_of` has it.

    Args:
        found: the photos.
        class_of: name to class; photos without one are left out.
        sha256: name to that of the file.
        seed: another one gives other parts.

    Raises:
        CommandError: 65 a class has too few photos, or too few groups of them.
    """
    names = [photo.name for photo in found.photos if photo.name in class_of]
    counts = Counter(class_of[name] for name in names)
    for name, count in sorted(counts.items()):
        if count < _ENOUGH:
            raise _bad(f"the class {printable(name)} has {count} photos, at least {_ENOUGH} are needed: add some, or "
                       "leave the class out with `without`")  # fmt: skip
    units: list[list[str]] = []
    for each in sorted(counts):
        own = {name for name in names if class_of[name] == each}
        groups = [kept for group in found.near_duplicates if (kept := [name for name in group if name in own])]
        units += units_of(own, groups, max(1, len(own) / _LARGEST), found.times)
    units = _joined(units, found.near_duplicates)
    part_of = _dealt(units, class_of, SHARES, seed)
    places = {
        name: Place(part_of[unit[0]], sha256[name], unit[0]) for unit in units for name in unit
    }  # fmt: skip
    return checked(Split(dict(sorted(places.items()))), class_of)


def with_test(given: Split, class_of: Mapping[str, str], seed: int) -> Split:
    """A split of two parts as one of three: what was kept back is for testing, and of the rest a part for tuning.

    Raises:
        CommandError: 65 as of `parted`.
    """
    if given.names(TEST):
        return checked(given, class_of)
    places = {name: dataclasses.replace(place, part=TEST) for name, place in given.places.items()}
    kept = [name for name in given.names(TRAIN) if name in class_of]
    units: dict[str, list[str]] = {}
    for name in kept:
        units.setdefault(given.places[name].group, []).append(name)
    total = SHARES[TRAIN] + SHARES[VALIDATION]
    shares = {part: SHARES[part] / total for part in (TRAIN, VALIDATION)}
    part_of = _dealt(list(units.values()), class_of, shares, seed)
    for unit in units.values():
        for name in unit:
            places[name] = dataclasses.replace(places[name], part=part_of[unit[0]])
    for name in given.names(UNUSED):
        places[name] = given.places[name]
    return checked(Split(places), class_of)


def checked(split: Split, class_of: Mapping[str, str]) -> Split:
    """The split, of which each part has photos of each class.

    Raises:
        CommandError: 65 one has too few.
    """
    for part, least in LEAST.items():
        counts = Counter(class_of[name] for name in split.names(part) if name in class_of)
        for name in sorted(set(class_of.values())):
            if counts[name] < least:
                raise _bad(
                    f"{counts[name]} photos of the class {printable(name)} are in the part {part}, at least {least} "
                    "are needed: its photos are too few, or near-duplicates in too few groups"
                )
    return split


def _dealt(
    units: Sequence[Sequence[str]], class_of: Mapping[str, str], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """The first name of each unit to its part: the largest units first, each where its classes lack most."""
    total = Counter(class_of[name] for unit in units for name in unit)
    have = {part: Counter[str]() for part in shares}
    order = np.random.default_rng(seed).permutation(len(units)).tolist()
    found: dict[str, str] = {}
    for place in sorted(order, key=lambda place: -len(units[place])):
        inside = Counter(class_of[name] for name in units[place])

        def lack(part: str, inside: Counter[str] = inside) -> float:
            return sum(
                count * (shares[part] - have[part][name] / total[name]) / shares[part] for name, count in inside.items()
            )

        best = max(shares, key=lack)
        have[best] += inside
        found[units[place][0]] = best
    return found


def _joined(units: list[list[str]], groups: Iterable[Sequence[str]]) -> list[list[str]]:
    """Units that share a group become one, of whatever classes."""
    unit_of = {name: number for number, unit in enumerate(units) for name in unit}
    members = {number: list(unit) for number, unit in enumerate(units)}
    for group in groups:
        first, *others = sorted({unit_of[name] for name in group if name in unit_of}) or [-1]
        for number in others:
            moved = members.pop(number)
            members[first] += moved
            unit_of.update(dict.fromkeys(moved, first))
    return list(members.values())


def _bad(message: str) -> CommandError:
    return CommandError(ExitCode.BAD_DATA, message)
