"""The shard: the unit of commit and of distribution, made in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Versions = Mapping[str, Mapping[str, str] | None]
"""What tells the content of files from any other, by their names; see `Store.version`."""


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop - 1`: those of a shard, or a piece of them.

    Attributes:
        replaces: the versions of the files in whose places those of this shard come.
        candidates: that an image takes, as far as that is known; more than 1 where there is a wish.
    """

    number: int
    start: int
    stop: int
    replaces: Versions = field(default_factory=dict)
    candidates: float = 1.0

    @property
    def images(self) -> int:
        """How many it has."""
        return self.stop - self.start
