"""One labelled and masked run, and photos of the same classes; tests must not change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.dataset.convert.made import write_real, write_run


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 images of two classes, with masks."""
    return write_run(tmp_path_factory.mktemp("labelled") / "run")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 images without labels and masks."""
    return write_run(tmp_path_factory.mktemp("plain") / "run", 30, labels=False, masks=False)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/` and `masks/`, 24 a class."""
    return write_real(tmp_path_factory.mktemp("workshop"))
