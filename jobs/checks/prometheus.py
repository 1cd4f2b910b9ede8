"""Figures of the last run of gan-batch for Prometheus."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.checks.status import status
from jobs.dataset.result import RunResult
from models import textfile
from models.errors import CommandError
from models.textfile import gauge, info

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


@contextlib.contextmanager
def recorded(path: Path | None, out: Path | str) -> Iterator[Callable[[RunResult], None]]:
    """Write a metrics file when the block ends; see `models.textfile.recorded`.

    Args:
        path: the file, whose name must end in `.prom`; None for no file.
        out: the run's folder.

    Returns:
        To be called with what the run did.
    """
    results: list[RunResult] = []

    def more(registry: CollectorRegistry) -> None:
        for result in results:
            gauge(registry, "gan_batch_images_made", "Images that it made.", result.made)
            gauge(registry, "gan_batch_seconds", "How long it took to make them.", result.seconds)
        with contextlib.suppress(CommandError):  # there is no run, or none that can be read
            found = status(out)
            gauge(registry, "gan_batch_images_wanted", "Images that the folder shall hold.", found.count)
            gauge(registry, "gan_batch_images_committed", "Images that are safely in it.", found.committed)
            info(
                registry, "gan_batch_info", "What ran.",
                out=str(out), state=found.state, provider=found.provider, model_sha256=found.model_sha256,
            )  # fmt: skip

    with textfile.recorded(path, "gan_batch", more):
        yield results.append
