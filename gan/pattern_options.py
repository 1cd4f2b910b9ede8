"""Options that the commands share: which of a folder's photos are meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def pattern_options(function: F) -> F:
    """Add `--only` and `--not` to a click command, as its arguments `only` and `without`: tuples of patterns."""
    only = click.option(
        "--only", multiple=True, metavar="GLOB", help="Take only photos whose name, path or folder fits, such as 'bad'."
    )
    without = click.option(
        "--not", "without", multiple=True, metavar="GLOB", help="Leave photos out that fit, such as '*_mask.*'."
    )
    return only(without(function))
