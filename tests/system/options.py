"""What options the commands have, by their spelling in the tables of the documents."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import click

from gan.cli import masks_command, report_command, status_command
from tests.conftest import COMMANDS

EVERYWHERE = {"--debug", "--help", "--version"}
"""Options that every command has; README.md names them once."""


def commands_of(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something by itself, with what a user types."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name, command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from commands_of(f"{name} {inner.name}", inner)


def every_command() -> dict[str, dict[str, click.Option]]:
    """Name → its options by their spelling in the tables, without those that every command has."""
    programs = {program: importlib.import_module(module).cli for program, module in COMMANDS.items()}
    for word, command in (("status", status_command), ("report", report_command), ("masks", masks_command)):
        programs[f"gan-train {word}"] = command  # bare words, no group's
    return {
        name: {
            ", ".join([*option.opts, *option.secondary_opts]): option
            for option in command.params
            if isinstance(option, click.Option) and not EVERYWHERE.intersection(option.opts)
        }
        for program, cli in programs.items()
        for name, command in commands_of(program, cli)
    }
