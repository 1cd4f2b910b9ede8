"""What the commands of whole chains are given so that they take less time; and linters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.parity import one_thread
from tests.conftest import ROOT, SCRIPTS, made_once, run
from tests.export.conftest import _quick_exports as _quick_exports
from tests.gan.conftest import _few_figures as _few_figures


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two of PyTorch, as it has them on two cores, take four times as long where another worker runs beside."""
    with one_thread():
        yield


def lint(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a linter of the extra test, or of this machine; skip the test where there is none."""
    found = shutil.which(name, path=f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"there is no {name}")
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of this checkout, and the wheel that was built from that.

    From a copy, since building leaves files.
    """

    def make(folder: Path) -> None:
        hidden = shutil.ignore_patterns(".[!d]*", "__pycache__", "node_modules", "build", "*.egg-info", "synthetic")
        shutil.copytree(ROOT, folder / "checkout", ignore=hidden)
        result = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "checkout")
        assert result.returncode == 0, result.stderr
        shutil.rmtree(folder / "checkout")

    return made_once(tmp_path_factory, "distributions", make, copy=False) / "dist"


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path
