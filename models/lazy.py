"""A package's public names, imported on first use, so that no `--help` waits for PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def lazy_names(modules: Mapping[str, str]) -> Callable[[str], object]:
    """A module-level `__getattr__` (PEP 562) for a package's `__init__`.

    Args:
        modules: public name to the module that defines it.
    """

    def __getattr__(name: str) -> object:
        if name not in modules:
            raise AttributeError(name)
        return getattr(importlib.import_module(modules[name]), name)

    return __getattr__
