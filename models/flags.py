"""A library's errors, which name its arguments, in the words of a command line."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import click

from models.errors import CommandError, ExitCode
from models.log import log

_NAMED = re.compile(r"`(\w+)(?:=([^`]+))?`")


def in_flags(message: str, command: click.Command) -> str:
    """`message` with the command's options in the place of the arguments that it names between backticks.

    `` `keep_snapshots` `` becomes `--keep-snapshots`, `` `resume=True` `` becomes `--resume`, `` `augment=False` ``
    `--no-augment`, `` `device=cpu` `` `--device cpu`, and an argument of the command its name, such as DATA. What the
    command does not have stays as it is.
    """
    parameters = {parameter.name: parameter for parameter in command.params}

    def flag(named: re.Match[str]) -> str:
        name, value = named.groups()
        parameter = parameters.get(name)
        if parameter is None:
            return named[0]
        if isinstance(parameter, click.Argument):
            return f"{parameter.make_metavar(click.Context(command)).strip('[]')}{f' {value}' if value else ''}"
        if value == "False" and parameter.secondary_opts:
            return parameter.secondary_opts[0]
        return parameter.opts[0] if value in (None, "True") else f"{parameter.opts[0]} {value}"

    return _NAMED.sub(flag, message)


@contextlib.contextmanager
def errors_in_flags(command: click.Command) -> Iterator[None]:
    """Raise a library's `CommandError` with the command's options in the place of arguments; a wrong one as usage.

    What is logged meanwhile says it in options, too.

    Raises:
        click.UsageError: where the library ends with 2.
        CommandError: all others.
    """

    def say_in_flags(record: logging.LogRecord) -> bool:
        record.msg, record.args = in_flags(record.getMessage(), command), ()
        return True

    log.addFilter(say_in_flags)
    try:
        yield
    except CommandError as error:
        message = in_flags(str(error), command)
        if error.exit_code == ExitCode.USAGE:
            raise click.UsageError(message) from error
        raise CommandError(error.exit_code, message) from error
    finally:
        log.removeFilter(say_in_flags)


class Command(click.Command):
    """A command whose library's errors are told in its own options."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with errors_in_flags(self):
            return super().invoke(ctx)


class Group(click.Group):
    """The same for a group and the commands in it."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, and the command in it that was asked for."""
        with errors_in_flags(self):
            return super().invoke(ctx)
