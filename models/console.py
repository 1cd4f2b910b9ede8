"""What the four commands share: options, and how every error becomes one line and an exit code."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

import models
from models.errors import CommandError, ExitCode, memory_error, writing_error
from models.log import log, log_as_json, set_up_logging
from models.stopping import heed_signals_as_first_process
from models.streams import lost_output, make_safe


class PathType(click.Path):
    """A path that is not empty: an unset variable of a script would else name the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Fail with a usage error where it is empty."""
        if value == "":
            self.fail("an empty name names nothing: write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


READ, WRITTEN = PathType(path_type=Path, readable=False), PathType(path_type=Path)
"""Types of what a command reads, whose own error tells of what cannot be read, and of what it writes: `Path`."""


def log_format_option(function: Any) -> Any:
    """Add `--log-format` to a click command: `text`, or `json` for one object a line; `run` looks at it."""

    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        expose_value=False,
        help="Write lines on stderr for people (text), or one JSON object a line (json).",
    )(function)


def debug_option(function: Any) -> Any:
    """Add `--debug` to a click command; `run` looks at it."""

    def remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            context.find_root().obj["debug"] = True

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )(function)


def version_option(function: Any) -> Any:
    """Add `--version` to a click command."""
    return click.version_option(
        models.__version__, message="%(prog)s %(version)s", help="Show the version.", allow_from_autoenv=False
    )(function)


def run(command: click.Command, program: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command as a program: every error becomes one line on stderr and an exit code.

    Every option `--some-thing` of the program `gan-x` is also read from `GAN_X_SOME_THING`.
    """
    make_safe()
    heed_signals_as_first_process()
    set_up_logging()
    given = sys.argv[1:] if arguments is None else list(arguments)
    prefix = program.upper().replace("-", "_")
    options = {"debug": False, "json": False}
    # Looked for before the options are parsed, so that a wrong one is told of in this format, too.
    log_format = os.environ.get(f"{prefix}_LOG_FORMAT")
    for option, value in itertools.pairwise(word for part in given for word in part.split("=", 1)):
        log_format = value if option == "--log-format" else log_format
    if log_format == "json":
        options["json"] = True
        log_as_json()
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
        found = _in_the_way(program, error) if error.exit_code == ExitCode.BUG else None
        code = _fail(program, *(found or (error.exit_code, str(error))), options)
    except OSError as error:
        failure = writing_error(error)
        code = _fail(program, failure.exit_code, str(failure), options)
    except ModuleNotFoundError as error:
        code = _fail(program, *(_in_the_way(program, error) or _missing(program, error)), options)
    except SystemExit as error:  # no command's own way to end, but that of a program that was imported
        if (found := _in_the_way(program, error)) is None:
            raise
        code = _fail(program, *found, options)
    except Exception as error:  # the last net: what lands here is a bug, and one line says so, or too little memory
        if out_of_memory := memory_error(error):
            sys.exit(_fail(program, out_of_memory.exit_code, str(out_of_memory), options))
        code = _fail(program, *(_in_the_way(program, error) or (ExitCode.BUG, _bug(error))), options)
    if reason := lost_output():
        log.warning("not all of the output was written: %s", reason)
    sys.exit(code or 0)


def _in_the_way(program: str, error: BaseException) -> tuple[ExitCode, str] | None:
    """What to say where Python took a file of the user's for a module that we need; None where it did not."""
    from models.in_the_way import in_the_way, needed  # here, since hardly any command ends so

    place = in_the_way(error)
    return None if place is None else (ExitCode.USAGE, needed(place, program))


def _missing(program: str, error: ModuleNotFoundError) -> tuple[ExitCode, str]:
    """What to say where a package cannot be imported; that it is one of ours is a bug."""
    name = (error.name or "").partition(".")[0]
    if name in ("", "models", "gan", "export", "jobs") or name in sys.stdlib_module_names:
        return ExitCode.BUG, _bug(error)
    return ExitCode.NO_DEVICE, (
        f"{program} needs the Python package {name}, which is not installed: `pip install .` in the folder of the "
        "sources installs all that it needs; requirements-batch.txt is for gan-batch alone"
    )


def _bug(error: Exception) -> str:
    return f"bug: {type(error).__name__}: {error}; run again with --debug and report what it prints"


def _fail(program: str, code: int, message: str, options: dict[str, bool]) -> int:
    if options["debug"]:
        log.exception("traceback")
    line = " ".join(message.split())
    if options["json"]:
        log.error("%s", line, extra={"exit_code": int(code)})
    else:
        click.echo(f"{program}: error: {line}", err=True)
    return int(code)
