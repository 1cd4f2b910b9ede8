"""What a generator is given: the inputs of image *i* are a function of (seed, mix, i), everywhere and for good."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_SIZE = 1024
SCHEME = "philox-randomstate-1024"
"""Names this way of drawing latents in a run's fingerprint."""
LATENT = "z"
"""The input that every generator has: the plain stream of its seed."""
LABEL = "label"
"""The input of a generator that has classes: which one an image shows."""
CONTENT, KIND, SHIFT, NOISE = "content", "kind", "shift", "noise"
"""Parts that `z` may be made of. An image follows its content steadily. Of the others the signs count, so that an image
jumps where one changes: of the kind, which chooses between things with nothing between them; of the shift, pairs, down
and right, of 16, 8, 4, 2 and 1 pixels; and of the noise, which chooses the grain."""


@dataclass(frozen=True)
class Input:
    """A named input of a generator.

    Attributes:
        dtype: `float32`, standard normal; or `int64`, a label.
        shape: of one image's, without the batch.
        high: labels are 0 to `high - 1`; 0 for what is no label.
    """

    dtype: str
    shape: tuple[int, ...]
    high: int = 0


def latent_block(seed: int, block: int, z_dim: int, stream: int = 0, attempt: int = 0) -> NDArray[np.float32]:
    """Block `block` of the latents of `seed`: float32 `[1024, z_dim]`, standard normal.

    Philox makes any block available without the ones before it (Salmon et al., SC 2011); `RandomState`
    is the generator whose stream NumPy has frozen (NEP 19).

    Args:
        seed, block, z_dim: which latents.
        stream: 0 is the plain one; the others share no number with it.
        attempt: of a run with a wish, whose images are looked for among such attempts; 0 is the plain one.

    Raises:
        ValueError: a seed outside 0 ≤ seed < 2⁶⁴, a negative block or attempt, or no latent dimension.
    """
    if not 0 <= seed < 2**64 or min(block, attempt) < 0 or z_dim < 1:
        raise ValueError(
            f"need 0 <= seed < 2**64, block >= 0, attempt >= 0, z_dim >= 1, got {seed}, {block}, {attempt}, {z_dim}"
        )
    bits = np.random.Philox(
        key=np.array([seed, block], dtype=np.uint64), counter=np.array([0, 0, stream, attempt], dtype=np.uint64)
    )
    block_latents = np.random.RandomState(bits).standard_normal((BLOCK_SIZE, z_dim)).astype(np.float32)
    block_latents.flags.writeable = False
    return block_latents


_cached_block = lru_cache(maxsize=4)(latent_block)  # batches of one block follow each other


def latents(seed: int, start: int, stop: int, z_dim: int, stream: int = 0) -> NDArray[np.float32]:
    """Latents `start` to `stop - 1` of `seed`: float32 `[stop - start, z_dim]`; see `latent_block`."""
    return _latents_of(seed, Candidates.plain(start, stop), z_dim, stream)


@dataclass(frozen=True)
class Candidates:
    """What may become an image: for each of N, which image, and which attempt at it. Attempt 0 is the image of a run
    without a wish.

    Attributes:
        images: int64 `[N]`, indices of a run's images.
        attempts: int64 `[N]`, from 0.
    """

    images: NDArray[np.int64]
    attempts: NDArray[np.int64]

    @classmethod
    def plain(cls, start: int, stop: int) -> Candidates:
        """The first attempt at each of images `start` to `stop - 1`.

        Raises:
            ValueError: there are none, or an index is negative.
        """
        if not 0 <= start < stop:
            raise ValueError(f"need 0 <= start < stop, got {start}, {stop}")
        return cls.first(np.arange(start, stop, dtype=np.int64))

    @classmethod
    def first(cls, images: NDArray[np.int64]) -> Candidates:
        """The first attempt at each of these images."""
        return cls(images, np.zeros_like(images))

    def __len__(self) -> int:
        return len(self.images)


def _latents_of(seed: int, candidates: Candidates, z_dim: int, stream: int) -> NDArray[np.float32]:
    """Latents of candidates: float32 `[N, z_dim]`. Image *i* has row *i* mod 1024 of each attempt of its block."""
    blocks, rows = np.divmod(candidates.images, BLOCK_SIZE)
    values = np.empty((len(candidates), z_dim), np.float32)
    for block, attempt in dict.fromkeys(zip(blocks.tolist(), candidates.attempts.tolist(), strict=True)):
        here = (blocks == block) & (candidates.attempts == attempt)
        values[here] = _cached_block(seed, block, z_dim, stream, attempt)[rows[here]]
    return values


def inputs(
    seed: int, start: int, stop: int, needed: Mapping[str, Input], labels: NDArray[np.int64] | None = None
) -> dict[str, NDArray[Any]]:
    """The inputs of images `start` to `stop - 1` of `seed`: by name, of their dtype, `[stop - start, *shape]`.

    `z` is the plain stream; every other input of float32 has a stream of its own that its name decides.

    Args:
        seed, start, stop: which images.
        needed: the generator's inputs.
        labels: int64 `[stop - start]`, for a generator with classes; where not given they take turns.
    """
    return inputs_of(seed, Candidates.plain(start, stop), needed, labels)


def inputs_of(
    seed: int, candidates: Candidates, needed: Mapping[str, Input], labels: NDArray[np.int64] | None = None
) -> dict[str, NDArray[Any]]:
    """The inputs of N candidates, as `inputs` has those of images: the attempts at an image share its label."""
    drawn: dict[str, NDArray[Any]] = {}
    for name, wanted in needed.items():
        if wanted.dtype == "int64":
            drawn[name] = candidates.images % wanted.high if labels is None else labels
            continue
        values = _latents_of(seed, candidates, math.prod(wanted.shape), stream_of(name))
        drawn[name] = values.reshape(len(candidates), *wanted.shape)
    return drawn


def stream_of(name: str) -> int:
    """The stream that an input of float32 is drawn from, 0 to 2⁶⁴ - 1; 0 is the plain one, of `z`."""
    return 0 if name == LATENT else int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
