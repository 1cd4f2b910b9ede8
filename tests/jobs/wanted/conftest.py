"""What the tests of runs with a wish share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jobs import Gate, OnDisk, RunResult, Work, run_batch
from jobs.checks import acceptance
from jobs.workers.session import GeneratorSession
from models.errors import CommandError, ExitCode
from models.mix import Mix
from tests.jobs.conftest import SEED, rows_of
from tests.jobs.here import Here

WANT = "area<40 and x>16"
"""What a third of the candidates are."""
COUNT, SHARD, BATCH = 22, 10, 6
NAMES = ("scratch", "dent")
MIX = Mix.balanced(NAMES)


@pytest.fixture(scope="module", autouse=True)
def _workers_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "open", lambda work, order, most, check: Here(order))
        patch.setattr(acceptance, "ENOUGH", 4)  # the rate is told, and nothing depends on it
        patch.setattr(acceptance, "_LEAST_ENOUGH", 2)
        yield


def make(model: Path, out: Path, count: int | None = COUNT, **options: Any) -> RunResult:
    on_disk = options.pop("on_disk", OnDisk(SHARD))
    work = options.pop("work", Work("cpu", batch_size=BATCH))
    return run_batch(model, out, count, seed=SEED, on_disk=on_disk, work=work, gate=Gate("warn"), **options)


@pytest.fixture(scope="module")
def whole(masked_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `COUNT` images; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    make(masked_model, out, want=WANT)
    return out


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture
def session(masked_model: Path) -> GeneratorSession:
    return GeneratorSession(masked_model, "cpu")


def hashes(out: Path) -> list[tuple[str, str | None]]:
    return [(row.sha256, row.mask_sha256) for row in rows_of(out)]


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def refused(model: Path, out: Path, code: ExitCode, *words: str, **options: Any) -> None:
    with pytest.raises(CommandError) as error:
        make(model, out, **options)
    assert error.value.exit_code is code
    for word in words:
        assert word in str(error.value)
