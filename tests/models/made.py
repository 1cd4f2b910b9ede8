"""What a generator would give, without one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def outputs(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What a generator of 32×32 colour images would give for 16 latents."""
    random = np.random.default_rng(seed)
    images = random.uniform(-1, 1, (16, 3, 32, 32)).astype(np.float32)
    return images, np.rint((images + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)


def floats(seed: int = 0) -> NDArray[np.float64]:
    """Masks of those images before they are told from 0 and 255."""
    return np.random.default_rng(seed).uniform(-1, 1, (16, 1, 32, 32))
