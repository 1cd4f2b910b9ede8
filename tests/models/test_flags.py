"""A library's errors in the words of a command line."""

from __future__ import annotations

import click
import pytest

from models.errors import CommandError, ExitCode
from models.flags import errors_in_flags, in_flags


@click.command()
@click.argument("data")
@click.option("--out")
@click.option("--resume", is_flag=True)
@click.option("--keep-snapshots")
@click.option("--augment/--no-augment")
def command(**values: object) -> None:
    """A command."""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`keep_snapshots` is 0", "--keep-snapshots is 0"),
        ("add `resume=True`", "add --resume"),
        ("add `augment=False`", "add --no-augment"),
        ("take `out=models`", "take --out models"),
        ("`data` holds no photos", "DATA holds no photos"),
        ("`unknown=3` stays, out and resume, too", "`unknown=3` stays, out and resume, too"),
        ("run `gan-export onnx` then", "run `gan-export onnx` then"),
    ],
)
def test_arguments_become_flags_and_nothing_else_does(message: str, expected: str) -> None:
    assert in_flags(message, command) == expected


def test_a_wrong_argument_is_a_wrong_option_and_other_errors_keep_their_code() -> None:
    with pytest.raises(click.UsageError, match="--out is wrong"), errors_in_flags(command):
        raise CommandError(ExitCode.USAGE, "`out` is wrong")
    with pytest.raises(CommandError, match="--out is full") as error, errors_in_flags(command):
        raise CommandError(ExitCode.IO_ERROR, "`out` is full")
    assert error.value.exit_code is ExitCode.IO_ERROR
