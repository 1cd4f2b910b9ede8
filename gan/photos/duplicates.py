"""Photos that are there twice: as they are, or in a look that `models.groups` takes for the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gan.photos.find import printable
from gan.photos.fit import thumbnail
from gan.photos.read import ImageSet, to_picture
from models.groups import alike, looks, turn

_ROWS = 512


def near_copies(held_out: ImageSet, trained: ImageSet) -> str:
    """How many held-out photos show what a training photo shows, as it is or mirrored, and one such pair; or nothing.

    Shifted copies are not looked for: `models.groups.overlapping` does, at a cost that a split may have, and not every
    training.

    Args:
        held_out: images of any size.
        trained: images of any size.
    """
    ours, theirs = (np.stack([_thumbnail_of(image) for image in photos.images]) for photos in (held_out, trained))
    seen = looks(ours)
    found: dict[int, int] = {}
    for turns, mirrored in ((0, False), (0, True), (2, True), (2, False)):
        known = looks(turn(theirs, turns, mirrored))
        for start in range(0, len(ours), _ROWS):
            for row, others in enumerate(alike(seen[:, start : start + _ROWS], known), start):
                if others.any():
                    found.setdefault(row, int(others.argmax()))
    if not found:
        return ""
    row = min(found)
    pair = f"{printable(held_out.names[row])} and {printable(trained.names[found[row]])}"
    return f"{len(found)} of {len(ours)} held-out photos look like ones trained on, such as {pair}"


def same_pixels(images: ImageSet, known: ImageSet) -> list[bool]:
    """Of each image whether the very same pixels are among the known ones; both of one shape."""
    there = {image.numpy().tobytes() for image in known.images}
    return [image.numpy().tobytes() in there for image in images.images]


def _thumbnail_of(image: Tensor) -> NDArray[np.float32]:
    """Of an image uint8 `[C, H, W]`, C 1 or 3."""
    return thumbnail(to_picture(image))
