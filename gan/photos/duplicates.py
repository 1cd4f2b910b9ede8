"""Photos that show the same: near-duplicates by the correlation of their thumbnails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan.photos.read import ImageSet, printable

SIDE = 32
SAME_WHOLE = 0.95
"""Correlation of the thumbnails. Alone it takes different tiles under one lamp for the same: of the good magnetic
tiles (Huang et al., 2020) that it joins one pair in six is wrong."""
SAME_DETAIL = 0.7
"""Correlation of what is left without the lighting, asked for as well: then one pair in 25 is wrong, and few groups
grow into the next. Within a set flipped photos are not compared: at these thresholds 2,000 photos of three public sets
hold no such pair."""
_BLUR = 2.0
_ROWS = 512


def thumbnail(image: Image.Image) -> NDArray[np.float32]:
    """A photo as float32 `[32, 32]`, gray, 0 to 255, whatever its shape."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def near_duplicates(thumbnails: NDArray[np.float32]) -> list[list[int]]:
    """Groups of photos that are joined by pairs of which both correlations are high enough.

    A photo without any structure resembles none. Memory grows with N, not with its square.

    Args:
        thumbnails: float32 `[N, 32, 32]`.

    Returns:
        The groups of two and more, as ascending indices, in the order of their first.
    """
    looks = _looks(thumbnails)
    label = np.arange(len(thumbnails))
    for start in range(0, len(thumbnails), _ROWS):
        for row, others in enumerate(_alike(looks[:, start : start + _ROWS], looks[:, start:]), start):
            labels = np.unique(label[start:][others])
            if len(labels) > 1 or (len(labels) == 1 and labels[0] != label[row]):
                label[np.isin(label, np.append(labels, label[row]))] = min(labels[0], label[row])
    return groups_of(label)


def near_copies(held_out: ImageSet, trained: ImageSet) -> str:
    """How many held-out photos show what a training photo shows, as it is or mirrored, and one such pair; or nothing.

    Args:
        held_out: images of any size.
        trained: images of any size.
    """
    ours, theirs = (np.stack([_thumbnail_of(image) for image in photos.images]) for photos in (held_out, trained))
    looks = _looks(ours)
    found: dict[int, int] = {}
    for mirror in ((), (1,), (2,), (1, 2)):
        known = _looks(np.flip(theirs, mirror))
        for start in range(0, len(ours), _ROWS):
            for row, others in enumerate(_alike(looks[:, start : start + _ROWS], known), start):
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


def groups_of(label: NDArray[np.int64]) -> list[list[int]]:
    """Indices with the same label, groups of two and more, in the order of their first."""
    by_label: dict[int, list[int]] = {}
    for index, value in enumerate(label.tolist()):
        by_label.setdefault(value, []).append(index)
    return [group for group in by_label.values() if len(group) > 1]


def _thumbnail_of(image: Tensor) -> NDArray[np.float32]:
    """Of an image uint8 `[C, H, W]`, C 1 or 3."""
    return thumbnail(Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()))


def _looks(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[2, N, 1024]`: the thumbnails and what is left of them without the lighting, each as in `_unit`."""
    blur = _blur_matrix()
    return np.stack([_unit(thumbnails), _unit((thumbnails - blur @ thumbnails @ blur.T).astype(np.float32))])


def _alike(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """`[N, M]`: whether both correlations are high enough, of what `_looks` gives for N and for M photos."""
    whole, detail = ours @ theirs.transpose(0, 2, 1)
    alike: NDArray[np.bool_] = (whole >= SAME_WHOLE) & (detail >= SAME_DETAIL)
    return alike


def _unit(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[N, 1024]` of mean 0 and length 1, so that a product is a correlation; what has no structure stays 0."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-2)
    return unit


def _blur_matrix() -> NDArray[np.float32]:
    """`[32, 32]`: a Gaussian along one axis, its weights made to add up to 1 at the borders."""
    place = np.arange(SIDE)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * _BLUR**2))
    blur: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return blur
