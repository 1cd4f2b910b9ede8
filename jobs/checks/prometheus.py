"""Figures of the last run for Prometheus: a file for node-exporter's textfile collector."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.checks.status import status
from jobs.dataset.result import RunResult
from models.errors import CommandError, ExitCode
from models.log import log

_SUCCESS = "gan_batch_last_success_timestamp_seconds"


@contextlib.contextmanager
def recorded(path: Path | None, out: Path | str) -> Iterator[Callable[[RunResult], None]]:
    """Write a metrics file when the block ends, however it ends short of SIGKILL.

    The time of the last success is taken over from the file where this run is none. A run that finds its folder held
    by another (75) leaves the file to that one.

    Args:
        path: the file, whose name must end in `.prom`; None for no file.
        out: the run's folder.

    Returns:
        To be called with what the run did.

    Raises:
        CommandError: 2 for another name, 73 where its folder is not there; both before the block.
    """
    results: list[RunResult] = []
    if path is None:
        yield results.append
        return
    if path.suffix != ".prom":
        raise CommandError(ExitCode.USAGE, f"`metrics_file` {path}: node-exporter reads only names that end in .prom")
    if not path.parent.is_dir():
        raise CommandError(ExitCode.CANNOT_WRITE, f"`metrics_file` {path}: its folder is not there")
    start, code = time.time(), int(ExitCode.BUG)
    try:
        yield results.append
        code = 0
    except CommandError as error:
        code = error.exit_code
        raise
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        raise
    finally:
        if code != ExitCode.LOCKED:
            try:
                _write(path, out, start, code, results[0] if results else None)
            except OSError as error:  # the run ends as it ends; an old time in the file tells
                log.warning("cannot write %s: %s", path, error.strerror)


def _write(path: Path, out: Path | str, start: float, code: int, result: RunResult | None) -> None:
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()
    now = time.time()

    def gauge(name: str, help_text: str, value: float) -> None:
        Gauge(name, help_text, registry=registry).set(value)

    gauge("gan_batch_last_start_timestamp_seconds", "When the last run of gan-batch started.", start)
    gauge("gan_batch_last_end_timestamp_seconds", "When it ended.", now)
    gauge(_SUCCESS, "When a run last ended with exit code 0; 0 if none did.", now if code == 0 else _last_success(path))
    gauge("gan_batch_last_exit_code", "Its exit code.", code)
    if result:
        gauge("gan_batch_images_made", "Images that it made.", result.made)
        gauge("gan_batch_seconds", "How long it took to make them.", result.seconds)
    with contextlib.suppress(CommandError):  # there is no run, or none that can be read
        found = status(out)
        gauge("gan_batch_images_wanted", "Images that the folder shall hold.", found.count)
        gauge("gan_batch_images_committed", "Images that are safely in it.", found.committed)
        info = Gauge("gan_batch_info", "What ran.", ["out", "state", "provider", "model_sha256"], registry=registry)
        name = str(out).encode(errors="backslashreplace").decode()  # the file is UTF-8, a folder's name need not be
        info.labels(name, found.state, found.provider, found.model_sha256).set(1)
    write_to_textfile(str(path), registry)


def _last_success(path: Path) -> float:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return 0.0
    return next((sample.value for family in families for sample in family.samples if sample.name == _SUCCESS), 0.0)
