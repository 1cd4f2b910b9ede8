"""How many candidates a run with a wish needs: told, or refused, before anything is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from jobs.workers.drawing import MOST_ATTEMPTS, candidates_of
from models.attributes import Attributes
from models.errors import CommandError, ExitCode
from models.latents import Candidates
from models.log import log
from models.mix import Mix
from models.progress import duration
from models.wish import Wish, is_far, nearest, shares

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

ENOUGH = 32
"""Matches to look for, of all classes together; the rate is then known to within a third, 19 times of 20."""
_LEAST_ENOUGH = 4
"""Of each class."""
_FIRST, _MOST = 256, 4096
"""Candidates of a class without a match after which it is refused: when the wish is far from all of them, and else."""
_SILENCE = 30.0
"""Seconds after which the search says how far it is: for a rare wish it takes minutes."""
_RULE_OF_THREE = 3.0
"""None of n tells that the rate is below 3 / n, 19 times of 20 (Hanley and Lippman-Hand, JAMA 1983)."""


def candidates_needed(
    session: GeneratorSession,
    seed: int,
    wish: Wish,
    mix: Mix | None,
    had: int,
    count: int,
    batch_size: int,
    check: Callable[[], None],
) -> float:
    """How many candidates an image takes, about; looked at are those that a run without a wish would take.

    Args:
        session: the generator.
        seed: of the latents.
        wish: of the run.
        mix: of a run with classes: each has a rate of its own.
        had: images that are there already.
        count: images that there shall be, more than `had`.
        batch_size: candidates a batch.
        check: called often; what it raises ends the work.

    Raises:
        CommandError: 65 where so many images would take more than `MOST_ATTEMPTS` candidates.
    """
    log.info("looking how many images are as wanted: %s", wish)
    groups = [(None, count - had)] if mix is None else _missing(mix, had, count)
    enough = max(_LEAST_ENOUGH, ENOUGH // len(groups))
    most = int(np.clip(_RULE_OF_THREE * MOST_ATTEMPTS / (count - had), _FIRST, _MOST))
    needed, met, looked_at = 0.0, 0, 0
    begun = told = time.monotonic()
    for label, number in groups:
        of_class = "" if mix is None or label is None else f" of class {mix.names[label]}"
        seen, matches = list[Attributes](), 0
        for batch in _batches(mix, label, most, batch_size):
            check()
            found = [one.measure() for one in candidates_of(session, seed, batch, batch_size, mix)]
            seen += found
            matches += sum(map(wish.accepts, found))
            if (now := time.monotonic()) - told >= _SILENCE:
                told = now
                log.info("%d%s are as wanted of %d looked at, %d at most", matches, of_class, len(seen), most)
            if matches >= enough or (not matches and len(seen) >= min(_FIRST, most) and is_far(wish, seen)):
                break
        if not matches:
            raise CommandError(
                ExitCode.BAD_DATA,
                f"`want`: none of {len(seen):,} images{of_class} is as wanted, {wish}: {nearest(wish, seen)}; ask for "
                "what the model makes",
            )
        rate = matches / len(seen)
        needed += number / rate
        met, looked_at = met + matches, looked_at + len(seen)
        if needed > MOST_ATTEMPTS:
            raise CommandError(
                ExitCode.BAD_DATA,
                f"`want`: {number:,} images{of_class} would take some {number / rate:,.0f} candidates, at most "
                f"{MOST_ATTEMPTS:,} are tried: {rate:.2g} of {len(seen):,} are as wanted, {wish}; "
                f"{shares(wish, seen)}; ask for fewer images or for what is more frequent",
            )
    log.info(
        "%.2g%% are as wanted (%d of %d looked at): %d images take some %d candidates, about %s for one worker",
        100 * (count - had) / needed, met, looked_at, count - had, round(needed, -2) or round(needed),
        duration(needed * (time.monotonic() - begun) / looked_at),
    )  # fmt: skip
    return needed / (count - had)


def _missing(mix: Mix, had: int, count: int) -> list[tuple[int | None, int]]:
    """Labels, and how many images of each come between two lengths of a run; none without any."""
    pairs = enumerate(zip(mix.counts(had), mix.counts(count), strict=True))
    return [(label, later - before) for label, (before, later) in pairs if later > before]


def _batches(mix: Mix | None, label: int | None, most: int, batch_size: int) -> Iterator[Candidates]:
    """The first attempts at the first images of a class, or of all, in batches."""
    for start in range(0, most, batch_size):
        numbers = range(start, min(start + batch_size, most))
        images = numbers if mix is None or label is None else [mix.image(label, number) for number in numbers]
        yield Candidates.first(np.array(images, np.int64))
