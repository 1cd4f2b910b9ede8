"""Which images a run has, where each lies, and what is known of its row before it is made.

All of it follows from the fingerprint and is reckoned when it is asked for: a run may name more shards than would fit
in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jobs.dataset import manifest, png
from jobs.dataset.formats import Format, format_of
from jobs.dataset.kind import Kind
from jobs.dataset.layout import manifest_name
from jobs.dataset.manifest import Row
from jobs.dataset.shard import Shard
from jobs.stores.store import Store
from models.mix import Mix
from models.wish import Wish


@dataclass(frozen=True)
class Plan:
    """Of a run.

    Attributes:
        seed: of the latents.
        width, height: of an image, in pixels.
        mode: `L` or `RGB`.
        shard_size: images a shard.
        format: how they lie there.
        mix: which class each image shows; None where there are no classes.
        has_masks: whether each image has a mask.
        wish: what its images were chosen by; None where they were not.
    """

    seed: int
    width: int
    height: int
    mode: str
    shard_size: int
    format: Format
    mix: Mix | None = None
    has_masks: bool = False
    wish: Wish | None = None

    @classmethod
    def of(cls, fingerprint: Mapping[str, Any]) -> Plan:
        """Of the run with this fingerprint."""
        return cls(
            seed=fingerprint["seed"],
            width=fingerprint["width"],
            height=fingerprint["height"],
            mode=png.MODES[fingerprint["channels"]],
            shard_size=fingerprint["shard_size"],
            format=format_of(fingerprint),
            mix=Mix.parse(fingerprint["mix"]) if "mix" in fingerprint else None,
            has_masks="masks" in fingerprint,
            wish=Wish.parse(fingerprint["want"]) if "want" in fingerprint else None,
        )

    @cached_property
    def masks(self) -> Format | None:
        """How the masks lie in the run; None where there are none."""
        return self.format.of_masks() if self.has_masks else None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The images, and the masks where there are any."""
        images = Kind(self.format)
        return (images,) if self.masks is None else (images, Kind(self.masks, "mask_"))

    @property
    def formats(self) -> tuple[Format, ...]:
        """How each of `kinds` lies in the run."""
        return tuple(kind.format for kind in self.kinds)

    @property
    def column_names(self) -> bytes:
        """Of its manifests."""
        return manifest.column_names(self.mix is not None, self.has_masks)

    def shards(self, count: int) -> int:
        """How many shards `count` images have."""
        return -(-count // self.shard_size)

    def shard(self, number: int, count: int) -> Shard:
        """A shard of a run of `count` images; the last one may be partial."""
        return Shard(number, number * self.shard_size, min((number + 1) * self.shard_size, count))

    def all(self, count: int) -> Iterator[Shard]:
        """All shards of a run of `count` images, in order."""
        return (self.shard(number, count) for number in range(self.shards(count)))

    def image(self, index: int) -> str:
        """The name of an image."""
        return self.format.image(index, index // self.shard_size)

    def mask(self, index: int) -> str | None:
        """The name of the mask of an image; None where there are no masks."""
        return None if self.masks is None else self.masks.image(index, index // self.shard_size)

    def row(self, index: int, sha256: str, size: int, mask_sha256: str | None = None) -> Row:
        """The row that an image must have, but for what only its files tell."""
        label = None if self.mix is None else self.mix.label(index)
        name = None if self.mix is None or label is None else self.mix.names[label]
        return Row(
            index, self.image(index), self.seed, sha256, self.width, self.height, self.mode, size, name, label,
            self.mask(index), mask_sha256,
        )  # fmt: skip

    def like(self, row: Row) -> Row:
        """What a row must be whose hashes and size are those of its files."""
        return self.row(row.index, row.sha256, row.bytes, row.mask_sha256)

    def is_right(self, rows: Sequence[Row]) -> bool:
        """Whether each row is what the hashes and the size of its files leave no choice to be."""
        return all(row == self.like(row) for row in rows) and self._have_hashes(rows)

    def _have_hashes(self, rows: Sequence[Row]) -> bool:
        hashes = [row.sha256 for row in rows]
        hashes += [row.mask_sha256 or "" for row in rows] if self.has_masks else []
        return all(map(manifest.SHA256.fullmatch, hashes))

    def read_rows(self, store: Store, number: int) -> list[Row]:
        """The rows of a whole shard, which are right.

        Raises:
            CommandError: 65 where its manifest is missing or damaged.
        """
        name = manifest_name(number)
        content = store.read(name) or b""
        values = [line.split(",") for line in content.decode(errors="replace").split("\n")[1:-1]]
        try:
            known = [(row[3], int(row[7]), row[-1] if self.has_masks else None) for row in values]
        except (IndexError, ValueError):
            raise manifest.damaged(store, name) from None
        rows = [self.row(index, *file) for index, file in enumerate(known, number * self.shard_size)]
        if manifest.to_csv(rows) != content or not self._have_hashes(rows):
            raise manifest.damaged(store, name)
        return rows
