"""A function of the user's own, by `module:function`: it is anybody's program."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from gan.evaluation.runs import file_sha256
from models.errors import CommandError, ExitCode, first_line, memory_error

_INSTALLED = tuple(
    os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OURS = Path(__file__).resolve().parent.parent


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


def source_sha256(name: str) -> str:
    """Of a function that was `imported`: the sha256 of its module's file, and of the other modules that are loaded from
    the same folder or below, which are the user's as well. Weights in files are not among them.
    """
    file = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    if file is None:
        return ""
    folder = Path(file).resolve().parent
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())} - {None}
    beside = sorted(path for path in map(Path, map(str, loaded)) if path.suffix == ".py" and _is_theirs(path, folder))
    digest = hashlib.sha256(file_sha256(Path(file)).encode())
    for path in beside:
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()


def _is_theirs(path: Path, folder: Path) -> bool:
    """Whether a module lies in this folder or below, and is none of Python's, of an installed package, or of ours."""
    if str(path).startswith(_INSTALLED) or not path.resolve().is_relative_to(folder):  # thousands are installed
        return False
    return not any(path.resolve().is_relative_to(_OURS / package) for package in ("gan", "export", "jobs", "models"))


def what_it_did(error: BaseException) -> str:
    """An exception that a user's program raised, in words."""
    if isinstance(error, SystemExit):
        return f"ends the program (sys.exit {error.code})"
    return f"{type(error).__name__}: {first_line(error)}"
