"""What is kept of each photo to know it again, under another name, in another format, or as a near-duplicate."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan.photos.find import Photo
from gan.photos.fit import thumbnail
from models.groups import SIDE

Trace = tuple[str, str, str, NDArray[np.uint8]]
"""Name, sha256 of the file, sha256 of the gray pixels, thumbnail."""


@dataclass(frozen=True)
class Traces:
    """Of N photos, some 1.5 KB each.

    Attributes:
        names: relative, `/`-separated.
        sha256: of the files: the same file under any name.
        pixels: sha256 of size and decoded gray pixels, before any fit: the same photo in another format without loss.
        looks: uint8 `[N, 32, 32]`, gray thumbnails of the whole photos, for `models.groups.alike`.
    """

    names: tuple[str, ...]
    sha256: tuple[str, ...]
    pixels: tuple[str, ...]
    looks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: Sequence[int]) -> Traces:
        """Those at some places."""
        rows = list(places)
        names, sha256, pixels = (tuple(part[row] for row in rows) for part in (self.names, self.sha256, self.pixels))
        return Traces(names, sha256, pixels, self.looks[rows])

    def joined(self, other: Traces) -> Traces:
        """These and, behind them, those of the others whose file is not among these."""
        known = set(self.sha256)
        new = other.take([row for row, sha256 in enumerate(other.sha256) if sha256 not in known])
        return Traces(
            self.names + new.names, self.sha256 + new.sha256, self.pixels + new.pixels,
            np.concatenate([self.looks, new.looks]),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        parts = {name: list(getattr(self, name)) for name in ("names", "sha256", "pixels")}
        return {**parts, "looks": base64.b64encode(self.looks.tobytes()).decode()}

    @classmethod
    def from_dict(cls, said: Any) -> Traces | None:
        """The inverse of `to_dict`; None of anything else, as it comes from a file."""
        try:
            names, sha256, pixels = (tuple(map(str, said[name])) for name in ("names", "sha256", "pixels"))
            looks = np.frombuffer(base64.b64decode(said["looks"], validate=True), np.uint8)
            whole = len(names) == len(sha256) == len(pixels)
            return cls(names, sha256, pixels, looks.reshape(len(names), SIDE, SIDE)) if whole else None
        except (KeyError, TypeError, ValueError):
            return None


def trace_of(photo: Photo, image: Image.Image) -> Trace:
    """Of a photo and of what was decoded of it, in its own size, upright.

    Raises:
        ValueError, OSError: its file cannot be read.
    """
    return trace_of_image(photo.name, image, hashlib.sha256(photo.read()).hexdigest())


def trace_of_image(name: str, image: Image.Image, sha256: str = "") -> Trace:
    """Of an image that need not be a file."""
    gray = image.convert("L")
    pixels = hashlib.sha256(f"{gray.width}×{gray.height}".encode())
    pixels.update(gray.tobytes())
    return name, sha256, pixels.hexdigest(), thumbnail(gray).round().astype(np.uint8)


def traces(found: Iterable[Trace]) -> Traces:
    """Many in one."""
    rows = list(found)
    looks = np.stack([row[3] for row in rows]) if rows else np.zeros((0, SIDE, SIDE), np.uint8)
    return Traces(tuple(row[0] for row in rows), tuple(row[1] for row in rows), tuple(row[2] for row in rows), looks)
