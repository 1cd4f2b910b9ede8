"""What the commands of whole chains are given so that they take less time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from export.parity import one_thread
from tests.export.conftest import _quick_exports as _quick_exports
from tests.gan.conftest import _few_figures as _few_figures


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two of PyTorch, as it has them on two cores, take four times as long where another worker runs beside."""
    with one_thread():
        yield
