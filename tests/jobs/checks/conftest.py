"""What the tests of repair and of making images again share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.jobs.conftest import stamps
from tests.jobs.small_models import write_model


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that made none of the runs here."""
    return write_model(tmp_path_factory.mktemp("other") / "other.onnx")


def touched(before: dict[str, tuple[int, int]], out: Path) -> set[str]:
    """Files that are new, gone, or written since."""
    after = stamps(out)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
