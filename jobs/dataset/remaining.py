"""What is left to make of a run: reckoned from one listing, whatever the number of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobs.dataset.part import Part
from jobs.dataset.plan import Plan
from jobs.dataset.shard import Shard


class Remaining:
    """What is left of a run, or of a part of it.

    Args:
        plan: of the run.
        done: its committed shards, or those of the part, each with the index after its last image.
        count: images that the folder shall hold; where more are there, they stay.
        part: which is then all that this object cares for.

    Attributes:
        count: images that the folder shall hold.
        share: of them, those of the part; without one, all.
        missing: of these, how many are to be made.
        shards: that these are in.
    """

    def __init__(self, plan: Plan, done: Mapping[int, int], count: int, part: Part | None = None) -> None:
        self.count = max([count, *done.values()])
        self._plan, self._all = plan, plan.shards(self.count)
        part = part or Part(1, 1)
        self._numbers = range(part.number - 1, self._all, part.of)
        shards = part.shards(self._all)  # the length of a range ends at 2⁶³
        if plan.format.is_whole:  # one that has to hold more is made anew
            done = {number: stop for number, stop in done.items() if stop == self._shard(number).stop}
        self._done = done
        self.share = shards * plan.shard_size
        if self._all - 1 in self._numbers:
            self.share -= self._all * plan.shard_size - self.count
        self.missing = self.share - sum(map(self.had, done))
        whole = sum(stop == self._shard(number).stop for number, stop in done.items())
        self.shards = shards - whole

    def had(self, number: int) -> int:
        """How many images of a shard are committed."""
        return max(0, self._done.get(number, 0) - number * self._plan.shard_size)

    def has(self, number: int) -> bool:
        """Whether something of a shard is to be made."""
        return number in self._numbers and self._done.get(number, 0) < self._shard(number).stop

    def pending(self) -> Iterator[Shard]:
        """The shards of which something is to be made, in order."""
        return (self._shard(number) for number in self._numbers if self.has(number))

    def parts(self, of: int) -> list[Part]:
        """Which parts have something to make, where the whole run is divided into so many."""
        whole = [0] * of
        for number in self._done:
            whole[number % of] += not self.has(number)
        parts = (Part(number + 1, of) for number in range(min(of, self._all)))
        return [part for part in parts if part.shards(self._all) > whole[part.number - 1]]

    def _shard(self, number: int) -> Shard:
        return self._plan.shard(number, self.count)
