"""The front door of the four commands: it imports nothing of ours before it is known to be ours."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from functools import partial
from importlib.util import find_spec
from typing import NoReturn

_HERE = os.path.dirname(os.path.realpath(__file__))
_USAGE, _UNAVAILABLE = 2, 69
_LEAN = ("click", "numpy", "PIL", "onnxruntime")
_FULL = ("click", "numpy", "PIL", "torch", "torchvision", "scipy", "skimage")


def _start(program: str, module: str, packages: tuple[str, ...], dependencies: tuple[str, ...]) -> None:
    """Run `module.main()`; exit code 2 where a file of the user's is in the way.

    That is one with the name of our `packages` or of the `dependencies`, which would be asked for what it has not. A
    folder with the name of a dependency may be that: it, and what stands in for Python's own, is looked for only once
    something fails.
    """
    for name in packages:
        if (place := _other_place(name)) is not None:
            _fail(
                program,
                _USAGE,
                f"{place} is in the way: it has the name of a package of {program}, and Python finds it first. Rename "
                "it, or take its folder out of PYTHONPATH",
            )
    for name in dependencies:
        if (place := _plain_file(name)) is not None:
            _refuse(program, place)
    try:
        command = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a file of the user's does when it is imported
        from models.in_the_way import in_the_way

        if (place := in_the_way(error)) is not None:
            _refuse(program, place)
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] in packages:
            raise
        _fail(program, _UNAVAILABLE, f"the Python package {error.name} is not installed: pip install {error.name}")
    command.main()


def _plain_file(name: str) -> str | None:
    """The file that `import name` would take, where it is no package, as all that we depend on are."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.submodule_search_locations is not None else spec.origin


def _refuse(program: str, place: str) -> NoReturn:
    from models.in_the_way import needed

    _fail(program, _USAGE, needed(place, program))


def _other_place(name: str) -> str | None:
    """The file or folder that `import name` would take, where it is not the package beside this file."""
    spec = find_spec(name)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if any(os.path.realpath(folder) == os.path.join(_HERE, name) for folder in folders):
        return None
    return spec.origin or next(iter(folders), name)


def _fail(program: str, code: int, message: str) -> NoReturn:
    line = f"{program}: error: {message}\n"
    with contextlib.suppress(OSError):  # nobody reads it
        os.write(2, line.encode(errors="backslashreplace"))
    sys.exit(code)


gan_train = partial(_start, "gan-train", "gan.cli", ("models", "gan"), _FULL)
gan_eval = partial(_start, "gan-eval", "gan.eval_cli", ("models", "gan"), (*_FULL, "onnxruntime"))
gan_export = partial(_start, "gan-export", "export.cli", ("models", "gan", "export"), (*_FULL, "onnx", "onnxruntime"))
gan_batch = partial(_start, "gan-batch", "jobs.cli", ("models", "jobs"), _LEAN)
