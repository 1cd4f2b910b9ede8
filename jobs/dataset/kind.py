"""The kinds of files that a row tells of: images and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.dataset.formats import Format
from jobs.dataset.manifest import Row


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    Attributes:
        format: how they lie in a run.
        prefix: of the columns that are about them; without one, all that have no other kind's.
    """

    format: Format
    prefix: str = ""

    @property
    def is_mask(self) -> bool:
        """Whether they are masks."""
        return bool(self.prefix)

    def name(self, row: Row) -> str:
        """The file of a row."""
        return str(getattr(row, f"{self.prefix}file_name"))

    def sha256(self, row: Row) -> str | None:
        """What a row says of the content of its file."""
        found: str | None = getattr(row, f"{self.prefix}sha256")
        return found

    def has(self, file_name: str) -> bool:
        """Whether a file or folder of this name is of this kind."""
        root = self.format.root
        return root == "." or file_name.startswith(f"{root}/")

    def columns(self, row: Row) -> dict[str, Any]:
        """What a row says of its file, and for images also all that is not about files."""
        return {name: value for name, value in vars(row).items() if name.startswith("mask_") == self.is_mask}
