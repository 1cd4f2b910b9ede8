"""What the tests of workers share: a session that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.workers.session import GeneratorSession
from models.errors import CommandError, ExitCode


def refused(path: Path, code: ExitCode, device: str = "cpu") -> str:
    """Assert that `path` gives no session but `code`; returns the message."""
    with pytest.raises(CommandError) as error:
        GeneratorSession(path, device)
    assert error.value.exit_code == code, error.value
    return str(error.value)
