"""A folder with a generator to play with in a browser: it needs no network, no installation and no server."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.directions import FITTED, JUDGED, Direction, main_directions
from export.reading import PROGRAM, load_onnx
from export.sessions import open_session
from export.web_runtime import LOADER, SCRIPT, WASM, WebRuntime, find_runtime
from models.errors import CommandError, ExitCode, writing_error
from models.files import temporary_name
from models.info import PIXELS, GeneratorInfo
from models.latents import CONTENT, LABEL, LATENT, stream_of
from models.progress import Progress
from models.providers import CPU

INDEX, DATA, MODEL, RUNTIME = "index.html", "data.js", "model.js", "runtime.js"
"""The page, and what is made for this generator; all other files are as they lie in `export/browser`."""


def make_page(
    file: Path, out: Path, *, runtime: Path | None = None, overwrite: bool = False, keep: bool = False
) -> bool:
    """Write the page of an ONNX file of `gan-export`; its folder appears whole or not at all.

    Args:
        file: the generator.
        out: folder to write: a new or an empty one.
        runtime: the folder of npm's onnxruntime-web; by default that in node_modules of the current folder or above.
        overwrite: replace a page that is there.
        keep: leave a page of the same file as it is.

    Returns:
        Whether it was made now.

    Raises:
        CommandError: 65 `file` is not an ONNX file of gan-export; 66 no such file, or no onnxruntime-web; 73 `out`
            holds something, or cannot be written; 74 the disk is full; 76 ONNX Runtime cannot load `file`.
    """
    if not file.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {file.absolute()}")
    if file.suffix == PROGRAM:
        raise CommandError(ExitCode.BAD_DATA, f"{file}: no browser runs it: export the trained model to ONNX")
    info = load_onnx(file)[1]
    content = file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    there = _sha256_in(out)
    if keep and there == sha256:
        return False
    _refuse(out, there is not None, overwrite)
    found = find_runtime(runtime, Path.cwd())
    data = {**_facts(file, info, sha256), "runtime": found.version, "directions": _directions(file, info)}
    try:
        _write(out, data, content, found)
    except OSError as error:
        raise writing_error(error) from None
    return True


def content_of(info: GeneratorInfo) -> slice:
    """Where in `z` the content lies: all of it where the file does not say, as of older programs."""
    start = 0
    for name, length in info.parts.items():
        if name == CONTENT:
            return slice(start, start + length)
        start += length
    return slice(0, 0 if info.parts else info.z_dim)


def _directions(file: Path, info: GeneratorInfo) -> list[dict[str, Any]]:
    content = content_of(info)
    if content.start == content.stop:
        return []
    session = open_session(str(file), CPU, threads=0)

    def pixels(inputs: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
        made: NDArray[np.uint8] = session.run([PIXELS], inputs)[0]
        return made

    with Progress("looking for directions", FITTED + JUDGED, "images") as progress:
        found = main_directions(pixels, info.inputs, content, made=progress.update)
    return [_told(direction) for direction in found]


def _told(direction: Direction) -> dict[str, Any]:
    values = [round(float(value), 6) for value in direction.values]
    return {"name": direction.name, "fits": round(direction.fits, 2), "values": values}


def _facts(file: Path, info: GeneratorInfo, sha256: str) -> dict[str, Any]:
    """What the page must know of the generator. Streams are of 64 bits, too many for a number of JSON."""
    drawn = {
        name: {"length": int(np.prod(needed.shape)), "shape": list(needed.shape), "stream": str(stream_of(name))}
        for name, needed in info.inputs.items()
        if name != LABEL
    }
    return {
        "name": file.name,
        "sha256": sha256,
        "architecture": info.architecture,
        "width": info.width,
        "height": info.height,
        "channels": info.channels,
        "classes": list(info.classes),
        "masks": info.has_masks,
        "inputs": drawn,
        "parts": info.parts or {CONTENT: info.inputs[LATENT].shape[0]},
        "named": bool(info.parts),
    }


def _refuse(out: Path, is_page: bool, overwrite: bool) -> None:
    """Refuse a place that holds something else than a page that may be replaced.

    Raises:
        CommandError: 73.
    """
    try:
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise writing_error(error) from None
    if is_page and not overwrite:
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{out} holds a page: add `overwrite=True` to replace it, or take another `out`"
        )
    if taken and not is_page:
        raise CommandError(ExitCode.CANNOT_WRITE, f"{out} is there and no page of gan-export: take another `out`")


def _sha256_in(out: Path) -> str | None:
    """Of the generator whose page is there; None where there is no page."""
    try:
        said = (out / DATA).read_text(encoding="utf-8")
        found = json.loads(said.partition("=")[2].rstrip(";\n"))["sha256"]
        return str(found) if (out / INDEX).is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(out: Path, data: dict[str, Any], model: bytes, runtime: WebRuntime) -> None:
    """Write all files beside `out`, then give the folder its name."""
    out = Path(os.path.realpath(out))  # a link leads on, and `.` has a name
    new = temporary_name(out)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        for name, content in _files(data, model, runtime):
            (new / name).write_bytes(content)
        if out.exists():
            shutil.rmtree(out)
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _files(data: dict[str, Any], model: bytes, runtime: WebRuntime) -> Iterable[tuple[str, bytes]]:
    """Names and contents. A script is the one way in which a page of a folder may read a file beside it."""
    for file in resources.files("export").joinpath("browser").iterdir():
        yield file.name, file.read_bytes()
    yield SCRIPT, runtime.read(SCRIPT)
    yield DATA, _script("GENERATOR", json.dumps(data))
    yield MODEL, _script("MODEL", json.dumps(_packed([model])[0]))
    packed = dict(zip(("loader", "program"), _packed([runtime.read(LOADER), runtime.read(WASM)]), strict=True))
    yield RUNTIME, _script("RUNTIME", json.dumps(packed))


def _packed(contents: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(gzip.compress(content, 6, mtime=0)).decode() for content in contents]


def _script(name: str, value: str) -> bytes:
    return f"var {name} = {value};\n".encode()
