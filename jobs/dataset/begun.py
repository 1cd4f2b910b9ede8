"""A shard on its way: slices of it come in any order."""

from __future__ import annotations

from jobs.dataset import manifest
from jobs.dataset.shard import Shard
from jobs.workers.crew import Done


class Begun:
    """A shard some of whose slices are not done yet.

    Args:
        shard: which.
        rows: of the images that it has already.
        measures: their measures, as lines.
    """

    def __init__(self, shard: Shard, rows: list[manifest.Row], measures: bytes) -> None:
        self.shard = shard
        self._images = len(rows)
        self._parts = {shard.start: (manifest.lines(rows), measures)} if rows else {}

    def add(self, done: Done) -> None:
        """Take a slice that is done."""
        self._parts[done.part.start] = (done.manifest, done.measures)
        self._images += done.part.stop - done.part.start

    @property
    def is_whole(self) -> bool:
        """Whether all its slices are done."""
        return self._images == self.shard.stop - self.shard.start

    def content(self) -> tuple[bytes, bytes]:
        """Lines of its manifest and of its measures, in order."""
        manifests, measures = zip(*(self._parts[start] for start in sorted(self._parts)), strict=True)
        return b"".join(manifests), b"".join(measures)
