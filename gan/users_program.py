"""A function of the user's own, by `module:function`: it is anybody's program."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

from models.errors import CommandError, ExitCode, first_line, memory_error


def imported(name: str) -> Any:
    """What `module:function` names, found as Python finds modules, and in the current folder.

    What the module prints goes to stderr.

    Raises:
        CommandError: 66 no such module, or nothing of that name in it; 65 the module cannot be imported; 69 memory ran
            out.
    """
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # last, so that no file of the user's stands in the way of what we import
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's program raises
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise CommandError(
                ExitCode.NO_INPUT,
                f"`detector={name}`: there is no module {error.name} in Python's path or in {os.getcwd()}",
            ) from None
        raise memory_error(error) or CommandError(
            ExitCode.BAD_DATA, f"`detector={name}`: {module} cannot be imported: {what_it_did(error)}"
        ) from error
    if not hasattr(found, function):
        where = getattr(found, "__file__", None) or module
        raise CommandError(
            ExitCode.NO_INPUT,
            f"`detector={name}`: {module} has no function {function}: there is no {function} in {where}",
        )
    return getattr(found, function)


def what_it_did(error: BaseException) -> str:
    """An exception that a user's program raised, in words."""
    if isinstance(error, SystemExit):
        return f"ends the program (sys.exit {error.code})"
    return f"{type(error).__name__}: {first_line(error)}"
