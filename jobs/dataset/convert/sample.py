"""One image on its way from a run, or from a folder of photos, into the data set of a trainer."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN, VAL, TEST = "train", "val", "test"
PARTS = (TRAIN, VAL, TEST)


@dataclass(frozen=True)
class Content:
    """A file's content.

    Attributes:
        read: gives it, checked against what is known of it.
        path: of a file that holds it as it is, so that a link to it will do; None where it must be written.
    """

    read: Callable[[], bytes]
    path: Path | None = None


@dataclass(frozen=True)
class Sample:
    """One image.

    Attributes:
        name: of its file in the data set, unique in all of it, and sorted as its stem is.
        label: index of its class.
        width, height: in pixels.
        gray: whether it has one channel, else three; transparency is not counted.
        image: its file.
        mask: its mask's PNG file, where nothing but 0 and 255 occurs; None where it has none.
        real: whether it is a photo.
    """

    name: str
    label: int
    width: int
    height: int
    gray: bool
    image: Content
    mask: Content | None
    real: bool

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return self.name.rpartition(".")[0]

    def pixels(self) -> NDArray[np.bool_]:
        """Its mask: bool `[height, width]`, all False where it has none."""
        if self.mask is None:
            return np.zeros((self.height, self.width), np.bool_)
        return decoded(self.mask.read()) > 0


def decoded(content: bytes) -> NDArray[np.uint8]:
    """The pixels of an image file: uint8 `[H, W]` or `[H, W, C]`."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels


def encoded(mask: NDArray[np.bool_]) -> bytes:
    """The PNG file of a mask bool `[H, W]`: gray, 0 and 255."""
    from jobs.dataset import png

    (content,) = png.encode((mask.astype(np.uint8) * 255)[None, :, :, None])
    return content
