"""The latents: latent *i* is a function of (seed, i), on every machine and for good."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK_SIZE = 1024
SCHEME = "philox-randomstate-1024"
"""Names this way of drawing latents in a run's fingerprint."""


def latent_block(seed: int, block: int, z_dim: int) -> NDArray[np.float32]:
    """Block `block` of the latents of `seed`: float32 `[1024, z_dim]`, standard normal.

    Philox makes any block available without the ones before it (Salmon et al., SC 2011); `RandomState`
    is the generator whose stream NumPy has frozen (NEP 19).

    Raises:
        ValueError: a seed outside 0 ≤ seed < 2⁶⁴, a negative block, or no latent dimension.
    """
    if not 0 <= seed < 2**64 or block < 0 or z_dim < 1:
        raise ValueError(f"need 0 <= seed < 2**64, block >= 0, z_dim >= 1, got {seed}, {block}, {z_dim}")
    bits = np.random.Philox(key=np.array([seed, block], dtype=np.uint64))
    block_latents = np.random.RandomState(bits).standard_normal((BLOCK_SIZE, z_dim)).astype(np.float32)
    block_latents.flags.writeable = False
    return block_latents


_cached_block = lru_cache(maxsize=4)(latent_block)  # batches of one block follow each other


def latents(seed: int, start: int, stop: int, z_dim: int) -> NDArray[np.float32]:
    """Latents `start` to `stop - 1` of `seed`: float32 `[stop - start, z_dim]`."""
    if not 0 <= start < stop:
        raise ValueError(f"need 0 <= start < stop, got {start}, {stop}")
    first, last = start // BLOCK_SIZE, (stop - 1) // BLOCK_SIZE
    blocks = np.concatenate([_cached_block(seed, block, z_dim) for block in range(first, last + 1)])
    return blocks[start - first * BLOCK_SIZE : stop - first * BLOCK_SIZE]
