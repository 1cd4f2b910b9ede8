"""Images as an array, for whoever looks at some and writes none to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.workers.model import model_to_use
from jobs.workers.session import GeneratorSession
from models.errors import CommandError, ExitCode

_BATCH = 32


def make_images(
    model: Path | str | None, count: int, *, seed: int = 0, start: int = 0, device: str = "auto"
) -> NDArray[np.uint8]:
    """Images `start` to `start + count - 1` of a seed, pixel by pixel those that `run_batch` writes without a mix.

    Nothing is written and nothing judged. The classes of a generator that has some take turns. Masks are in what
    `run_batch` writes.

    Args:
        model: an ONNX file of `gan-export`; `bundled` for the one that comes with the package; None for
            models/generator.onnx.
        count: how many, at least 1.
        seed: 0 to 2⁶⁴ - 1.
        start: the first, at least 0.
        device: `cuda`, `cpu`, or `auto`: CUDA where ONNX Runtime gets it.

    Returns:
        uint8 `[count, H, W, C]`, with C 1 for gray and 3 for colour, and one more with transparency.

    Raises:
        CommandError: 2 a `count`, `start` or `seed` that is none; 66 no such file, 65 not a generator, 69 no such
            device or too little memory, 76 the file does not give its golden images here.
    """
    if count < 1 or start < 0:
        raise CommandError(ExitCode.USAGE, f"`count` is at least 1 and `start` at least 0, not {count} and {start}")
    if not 0 <= seed < 2**64:
        raise CommandError(ExitCode.USAGE, f"`seed` is from 0 to 2**64 - 1, not {seed}")
    session = GeneratorSession(model_to_use(model), device)
    batch = min(count, _BATCH)
    made = [
        session.pixels(session.inputs(seed, first, min(first + batch, start + count)), batch)
        for first in range(start, start + count, batch)
    ]
    return np.concatenate(made)
