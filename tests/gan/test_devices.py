"""Where networks run."""

from __future__ import annotations

import pytest

from gan.devices import find_device
from models.errors import CommandError, ExitCode


@pytest.mark.parametrize(("there", "wanted", "found"), [
    (True, "auto", "cuda"), (False, "auto", "cpu"), (True, "cpu", "cpu"), (True, "cuda:1", "cuda:1"),
])  # fmt: skip
def test_the_gpu_is_taken_where_there_is_one_and_nothing_else_was_asked_for(
    there: bool, wanted: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert find_device(wanted) == found


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_69_and_says_what_else(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(CommandError, match=f"device={wanted}.*device=cpu") as error:
        find_device(wanted)
    assert error.value.exit_code is ExitCode.NO_DEVICE
