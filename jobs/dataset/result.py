"""What a call that makes or ends a run did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.dataset.layout import MANIFEST


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
        manifest: of the whole run: its name in the folder.
        classes: how many of the images in the whole folder show each; empty where there are no classes.
    """

    out: Path | str
    seed: int
    count: int
    made: int
    seconds: float
    provider: str
    manifest: str = MANIFEST
    classes: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.made / self.seconds if self.seconds else 0.0
