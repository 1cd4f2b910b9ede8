"""Where a run in an object store may go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.jobs.object_server import ObjectServer


@pytest.fixture
def url(server: ObjectServer, tmp_path: Path) -> str:
    """Where nothing is yet."""
    from tests.jobs.object_server import BUCKET  # here, since it takes a second

    return f"s3://{BUCKET}/{tmp_path.name}"
