"""Which file of the user's Python took for a module that we need: looked for after a failure only.

Nothing is imported here that a file of the user's could stand in for and that is not loaded before.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec

DEPENDENCIES = frozenset(
    (
        *("click", "numpy", "PIL", "onnx", "onnxruntime", "onnxscript", "prometheus_client", "scipy", "skimage"),
        *("torch", "torchvision", "zlib_ng"),
    )
)
_QUOTED = re.compile(r"(?:module|named|from) '(\w+)")
"""How an error names a module; that of another process comes as words alone."""


def in_the_way(error: BaseException) -> str | None:
    """The file or folder that has the name of a dependency, or of a module of Python's own, and was taken for it.

    Only modules that are loaded, or that `error` came from, are looked at: a file that nobody imported did no harm.

    Args:
        error: of an import, or anything that nobody expected.

    Returns:
        Its path; None where each module is the right one, and the error is another's fault.
    """
    names = DEPENDENCIES | sys.stdlib_module_names
    tried = {name for name in names if name in sys.modules} | (set(_named(error)) & names)
    return next(filter(None, map(_place, sorted(tried))), None)


def needed(place: str, program: str) -> str:
    """The words for that file."""
    return (
        f"{place} is in the way: it has the name of a module that {program} needs, and Python finds it first. Rename "
        "it, or take its folder out of PYTHONPATH"
    )


def _named(error: BaseException | None) -> Iterator[str]:
    """Modules that an error, and those that it came from, passed through or were about."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield from _QUOTED.findall(str(error))
        files = [error.filename] if isinstance(error, SyntaxError) else []
        frame = error.__traceback__
        while frame is not None:
            files.append(frame.tb_frame.f_code.co_filename)
            frame = frame.tb_next
        for file in filter(None, files):
            folder, name = os.path.split(file)
            yield os.path.basename(folder) if name == "__init__.py" else name.removesuffix(".py")
        error = error.__cause__ or error.__context__


def _place(name: str) -> str | None:
    """What `import name` takes, where that is the user's."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):  # a module that made itself, such as __main__
        return None
    if spec is None or spec.origin in ("built-in", "frozen"):
        return None
    place = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if place is None:
        return None
    where = os.path.dirname(os.path.dirname(place) if spec.origin and spec.submodule_search_locations else place)
    return None if _is_installed(where) else place


def _is_installed(folder: str) -> bool:
    """Whether a folder with modules is Python's own, or one that packages were installed in."""
    here = os.path.realpath(folder)
    if {"site-packages", "dist-packages", "lib-dynload"} & {*here.split(os.sep)}:
        return True
    own = os.path.realpath(os.path.dirname(os.__file__))  # os is loaded before any folder of the user's is looked into
    if here == own or here.startswith(own + os.sep) or here.endswith(".zip"):
        return True
    try:
        return any(name.endswith((".dist-info", ".egg-info")) for name in os.listdir(here))
    except OSError:
        return True
