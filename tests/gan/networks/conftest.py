"""What the tests of networks share: the state dict of a generator, and a file of weights that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gan.networks.reader import load_generator
from models.errors import CommandError, ExitCode
from tests.gan.networks.made import State, settled


@pytest.fixture(scope="session")
def state() -> State:
    """Of a generator; tests must not change it."""
    return dict(settled().state_dict())


def refusal(path: Path, key: str = "", code: ExitCode = ExitCode.BAD_DATA, **unseen: Any) -> str:
    """What `load_generator` says of a file when it refuses it."""
    with pytest.raises(CommandError) as error:
        load_generator(path, key, **unseen)
    assert error.value.exit_code is code
    return str(error.value)
