"""What a call that makes or ends a run did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunResult:
    """What a call of `run_batch` or `finish` did.

    Attributes:
        out: the run's folder, or the URL of an object store.
        seed: of its latents.
        count: images in the folder, or in the part of it that was asked for.
        made: images that this call made; 0 where everything was there.
        seconds: that it took to make them.
        provider: the execution provider.
    """

    out: Path | str
    seed: int
    count: int
    made: int
    seconds: float
    provider: str
