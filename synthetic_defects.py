"""The front door of the four commands: it imports nothing of ours before it is known to be ours."""

from __future__ import annotations

import os
import sys

_USAGE, _UNAVAILABLE = 2, 69


def _stand_in(error: BaseException) -> str | None:
    """The user's file that stands in for a module of Python's own and was loaded, or broke when it was."""
    own = os.path.realpath(os.path.dirname(os.__file__))  # os is loaded before any folder of the user's is looked into
    files = [getattr(sys.modules.get(name), "__file__", None) for name in sorted(sys.stdlib_module_names)]
    files += [error.filename] if isinstance(error, SyntaxError) else []
    trace = error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    for file in filter(None, files):
        folder, name = os.path.split(file)
        if name == "__init__.py":
            folder, name = os.path.split(folder)
        folder = os.path.realpath(folder)
        within = f"{folder}{os.sep}".startswith(f"{own}{os.sep}") or os.path.basename(folder) == "lib-dynload"
        if name.removesuffix(".py") in sys.stdlib_module_names and not within and os.path.isfile(file):
            return str(file)
    return None


def _fail(program: str, code: int, message: str) -> NoReturn:
    line = f"{program}: error: {message}\n"
    try:  # noqa: SIM105  # contextlib may be what is in the way
        os.write(2, line.encode(errors="backslashreplace"))
    except OSError:
        pass  # nobody reads it
    sys.exit(code)


def _refuse_stand_in(program: str, error: BaseException) -> None:
    """End with 2 where a file of the user's is what was loaded for a module of Python's own."""
    if (place := _stand_in(error)) is not None:
        _fail(
            program,
            _USAGE,
            f"{place} is in the way: it has the name of a module of Python's own, and Python finds it first. Rename "
            "it, or take its folder out of PYTHONPATH",
        )


try:  # Python's own, which a file of the user's may stand in for: even these
    import importlib
    from functools import partial
    from importlib.util import find_spec
    from typing import NoReturn
except (Exception, SystemExit) as error:
    _refuse_stand_in(os.path.basename(sys.argv[0]), error)
    raise

_HERE = os.path.dirname(os.path.realpath(__file__))
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
        _refuse_stand_in(program, error)
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


gan_train = partial(_start, "gan-train", "gan.cli", ("models", "gan"), _FULL)
gan_eval = partial(_start, "gan-eval", "gan.eval_cli", ("models", "gan"), (*_FULL, "onnxruntime"))
gan_export = partial(_start, "gan-export", "export.cli", ("models", "gan", "export"), (*_FULL, "onnx", "onnxruntime"))
gan_batch = partial(_start, "gan-batch", "jobs.cli", ("models", "jobs"), _LEAN)
