"""A detector of a millisecond, as a user would hand it in: the nearest class mean of small blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def blocks(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means of 8×8 blocks of images `[N, 32, 32, 1]`: `[N, 64]`."""
    small = images[..., 0].astype(float).reshape(len(images), 8, 4, 8, 4).mean(axis=(2, 4)).reshape(len(images), 64)
    return np.asarray(small - small.mean(axis=1, keepdims=True))


def nearest(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, seed: int, steps: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """Learns the mean of each class; a class without images has the mean of all."""
    seen = blocks(images)
    means = [
        seen[labels == label].mean(axis=0) if (labels == label).any() else seen.mean(axis=0) for label in range(classes)
    ]

    def judge(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        far = ((blocks(images)[:, None] - np.stack(means)) ** 2).sum(axis=2)
        return np.asarray(np.exp(-far / far.mean()))

    return judge
