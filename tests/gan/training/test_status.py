"""How far a training is, and its metrics file."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from gan.photos.read import ImageSet
from gan.training.folder import snapshot_path
from gan.training.run import train
from gan.training.state import read_state
from gan.training.status import status
from gan.training.validation import Measured
from models.errors import CommandError, ExitCode
from models.files import lock_folder
from tests.conftest import TINY, fails_in_one_line, write_photos
from tests.gan.conftest import tiny
from tests.gan.training.test_best import OFTEN, Scripted

Train = Callable[..., subprocess.CompletedProcess[str]]


def said(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What `gan-train status` printed."""
    assert result.returncode == 0, result.stderr
    return dict(line.split(": ", 1) for line in result.stdout.splitlines())


def test_a_finished_run_says_how_far_it_came(gan_train: Train, trained: Path) -> None:
    found = said(gan_train("status", trained))
    assert (found["state"], found["step"], found["total_steps"], found["kimg"]) == ("finished", "6", "6", "0.048")
    assert found["newest_snapshot"] == str(snapshot_path(trained, 6))
    assert float(found["steps_per_s"]) > 0
    assert not {"left", "error", "exit_code", "best_step"} & found.keys()


def test_a_run_that_was_killed_is_told_from_one_that_is_at_work(trained: Path, tmp_path: Path) -> None:
    state = {**read_state(trained), "state": "running", "step": 2, "total_steps": 12, "steps_per_s": 0.5}
    (tmp_path / "status.json").write_text(json.dumps(state))
    assert (status(tmp_path).state, status(tmp_path).seconds_left) == ("killed", None)
    fd = lock_folder(tmp_path, "gan-train")
    assert (status(tmp_path).state, status(tmp_path).seconds_left) == ("running", 20)
    os.close(fd)


def test_a_run_that_ended_with_an_error_says_which(plates: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        train(plates, tmp_path, tiny(lr=1e30))
    found = status(tmp_path)
    assert (found.state, found.exit_code) == ("ended", ExitCode.DIVERGED)
    assert found.error is not None
    assert "diverged" in found.error
    assert "ERROR ended with exit code 70: training diverged" in (tmp_path / "log.txt").read_text().splitlines()[-1]


class Fails(Scripted):
    """Measures once, then no more."""

    def measure(self, generator: torch.nn.Module, on_images: Callable[[int], None] = print) -> Measured:
        try:
            return super().measure(generator)
        except StopIteration:
            raise RuntimeError("a feature is not finite\nat layer 3") from None


def fails(*arguments: object) -> NoReturn:
    raise RuntimeError("a feature is not finite\nat layer 3")


@pytest.mark.parametrize(("at_the_end", "step"), [(False, 3), (True, 6)], ids=["at a sample grid", "at the end"])
def test_a_run_whose_measuring_fails_has_ended(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_the_end: bool, step: int
) -> None:
    if at_the_end:
        monkeypatch.setattr("gan.training.keeper.figures", fails)
    with pytest.raises(RuntimeError, match="not finite"):
        train(plates, tmp_path, tiny(), course=OFTEN, validation=Scripted(3, 4) if at_the_end else Fails(3))
    found = status(tmp_path)
    assert (found.state, found.exit_code, found.step) == ("ended", ExitCode.BUG, step)
    assert found.error == "bug: RuntimeError: a feature is not finite"
    assert "ERROR ended with exit code 1: bug: RuntimeError" in (tmp_path / "log.txt").read_text().splitlines()[-1]


def test_the_command_tells_an_error_in_its_options(gan_train: Train, trained: Path, tmp_path: Path) -> None:
    error = {"exit_code": 78, "message": "go on with `resume=True`"}
    (tmp_path / "status.json").write_text(json.dumps({**read_state(trained), "state": "ended", "error": error}))
    assert said(gan_train("status", tmp_path))["error"] == "go on with --resume"


def test_the_best_so_far_is_named(trained: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (trained / "stats.jsonl").read_text().splitlines()]
    lines = [json.dumps({**row, "KID x 1000": kid}) for row, kid in zip(rows, (5, 3, 4), strict=True)]
    (tmp_path / "stats.jsonl").write_text("\n".join(lines) + "\n")
    found = status(tmp_path)
    assert (found.state, found.step, found.best_kid_x1000, found.best_step) == ("unknown", 6, 3, 4)


def test_no_run_is_66(gan_train: Train, tmp_path: Path) -> None:
    fails_in_one_line(gan_train("status", tmp_path / "typo"), 66, str(tmp_path / "typo"))


def test_a_folder_of_photos_by_the_name_of_the_command_can_be_trained_on(gan_train: Train, tmp_path: Path) -> None:
    write_photos(tmp_path / "status", 10)
    small = ("--device", "cpu", "--image-size", "32", "--penalty-interval", "1", *TINY)
    result = gan_train("./status", "--out", "out", "--dry-run", *small, cwd=tmp_path)
    assert "10 photos" in result.stdout


# The metrics file


def figures(file: Path) -> dict[str, float]:
    """The numbers in a metrics file, by name."""
    lines = [line.rsplit(" ", 1) for line in file.read_text().splitlines() if not line.startswith("#")]
    return {name.partition("{")[0]: float(value) for name, value in lines}


def test_the_metrics_file_says_how_the_run_ended(plates: ImageSet, tmp_path: Path) -> None:
    file, out = tmp_path / "gan-train.prom", tmp_path / "out"
    train(plates, out, tiny(), metrics_file=file)
    done = figures(file)
    assert (done["gan_train_last_exit_code"], done["gan_train_steps_done"], done["gan_train_steps_wanted"]) == (0, 6, 6)
    with pytest.raises(CommandError):
        train(plates, tmp_path / "diverges", tiny(lr=1e30), metrics_file=file)
    failed = figures(file)
    assert failed["gan_train_last_exit_code"] == ExitCode.DIVERGED
    assert failed["gan_train_last_success_timestamp_seconds"] == done["gan_train_last_success_timestamp_seconds"]


def test_a_metrics_file_that_nobody_would_read_is_2(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--metrics-file", tmp_path / "figures.txt", *TINY)
    fails_in_one_line(result, 2, "--metrics-file", ".prom")
    assert not (tmp_path / "out").exists()
