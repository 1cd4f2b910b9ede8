"""Runs with masks, which the fixture `masked_runs` makes, one a format, and what their masks must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.formats import Folders, Format, Tars
from jobs.workers.session import GeneratorSession
from models.mix import Mix
from tests.jobs.conftest import SEED

COUNT, SHARD = 130, ("--shard-size", "50")
FORMATS: dict[str, Format] = {"png": Folders("masks"), "tar": Tars("masks")}


def expected_masks(model: Path) -> NDArray[np.uint8]:
    """What ONNX Runtime gives, by the inputs of the run: uint8 `[130, 32, 32]`."""
    session = GeneratorSession(model, "cpu")
    found = session.run(session.inputs(SEED, 0, COUNT, Mix.balanced(session.info.classes)), COUNT)[1]
    assert found is not None
    return found
