"""Options that the commands share: which of a folder's photos are meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gan.photos.which import Which

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


def which_in(options: dict[str, Any]) -> Which:
    """Those of a command's options that say which photos are meant, taken out of them."""
    names = [field.name for field in dataclasses.fields(Which) if field.name in options]
    return Which(**{name: options.pop(name) for name in names})
