"""A user's detector, read from a Python function or an ONNX file, and asked with care: it is anybody's program."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.users_program import imported, source_sha256, what_it_did
from models.errors import CommandError, ExitCode, first_line, memory_error

Asked = Callable[[NDArray[np.uint8]], Any]
"""Images uint8 `[N, H, W, C]` to the probability of a defect: float `[N]`, `[N, 1]`, or a column of `[N, K]`."""
ONNX = ".onnx"
_BATCH = 32
_HAND_IN = "it is handed images uint8 [N, H, W, C] and gives a float for each, 0 to 1"


@dataclass(frozen=True)
class UserDetector:
    """A detector that can be asked.

    Attributes:
        name: how it was named.
        ask: the function itself.
        class_names: what its columns are called, where it tells; see `column_of`.
        column: which of its columns is the defect's; None: it has one alone.
        batch: images that it is asked for at once.
        whole_batches: it takes neither more nor fewer.
        channels, width, height: of its images, where it takes no others.
        digest: of its file, sha256, or of its module's and those beside it; empty where no file tells all about it.
    """

    name: str
    ask: Asked
    class_names: tuple[str, ...] = ()
    column: int | None = None
    batch: int = _BATCH
    whole_batches: bool = False
    channels: int | None = None
    width: int | None = None
    height: int | None = None
    digest: str = ""

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The probability that there is a defect, float64 `[N]`, of images uint8 `[N, H, W, C]`, N up to `batch`.

        What it prints goes to stderr, and it may do to its images what it likes.

        Raises:
            CommandError: 65 it raises, ends the program, or gives what is no probability; 69 memory ran out.
        """
        count = len(images)
        fill = self.batch - count if self.whole_batches else 0
        handed = np.concatenate([images, images[-1:].repeat(fill, 0)]) if fill else images.copy()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                given = _as_array(self.ask(handed))
        except (Exception, SystemExit) as error:
            raise _theirs(self.name, error) from error
        return self._checked(given, len(handed))[:count]

    def _checked(self, given: NDArray[Any], count: int) -> NDArray[np.float64]:
        if given.ndim not in (1, 2) or given.shape[0] != count or given.dtype.kind not in "biuf":
            said = f"{list(given.shape)} of {given.dtype}"
            raise _bad(self.name, f"gives {said} for {count} images: {_HAND_IN}")
        columns = 1 if given.ndim == 1 else given.shape[1]
        if columns == 1:
            column = 0
        elif self.column is None:
            raise _bad(self.name, f"gives {columns} columns: `class_name` says which one is the defect's")
        else:
            column = self.column
        if not 0 <= column < columns:
            raise _bad(self.name, f"gives {columns} columns, counted from 0, and `class_name` asks for number {column}")
        scores = given.reshape(count, columns)[:, column].astype(np.float64)
        if not np.isfinite(scores).all():
            raise _bad(self.name, "gives NaN or infinity where a probability is meant")
        if scores.min() < 0 or scores.max() > 1:
            raise _bad(
                self.name,
                f"gives {scores.min():.3g} to {scores.max():.3g}, which are no probabilities: end it with a sigmoid or "
                "a softmax",
            )
        return scores


def open_detector(detector: str | Path | Asked, class_name: str | int | None = None) -> UserDetector:
    """A detector by its name, or a function of images uint8 `[N, H, W, C]`.

    Args:
        detector: `module:function`, found as Python finds modules, and in the current folder; the file of an ONNX model
            with one input, float32 `[N, C, H, W]`, 0 to 1, or uint8 `[N, H, W, C]`; or the function itself.
        class_name: which of several columns is the defect's: its number, counted from 0, or its name, where the
            function has an attribute `class_names`, or the ONNX file such metadata (JSON, or separated by commas).

    Raises:
        CommandError: 2 a name of neither kind, 65 a file or module that cannot be used, 66 it is not there.
    """
    if callable(detector):
        found = _function(getattr(detector, "__name__", type(detector).__name__), detector)
    elif str(detector).lower().endswith(ONNX):
        found = _onnx(Path(detector))
    elif str(detector).startswith(":"):
        raise CommandError(ExitCode.USAGE, f"`detector={detector}` names no module before the colon")
    elif ":" in str(detector):
        found = replace(_function(str(detector), imported(str(detector))), digest=source_sha256(str(detector)))
    else:
        raise CommandError(
            ExitCode.USAGE,
            f"`detector` {detector} is neither module:function nor the name of a file that ends in .onnx",
        )
    return found if class_name is None else replace(found, column=_column(found, str(class_name)))


def of_tensors(judge: Callable[[Tensor], Tensor]) -> Asked:
    """A detector of `gan.usefulness` as one of NumPy: images uint8 `[N, C, H, W]` to `[N, classes]`."""

    def ask(images: NDArray[np.uint8]) -> NDArray[Any]:
        return _as_array(judge(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()))

    return ask


def _column(detector: UserDetector, class_name: str) -> int:
    if class_name in detector.class_names:
        return detector.class_names.index(class_name)
    if class_name.isdecimal():
        return int(class_name)
    known = f"its classes are {', '.join(detector.class_names)}" if detector.class_names else "it names no classes"
    raise CommandError(
        ExitCode.USAGE, f"`class_name={class_name}`: {known}; or give the number of the column, counted from 0"
    )


def _as_array(given: Any) -> NDArray[Any]:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)


def _function(name: str, function: Any) -> UserDetector:
    if not callable(function):
        raise _bad(name, f"is no function but {type(function).__name__}: {_HAND_IN}")
    names = getattr(function, "class_names", ())
    told = tuple(map(str, names)) if isinstance(names, list | tuple) else ()
    return UserDetector(name, function, told)


def _onnx(path: Path) -> UserDetector:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what goes wrong is raised
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {path.absolute()}: {error.strerror}") from None
    try:
        # By its path, as the weights of a large model lie beside it.
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise _bad(str(path), f"is not an ONNX model: {first_line(error)}") from None
    inputs, output = session.get_inputs(), session.get_outputs()[0].name
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in ("tensor(float)", "tensor(uint8)"):
        said = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise _bad(str(path), f"takes {said}: one input is meant, float32 [N, C, H, W], 0 to 1, or uint8 [N, H, W, C]")
    floats = inputs[0].type == "tensor(float)"
    batch, *sides = (side if isinstance(side, int) else None for side in shape)
    channels, height, width = sides if floats else (sides[2], sides[0], sides[1])

    def ask(images: NDArray[np.uint8]) -> Any:
        handed = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255) if floats else images
        return session.run([output], {inputs[0].name: handed})[0]

    names = session.get_modelmeta().custom_metadata_map.get("class_names", "")
    return UserDetector(
        str(path), ask, _told(names), None, batch or _BATCH, batch is not None, channels, width, height,
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def _told(names: str) -> tuple[str, ...]:
    with contextlib.suppress(ValueError):
        found = json.loads(names)
        return tuple(map(str, found)) if isinstance(found, list) else ()
    return tuple(name.strip() for name in names.split(",")) if names else ()


def _theirs(name: str, error: BaseException) -> CommandError:
    """What a detector raised."""
    if isinstance(error, CommandError):
        return error
    said = what_it_did(error)
    return memory_error(error) or _bad(name, said if isinstance(error, SystemExit) else f"raises {said}")


def _bad(name: str, what: str) -> CommandError:
    return CommandError(ExitCode.BAD_DATA, f"`detector` {name} {what}")
