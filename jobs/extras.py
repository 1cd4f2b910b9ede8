"""Packages that only some installations have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from models.errors import CommandError, ExitCode


@contextlib.contextmanager
def extra(name: str, package: str, what: str) -> Iterator[None]:
    """Around imports that need a package of an extra.

    Args:
        name: of the extra.
        package: that it brings; that another one is missing is a bug.
        what: of the user's needs it, to begin the error's line with.

    Raises:
        CommandError: 2 where the package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise CommandError(
            ExitCode.USAGE, f"{what} the extra `{name}`, which is not installed: pip install '.[{name}]'"
        ) from None
