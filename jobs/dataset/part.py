"""A part of a run: every so-many-th of its shards, which a process makes without knowing of the others."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass(frozen=True)
class Part:
    """Part `number`, from 1, of a run that is divided into `of`.

    Neighbouring shards are of different parts, so that a run which is extended or cut short is so in all parts alike.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """A part written as `3/16`.

        Raises:
            ValueError: it is not written so, or there is no such part.
        """
        match = _TEXT.fullmatch(text)
        if not match or int(match[1]) > int(match[2]):
            raise ValueError(f"{text!r} is no part such as 3/16, from 1/16 to 16/16")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def with_shard(cls, shard: int, of: int) -> Part:
        """The part of `of` that shard number `shard` belongs to."""
        return cls(shard % of + 1, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """`3-of-16`, for names of files."""
        return f"{self.number}-of-{self.of}"

    def has(self, shard: int) -> bool:
        """Whether shard number `shard` belongs to it."""
        return shard % self.of == self.number - 1

    def shards(self, total: int) -> int:
        """How many of so many shards are in it."""
        return max(0, -((self.number - 1 - total) // self.of))

    def images(self, count: int, shard_size: int) -> int:
        """At most how many of `count` images are in it."""
        return self.shards(-(-count // shard_size)) * shard_size

    def file_name(self, name: str) -> str:
        """What a file of the run is called that this part has for itself: `log-3-of-16.jsonl` for `log.jsonl`."""
        stem, dot, suffix = name.rpartition(".")
        return f"{stem}-{self.name}{dot}{suffix}"
