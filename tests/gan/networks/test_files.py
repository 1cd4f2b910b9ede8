"""Files of weights: read whole, refused where they are damaged, and never executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan.networks.dcgan import DCGAN
from gan.networks.files import load
from gan.training import snapshots
from models.errors import CommandError, ExitCode
from tests.gan.conftest import same


class Hostile:
    """Creates a file when it is unpickled by a reader that trusts it."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


def as_zip(path: Path, content: object) -> None:
    torch.save(content, path)


def as_old_format(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


FORMATS = [as_zip, as_old_format, as_pickle]


def refused(path: Path) -> CommandError:
    """The error that reading `path` ends with."""
    with pytest.raises(CommandError) as error:
        load(path)
    return error.value


@pytest.mark.parametrize("write", FORMATS)
def test_a_file_that_would_run_code_is_refused_with_65(tmp_path: Path, write: Callable[[Path, object], None]) -> None:
    write(tmp_path / "model.pth", {"main.0.weight": Hostile(tmp_path / "victim")})
    assert refused(tmp_path / "model.pth").exit_code is ExitCode.BAD_DATA


@pytest.mark.parametrize("write", FORMATS)
def test_a_file_that_would_run_code_runs_none(tmp_path: Path, write: Callable[[Path, object], None]) -> None:
    write(tmp_path / "model.pth", {"main.0.weight": Hostile(tmp_path / "victim")})
    refused(tmp_path / "model.pth")
    assert not (tmp_path / "victim").exists()
    torch.load(tmp_path / "model.pth", weights_only=False) if write is not as_pickle else pickle.loads(
        (tmp_path / "model.pth").read_bytes()
    )
    assert (tmp_path / "victim").exists(), "a trusting reader would have run it"


@pytest.mark.parametrize("write", [as_zip, as_old_format])
def test_a_whole_pickled_module_is_refused_with_what_to_give_instead(
    tmp_path: Path, write: Callable[[Path, object], None]
) -> None:
    write(tmp_path / "model.pth", DCGAN(8, 1, 2))
    error = refused(tmp_path / "model.pth")
    assert (error.exit_code, "state_dict()" in str(error)) == (ExitCode.BAD_DATA, True)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_65(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.pth"
    snapshots.save_weights(path, DCGAN(8, 1, 2))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refused(path).exit_code is ExitCode.BAD_DATA


def test_a_file_of_another_kind_is_65(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_text("<html>404</html>")
    assert refused(tmp_path / "model.pth").exit_code is ExitCode.BAD_DATA


def test_a_missing_file_is_66_and_named_with_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(Path("generator_model.pth"))
    assert error.exit_code is ExitCode.NO_INPUT
    assert str(tmp_path / "generator_model.pth") in str(error)


def test_an_object_is_named_in_the_error(tmp_path: Path) -> None:
    torch.save({"main.0.weight": Hostile(tmp_path / "victim")}, tmp_path / "model.pth")
    assert f"{os.mkdir.__module__}.mkdir" in str(refused(tmp_path / "model.pth"))


def test_plain_values_of_a_training_run_are_read(tmp_path: Path) -> None:
    content = {
        "epoch": 3,
        "losses": [(0.5, 1.5), (0.25, None)],
        "milestones": Counter([10, 20, 20]),
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "shape": torch.Size([2, 3]),
        "parameter": nn.Parameter(torch.ones(2)),
        "optimizer": torch.optim.Adam(DCGAN(8, 1, 1).parameters()).state_dict(),
    }
    for write in (as_zip, as_old_format):
        write(tmp_path / "run.pt", content)
        assert same(load(tmp_path / "run.pt"), content)


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "model.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "model.pth") as archive:
        assert archive.testzip() is not None
    assert same(load(tmp_path / "model.pth"), state)
