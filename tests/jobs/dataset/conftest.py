"""A small run: made at once, and made in parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.dataset import layout, manifest
from jobs.stores.local_store import LocalStore
from models.errors import CommandError
from tests.conftest import made_once, run_in_process
from tests.jobs.conftest import batch, succeeds
from tests.jobs.small_models import write_model

COUNT, SHARD, OF = 95, 10, 3
"""Ten shards, of which the last one is half full; the first part has four, the others three."""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="session")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run made at once; tests must not change it."""

    def make(folder: Path) -> None:
        succeeds(run_in_process(*batch(small, folder / "run", COUNT, "--shard-size", str(SHARD))))

    return made_once(tmp_path_factory, "at-once", make) / "run"


@pytest.fixture(scope="session")
def parted(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All parts of it, not finished; tests must not change it."""

    def make(folder: Path) -> None:
        for number in range(1, OF + 1):
            succeeds(run_in_process(*part(small, folder / "run", number)))

    return made_once(tmp_path_factory, "parted", make) / "run"


@pytest.fixture
def copied(parted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(parted, tmp_path / "run")


def part(model: Path, out: Path, number: int, *options: str) -> list[str]:
    return batch(model, out, COUNT, "--shard-size", str(SHARD), "--part", f"{number}/{OF}", *options)


def shards_of(out: Path) -> set[int]:
    return set(manifest.committed(LocalStore(out), SHARD))


def state(out: Path) -> str:
    return str(json.loads((out / "run.json").read_text())["state"])


def of_parts(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if layout.PART_FILE.fullmatch(path.name))


def refused(call: Callable[[], object]) -> CommandError:
    with pytest.raises(CommandError) as error:
        call()
    return error.value
