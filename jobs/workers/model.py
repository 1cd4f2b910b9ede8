"""Which model makes a run, where none is named or the one that comes with the package."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import models
from jobs.dataset.state import RunState
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode
from models.log import log

EXPORTED = Path("models/generator.onnx")
"""Where `gan-export onnx` leaves a model."""
BUNDLED = "bundled"


def model_to_use(model: Path | str | None) -> Path:
    """The file that `model` means: itself, for `bundled` the one that comes with the package, for None `EXPORTED`.

    Raises:
        CommandError: 66 where it is not there, or none is named and none was exported.
    """
    if model == BUNDLED:
        return models.path()
    if model is not None:
        if not os.path.exists(model):  # said here, since a session takes a second to say it
            raise CommandError(ExitCode.NO_INPUT, f"cannot read the model {Path(model).absolute()}: it is not there")
        return Path(model)
    if EXPORTED.exists():
        log.info("model: %s", EXPORTED)
        return EXPORTED
    raise CommandError(
        ExitCode.NO_INPUT,
        f"there is no model {EXPORTED.absolute()}: make one with gan-train and then gan-export onnx, or name one with "
        "`model`. `model=bundled` takes the steel scratches that come with this package",
    )


def model_of_run(store: Store, state: RunState, model: Path | str | None) -> Path:
    """The file that `model` means; for None the exported or the bundled one, if that is what made the run.

    Raises:
        CommandError: 78 where the run was made with another one.
    """
    if model is not None:
        return model_to_use(model)
    sha256 = state.fingerprint["model_sha256"]
    for path in (EXPORTED, models.path()):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise CommandError(ExitCode.OTHER_RUN, f"{store} was made with a model of sha256 {sha256}: name it with `model`")
