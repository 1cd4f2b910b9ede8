"""The shard: the unit of commit and of distribution, made in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop - 1`: those of a shard, or a piece of them.

    Attributes:
        replaces: the version of the file, see `Store.version`, in whose place that of this shard comes.
    """

    number: int
    start: int
    stop: int
    replaces: Mapping[str, str] | None = None

    @property
    def images(self) -> int:
        """How many it has."""
        return self.stop - self.start
