"""A detector asked about all images, as they are and changed in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gan.robustness.changes import CHANGES, Change
from gan.robustness.detectors import UserDetector
from models.progress import Progress
from models.stopping import Stop

Scores: TypeAlias = "dict[str, NDArray[np.float64]]"
"""The probability of a defect in each image, float64 `[N]`, by column: `PLAIN`, or as `column_of` names them."""
PLAIN = "score"


def column_of(change: Change, strength: float) -> str:
    """What the scores of changed images are called in the table."""
    return f"{change.name} {strength:g}"


def columns(changes: bool) -> Iterator[tuple[str, Change | None, float]]:
    """What is asked: the name of the column, the change and its strength; first the images as they are."""
    yield PLAIN, None, 0.0
    if changes:
        for change in CHANGES:
            for strength in change.strengths:
                yield column_of(change, strength), change, strength


def score(
    detector: UserDetector,
    images: NDArray[np.uint8],
    changes: bool,
    known: Mapping[str, NDArray[np.float64]],
    save: Callable[[Scores], None],
) -> Scores:
    """Ask.

    Args:
        detector: asked about images as they are in any case.
        images: uint8 `[N, H, W, C]`.
        changes: ask about changed images, too.
        known: scores of an earlier run, which are taken over where the detector says of images as they are, and under
            the first change, what it said then, to the last bit: one of yes and no says the same soon.
        save: called with the scores so far, whole columns, before a signal ends the work.

    Raises:
        CommandError: 65 the detector fails; 128 + N a signal ended the work.
    """
    asked = list(columns(changes))
    found: Scores = {}
    with Stop() as stop, Progress("asking the detector", len(asked) * len(images), "images") as progress:
        for name, change, strength in asked:
            progress.say(name)
            if name in found:
                progress.update(len(images))
                continue
            column = np.empty(len(images))
            for start in range(0, len(images), detector.batch):
                if stop:
                    save(found)
                    raise stop.error("what was scored is kept: run the same command again to go on")
                rows = range(start, min(start + detector.batch, len(images)))
                some = images[rows.start : rows.stop]
                column[rows.start : rows.stop] = detector.scores(change(some, strength, rows) if change else some)
                progress.update(len(rows))
            found[name] = column
            if len(found) == 2 and all(np.array_equal(found[of], known.get(of, np.empty(0))) for of in found):
                found.update(known)
        if stop:
            save(found)
            raise stop.error("what was scored is kept: run the same command again to go on")
    return {name: found[name] for name, _, _ in asked}
