"""A shard on its way: pieces of it come in any order."""

from __future__ import annotations

from jobs.dataset import manifest
from jobs.dataset.shard import Shard


class Begun:
    """A shard some of whose pieces are not done yet.

    Args:
        shard: which.
        rows: of the images that it has already.
        measures: their measures, as lines.
    """

    def __init__(self, shard: Shard, rows: list[manifest.Row], measures: bytes) -> None:
        self.shard = shard
        self._images = len(rows)
        self._pieces = {shard.start: (manifest.lines(rows), measures)} if rows else {}

    def add(self, piece: Shard, manifest_lines: bytes, measures: bytes) -> None:
        """Take a piece that is written."""
        self._pieces[piece.start] = (manifest_lines, measures)
        self._images += piece.images

    @property
    def is_whole(self) -> bool:
        """Whether all its pieces are done."""
        return self._images == self.shard.images

    def content(self) -> tuple[bytes, bytes]:
        """Lines of its manifest and of its measures, in order."""
        manifests, measures = zip(*(self._pieces[start] for start in sorted(self._pieces)), strict=True)
        return b"".join(manifests), b"".join(measures)
