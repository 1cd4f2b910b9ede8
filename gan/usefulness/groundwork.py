"""The split, and the subsets that a generator may be trained on, written before anything is trained."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from gan.photos.find import photos_in
from gan.photos.labels import Classes, classes_in
from gan.photos.pairing import pair
from gan.photos.split_file import TRAIN, UNUSED, Split, check_split, read_split
from gan.photos.survey import survey
from gan.photos.traces import Traces
from gan.photos.which import Which
from gan.usefulness.design import ALL, subsets_of
from gan.usefulness.parting import parted, with_test
from models.log import log
from models.progress import Progress


def known_classes(real: Path, which: Which) -> Classes:
    """What the photos show; masks that lie among them are none.

    Raises:
        CommandError: as of `classes_in` and `pair`.
    """
    within = None if which.masks is None else pair([real], which.masks, which.only, which.without).within
    return classes_in(real, None, which.labels, which.only, which.without, within)


def split_of(
    real: Path,
    kept: Path,
    given: Path | None,
    class_of: Mapping[str, str],
    known: Traces | None,
    seed: int,
    which: Which,
) -> Split:
    """The three parts: those of a file that was given, those that were kept, or new ones.

    Raises:
        CommandError: 65 a split of other photos, or photos that cannot be parted; 66 nothing there.
    """
    source = given if given is not None else kept if kept.exists() else None
    if source is not None:
        found = read_split(source)
        check_split(found, real)
        if beside := len(class_of.keys() - found.places.keys()):
            log.warning("%d photos in %s are in no part of the split and are left out", beside, real)
        return with_test(found, class_of, seed)
    if known is None:
        with photos_in(real, which.only, which.without) as photos:
            sha256 = {photo.name: hashlib.sha256(photo.read()).hexdigest() for photo in photos if not photo.problem}
    else:
        sha256 = dict(zip(known.names, known.sha256, strict=True))
    with Progress("looking", len(class_of), "files") as progress:
        surveyed = survey(real, lambda: progress.update(1), only=which.only, without=which.without)
    return parted(surveyed, {name: each for name, each in class_of.items() if name in sha256}, sha256, seed)


def groundwork(
    real: Path,
    kept: Path,
    given: Path | None,
    which: Which,
    budgets: Sequence[int],
    subsets: int,
    seed: int,
) -> None:
    """Write the split, and beside it one for each subset, for `gan-train` to take.

    Raises:
        CommandError: as of `split_of`.
    """
    class_of = known_classes(real, which).class_of
    found = split_of(real, kept, given, class_of, None, seed, which)
    found.write(kept)
    train = [name for name in found.names(TRAIN) if name in class_of]
    group_of = {name: place.group for name, place in found.places.items()}
    for budget in budgets:
        for number, subset in enumerate(subsets_of(class_of, group_of, train, budget, subsets, seed), 1):
            inside = set(subset)
            places = {
                name: dataclasses.replace(place, part=UNUSED) if place.part == TRAIN and name not in inside else place
                for name, place in found.places.items()
            }
            path = kept.with_name(f"subset-{'all' if budget == ALL else budget}-{number}.json")
            Split(places).write(path)
            log.info("%s: %d photos to train on", path, len(inside))
    log.info("train one generator on each (gan-train takes `split`), then run this again with `synthetic`")
