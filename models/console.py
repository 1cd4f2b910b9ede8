"""What the four commands share: errors with exit codes, logging, progress, stopping on a signal."""

from __future__ import annotations

import enum
import errno
import itertools
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, NoReturn

import click

log = logging.getLogger("gan")


class ExitCode(enum.IntEnum):
    """The commands' exit codes; 65 to 78 carry the meanings of BSD's sysexits.h where it has one."""

    BUG = 1
    USAGE = 2
    STOPPED = 3
    BAD_DATA = 65
    NO_INPUT = 66
    NO_DEVICE = 69
    DIVERGED = 70
    CANNOT_WRITE = 73
    IO_ERROR = 74
    LOCKED = 75
    CHECK_FAILED = 76
    OTHER_RUN = 78
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """Something the user can act on: one line that names the file or option, and an exit code."""

    def __init__(self, exit_code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
_DENIED |= {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT}


def writing_error(error: OSError) -> CommandError:
    """The `CommandError` for an `OSError` met while writing: full or broken is 74, not allowed is 73."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return CommandError(
            ExitCode.IO_ERROR,
            f"{where}{error.strerror}; free some space and run the same command again to continue",
        )
    code = ExitCode.CANNOT_WRITE if error.errno in _DENIED else ExitCode.IO_ERROR
    return CommandError(code, f"cannot write {where}{error.strerror or error}")


def write_probe(folder: str | os.PathLike[str]) -> None:
    """Make `folder` and write to it, so that a place that cannot be written is known before the work.

    Raises:
        CommandError: 73 or 74, with the system's reason.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except OSError as error:
        raise writing_error(error) from None


class Stop:
    """Turns SIGINT and SIGTERM into a flag, so that work ends at a place from which it can go on.

    A second signal acts at once. Outside the main thread no handler can be set, and none is.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def __enter__(self) -> Stop:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        except ValueError:
            pass
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def error(self, what_next: str) -> CommandError:
        """The error to end with: 130 after Ctrl-C, 143 after SIGTERM."""
        code = ExitCode.TERMINATED if self.signal_number == signal.SIGTERM else ExitCode.INTERRUPTED
        return CommandError(code, f"stopped by {signal.Signals(self.signal_number).name}; {what_next}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)


class Progress:
    """A bar with rate and time left on a terminal; elsewhere a timestamped line now and then.

    Args:
        label: what is being done.
        total: units in the whole job.
        unit: their name, plural.
        done: units that an earlier run did; they do not count in the rate.
        seconds_between_lines: how often a line is written where there is no terminal.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0, seconds_between_lines: float = 30.0) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._first = done
        self._start = self._last_line = time.monotonic()
        self._seconds_between_lines = seconds_between_lines
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=total,
                label=label,
                file=sys.stderr,
                show_pos=True,
                show_eta=False,  # it would count what an earlier run did as done in no time
                item_show_func=lambda rate: rate,
            )
            self._bar.update(done)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, value, traceback)

    @property
    def rate(self) -> float:
        """Units a second since this object was made."""
        return (self.done - self._first) / max(time.monotonic() - self._start, 1e-9)

    @property
    def seconds_left(self) -> float:
        """At this rate; infinite before the first unit."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")

    def update(self, units: int) -> None:
        """Count `units` more as done."""
        self.done += units
        rate = f"{self.rate:.1f} {self.unit}/s, {duration(self.seconds_left)} left"
        if self._bar is not None:
            self._bar.update(units, rate)
        elif time.monotonic() - self._last_line >= self._seconds_between_lines:
            self._last_line = time.monotonic()
            log.info("%s: %d of %d, %s", self.label, self.done, self.total, rate)


def duration(seconds: float) -> str:
    """`seconds` for a person: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class _Handler(logging.StreamHandler[Any]):
    """Writes to today's stderr, and clears a progress bar's line first."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        super().emit(record)


def set_up_logging() -> None:
    """Send the log to stderr as timestamped lines; calling it again changes nothing."""
    if not any(isinstance(handler, _Handler) for handler in log.handlers):
        handler = _Handler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and what is in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if hasattr(record, "exit_code"):
            row["exit_code"] = record.exit_code
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row)


def log_format_option(function: Any) -> Any:
    """Add `--log-format` to a click command: `text`, or `json` for one object a line; `run` looks at it."""

    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        expose_value=False,
        help="Of the lines on stderr.",
    )(function)


def _log_as_json(options: dict[str, bool]) -> None:
    options["json"] = True
    for handler in log.handlers:
        handler.setFormatter(_JsonLines())


def debug_option(function: Any) -> Any:
    """Add `--debug` to a click command; `run` looks at it."""

    def remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            context.find_root().obj["debug"] = True

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )(function)


def run(command: click.Command, program: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command as a program: every error becomes one line on stderr and an exit code.

    Every option `--some-thing` of the program `gan-x` is also read from `GAN_X_SOME_THING`.
    """
    set_up_logging()
    given = sys.argv[1:] if arguments is None else list(arguments)
    prefix = program.upper().replace("-", "_")
    options = {"debug": False, "json": False}
    # Looked for before the options are parsed, so that a wrong one is told of in this format, too.
    log_format = os.environ.get(f"{prefix}_LOG_FORMAT")
    for option, value in itertools.pairwise(word for part in given for word in part.split("=", 1)):
        log_format = value if option == "--log-format" else log_format
    if log_format == "json":
        _log_as_json(options)
    code = 0
    try:
        with command.make_context(program, given, obj=options, auto_envvar_prefix=prefix) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _fail(program, ExitCode.INTERRUPTED, "stopped by SIGINT", options)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = ExitCode.USAGE
    except click.UsageError as error:
        code = _fail(program, ExitCode.USAGE, f"{error.format_message()} (see {program} --help)", options)
    except CommandError as error:
        code = _fail(program, error.exit_code, str(error), options)
    except OSError as error:
        failure = writing_error(error)
        code = _fail(program, failure.exit_code, str(failure), options)
    except Exception as error:  # the last net: what lands here is a bug, and one line says so
        message = f"bug: {type(error).__name__}: {error}; run again with --debug and report what it prints"
        code = _fail(program, ExitCode.BUG, message, options)
    sys.exit(code or 0)


def _fail(program: str, code: ExitCode, message: str, options: dict[str, bool]) -> int:
    if options["debug"]:
        log.exception("traceback")
    line = " ".join(message.split())
    if options["json"]:
        log.error("%s", line, extra={"exit_code": int(code)})
    else:
        click.echo(f"{program}: error: {line}", err=True)
    return int(code)
