"""What tests of checks share: a run to change, a model that made none of the runs, and runs that the gate judged."""

from __future__ import annotations

import functools
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import made_once, run_in_process
from tests.jobs.checks.misfits import GOOD, MISFITS, Judged, command
from tests.jobs.conftest import stamps
from tests.jobs.small_models import write_model


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that made none of the runs here."""
    return write_model(tmp_path_factory.mktemp("other") / "other.onnx")


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Judged]:
    """A function that gives the run of one of `MISFITS` by its name, or of `GOOD`; each is made once."""

    @functools.cache
    def run_of(name: str) -> Judged:
        options, kinds = MISFITS.get(name, ({}, []))

        def make(folder: Path) -> None:
            model = write_model(folder / "generator.onnx", faults=[], **options)
            result = run_in_process(*command(model, folder / "run"))
            (folder / "result").write_bytes(pickle.dumps(result))

        folder = made_once(tmp_path_factory, f"judged-{name}", make)
        result = pickle.loads((folder / "result").read_bytes())
        return Judged(folder / "generator.onnx", folder / "run", kinds, result)

    return run_of


@pytest.fixture(params=MISFITS)
def misfit(request: pytest.FixtureRequest, judged: Callable[[str], Judged]) -> Judged:
    """Each run that the gate rejected."""
    return judged(request.param)


@pytest.fixture
def blank(judged: Callable[[str], Judged]) -> Judged:
    """A run most of whose images are blank."""
    return judged("blank")


@pytest.fixture
def good(judged: Callable[[str], Judged]) -> Judged:
    """A run of a generator that does not misbehave."""
    return judged(GOOD)


@pytest.fixture(scope="session")
def gray_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of one gray."""
    return write_model(tmp_path_factory.mktemp("gray") / "gray.onnx", gain=0.0)


def touched(before: dict[str, tuple[int, int]], out: Path) -> set[str]:
    """Files that are new, gone, or written since."""
    after = stamps(out)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
