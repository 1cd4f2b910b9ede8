"""A training that is stopped by a signal or killed: a real process, and the run that goes on from it."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from gan.config import Course, TrainConfig
from gan.networks import reader
from gan.photos.read import load_images
from gan.training import snapshots
from gan.training.run import train
from gan.training.stats import read_stats
from tests.conftest import TINY, fails_in_one_line, run_in_process
from tests.gan.conftest import same, started, tiny
from tests.gan.training.made import weights

pytestmark = pytest.mark.usefixtures("nothing_drawn")

LONG = (
    *("--recipe", "dcgan", "--epochs", "20", "--stats-every", "1", "--sample-epochs", "20", "--device", "cpu", *TINY),
    *("--image-size", "32"),
)
"""60 steps."""


@pytest.fixture(scope="module")
def uninterrupted(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "models"
    result = run_in_process("gan-train", photos, "--out", out, *LONG)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((signal.SIGINT, 130), id="SIGINT", marks=pytest.mark.long),
        pytest.param((signal.SIGTERM, 143), id="SIGTERM"),
    ],
)
def stopped(
    request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, subprocess.CompletedProcess[str]]:
    """A run that got a signal in the midst of it: its folder, the exit code that is due, and how it ended."""
    number, code = request.param
    out = tmp_path_factory.mktemp("stopped") / "models"
    command = [str(photos), "--out", str(out), *LONG]
    with started("step 5,", *command) as (process, _):
        process.send_signal(number)
        rest, errors = process.communicate(timeout=120)
    return out, code, subprocess.CompletedProcess(command, process.returncode, rest, errors)


Stopped = tuple[Path, int, subprocess.CompletedProcess[str]]


def test_a_stopped_run_ends_with_the_signals_code_and_says_how_to_go_on(stopped: Stopped) -> None:
    fails_in_one_line(stopped[2], stopped[1], "--resume")


def test_a_stopped_run_leaves_a_whole_snapshot_of_its_last_step(stopped: Stopped) -> None:
    path, snapshot = snapshots.newest_snapshot(stopped[0])
    assert str(path) in stopped[2].stderr
    assert 5 <= snapshot["step"] == read_stats(stopped[0] / "stats.jsonl")[-1]["step"] < 60


def test_a_stopped_run_leaves_a_generator(stopped: Stopped) -> None:
    reader.load_generator(stopped[0] / "generator_model.pth")


def test_a_stopped_and_resumed_run_ends_with_the_weights_of_one_that_nobody_stopped(
    stopped: Stopped, photos: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(stopped[0], tmp_path / "models")
    result = run_in_process("gan-train", photos, "--out", out, *LONG, "--resume")
    assert result.returncode == 0, result.stderr
    assert same(weights(out), weights(uninterrupted))


def test_a_run_that_was_killed_and_resumed_ends_with_the_weights_of_one_that_nobody_killed(
    photos: Path, tmp_path: Path
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    often = shlex.split("--recipe dcgan --epochs 6 --stats-every 1 --sample-epochs 2 --device cpu --image-size 32")
    with started("step 8,", str(photos), "--out", str(killed), *often, *TINY) as (process, said):
        process.kill()
    assert process.returncode == -signal.SIGKILL, "".join(said)
    assert 6 <= snapshots.newest_snapshot(killed)[1]["step"] < 18
    data, course = load_images(photos, 1, 32), Course(stats_every=1, sample_epochs=2)
    train(data, killed, tiny(epochs=6), course=course, resume=True)
    train(data, whole, tiny(epochs=6), course=course)
    assert same(weights(killed), weights(whole))
    assert read_stats(killed / "stats.jsonl") == read_stats(whole / "stats.jsonl")


def test_the_same_options_in_python_give_the_weights_of_the_command(
    photos: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    config = TrainConfig(epochs=20, batch_size=8, z_dim=40, g_width=2, d_width=2, image_size=32)
    model = train(load_images(photos, 1, 32), tmp_path, config)
    assert same(reader.load(model), weights(uninterrupted))
