"""Figures of a command's last run for Prometheus: a file for node-exporter's textfile collector."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CommandError, ExitCode, command_error
from models.log import log

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


@contextlib.contextmanager
def recorded(path: Path | None, program: str, more: Callable[[CollectorRegistry], None]) -> Iterator[None]:
    """Write a metrics file when the block ends, however it ends short of SIGKILL.

    The time of the last success is taken over from the file where this run is none. A run that finds its folder held
    by another (75) leaves the file to that one.

    Args:
        path: the file, whose name must end in `.prom`; None for no file.
        program: such as `gan_train`, with which every name begins.
        more: adds what is known of this program's work; called at the end.

    Raises:
        CommandError: 2 for another name, 73 where its folder is not there; both before the block.
    """
    if path is None:
        yield
        return
    if path.suffix != ".prom":
        raise CommandError(ExitCode.USAGE, f"`metrics_file` {path}: node-exporter reads only names that end in .prom")
    if not path.parent.is_dir():
        raise CommandError(ExitCode.CANNOT_WRITE, f"`metrics_file` {path}: its folder is not there")
    start, code = time.time(), 0
    try:
        yield
    except BaseException as error:
        code = int(command_error(error).exit_code)
        raise
    finally:
        if code != ExitCode.LOCKED:
            try:
                _write(path, program, start, code, more)
            except OSError as error:  # the run ends as it ends; an old time in the file tells
                log.warning("cannot write %s: %s", path, error.strerror)


def gauge(registry: CollectorRegistry, name: str, help_text: str, value: float) -> None:
    """Add one number."""
    from prometheus_client import Gauge

    Gauge(name, help_text, registry=registry).set(value)


def info(registry: CollectorRegistry, name: str, help_text: str, **labels: str) -> None:
    """Add words, as the labels of a number that is always 1."""
    from prometheus_client import Gauge

    # The file is UTF-8, a folder's name need not be.
    printable = {key: value.encode(errors="backslashreplace").decode() for key, value in labels.items()}
    Gauge(name, help_text, list(labels), registry=registry).labels(**printable).set(1)


def _write(path: Path, program: str, start: float, code: int, more: Callable[[CollectorRegistry], None]) -> None:
    from prometheus_client import CollectorRegistry, write_to_textfile

    registry, now, command = CollectorRegistry(), time.time(), program.replace("_", "-")
    success = f"{program}_last_success_timestamp_seconds"
    gauge(registry, f"{program}_last_start_timestamp_seconds", f"When the last run of {command} started.", start)
    gauge(registry, f"{program}_last_end_timestamp_seconds", "When it ended.", now)
    gauge(
        registry, success, "When a run last ended with exit code 0; 0 if none did.",
        now if code == 0 else _last_success(path, success),
    )  # fmt: skip
    gauge(registry, f"{program}_last_exit_code", "Its exit code.", code)
    more(registry)
    write_to_textfile(str(path), registry)


def _last_success(path: Path, name: str) -> float:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return 0.0
    return next((sample.value for family in families for sample in family.samples if sample.name == name), 0.0)
