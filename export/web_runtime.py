"""Where onnxruntime-web is on this machine, and what of it a page needs: nothing is downloaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.errors import CommandError, ExitCode

PACKAGE = "onnxruntime-web"
SCRIPT, LOADER, WASM = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
"""The library as a plain script, what it loads, and the WebAssembly that this loads."""


@dataclass(frozen=True)
class WebRuntime:
    """The files of onnxruntime-web that a page needs.

    Attributes:
        folder: where they lie.
        version: of the package; empty where only its files are there.
    """

    folder: Path
    version: str

    def read(self, name: str) -> bytes:
        """One of them."""
        return (self.folder / name).read_bytes()


def find_runtime(runtime: Path | None, start: Path) -> WebRuntime:
    """The package in `runtime`, else that of npm in `start` or a folder above it.

    Args:
        runtime: the package's folder, or its `dist`.
        start: where to look for `node_modules`.

    Raises:
        CommandError: 66 where there is none, or one without the files that a page needs.
    """
    places = [runtime] if runtime else [folder / "node_modules" / PACKAGE for folder in (start, *start.parents)]
    package = next((place for place in places if place.is_dir()), None)
    where = (
        f"where there is a network, `npm install {PACKAGE}` puts it into node_modules, and `npm pack {PACKAGE}` makes "
        "a .tgz to carry to another machine and unpack there"
    )
    if package is None:
        missing = f"no folder {runtime}" if runtime else f"no {PACKAGE} in node_modules here or above"
        raise CommandError(ExitCode.NO_INPUT, f"{missing}: name its folder by `runtime`; {where}")
    folder = package / "dist" if (package / "dist").is_dir() else package
    lacking = [name for name in (SCRIPT, LOADER, WASM) if not (folder / name).is_file()]
    if lacking:
        raise CommandError(ExitCode.NO_INPUT, f"{folder} lacks {', '.join(lacking)} of {PACKAGE}; {where}")
    return WebRuntime(folder, _version(folder))


def _version(folder: Path) -> str:
    try:
        said = json.loads((folder.parent / "package.json").read_text(encoding="utf-8"))
        return str(said["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
