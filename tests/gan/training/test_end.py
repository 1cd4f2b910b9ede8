"""How a run says what it kept and why, and what its log keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import Course
from gan.networks.dcgan import DCGAN
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.collapse import ALIKE, CollapseWatch
from gan.training.run import train
from gan.training.trainer import Trainer
from gan.training.validation import Measured, Validation
from models.errors import CommandError, ExitCode
from tests.conftest import TINY, fails_in_one_line
from tests.gan.conftest import started, tiny
from tests.gan.training.made import OFTEN, Scripted

Train = Callable[..., subprocess.CompletedProcess[str]]


def logged(out: Path) -> list[str]:
    """What a run's log says, without the times."""
    return [line.split(" ", 2)[2] for line in (out / "log.txt").read_text().splitlines()]


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The faults of every generator in this file's tests; those of generators as small as these would be chance."""
    found: list[str] = []
    monkeypatch.setattr("gan.training.figures.faults", lambda images, photos: found)
    monkeypatch.setattr("gan.training.figures.ALIKE", 0)
    return found


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        (None, "the generator of the last step, 9"),
        (Scripted(5, 3, 4), "the best on the held-out photos: KID 3.0 × 10⁻³, of step 6 of 9"),
    ],
    ids=["last", "best"],
)
def test_the_end_says_which_generator_was_kept_and_why(
    plates: ImageSet, tmp_path: Path, validation: Validation | None, words: str
) -> None:
    model = train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=validation)
    assert logged(tmp_path)[-1].startswith(f"INFO {model} is ready: {words}; look at {tmp_path / 'samples'}")


@pytest.fixture
def collapses_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a collapse begins that lasts to the end, for the runs of this test."""
    begins: list[float] = []
    monkeypatch.setattr(CollapseWatch, "collapsed_at", property(lambda self: begins[0]))
    return begins


@pytest.mark.parametrize(
    ("begin", "validation", "ready"),
    [(0.03, None, False), (0.03, Scripted(5, 3, 4), False), (0.06, Scripted(5, 3, 4), True)],
)
def test_a_generator_that_has_collapsed_is_not_called_ready(
    plates: ImageSet, tmp_path: Path, collapses_at: list[float], begin: float, validation: Validation, ready: bool
) -> None:
    collapses_at.append(begin)
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=validation)
    last = logged(tmp_path)[-1]
    assert ("is ready" in last) is ready
    if not ready:
        assert last.startswith("WARNING ")
        assert f"training had collapsed after {begin:.1f} kimg" in last


def test_a_generator_whose_images_have_faults_is_not_called_ready(
    plates: ImageSet, tmp_path: Path, found: list[str]
) -> None:
    found.append("places: lines stand on a grid (rows, 8 px)")
    train(plates, tmp_path, tiny(epochs=1))
    last = logged(tmp_path)[-1]
    assert last.startswith("WARNING ")
    assert "a detector would learn its faults: places: lines stand on a grid (rows, 8 px); look at" in last


def test_a_generator_of_one_picture_is_not_called_ready(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan.training.figures.ALIKE", ALIKE)
    monkeypatch.setattr(DCGAN, "forward", lambda self, z: 0 * self.main(z[:, :, None, None]))
    train(plates, tmp_path, tiny(epochs=1))
    assert "variety: all images look alike (0.00 of the photos')" in logged(tmp_path)[-1]


def test_the_figures_lie_beside_the_generator_that_was_kept(plates: ImageSet, tmp_path: Path, found: list[str]) -> None:
    found.append("grain")
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(3, 5))
    options = json.loads((tmp_path / "training_options.json").read_text())
    assert (options["step"], options["kid_x1000"]) == (3, 3)
    figures = options["figures"]
    assert (figures["images"], figures["photos"], figures["faults"]) == (50, len(plates.images), ["grain"])
    assert {"grids", "echoes", "common_grain"} <= figures["places"].keys() == figures["places_real"].keys()


def test_a_collapse_that_lasts_is_told_from_one_that_passed() -> None:
    lost = {"D(x)": 1.0, "D(G(z)) before": 0.0, "Loss_D": 0.7, "Loss_G": 9.0}
    photos = torch.rand((8, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    rows = [{**lost, "kimg": kimg} for kimg in (20.0, 21.0, 22.0, 23.0)]
    assert CollapseWatch(photos, rows=rows[:3]).collapsed_at is None
    assert CollapseWatch(photos, rows=rows).collapsed_at == 20.0
    assert CollapseWatch(photos, rows=[*rows, {**lost, "D(x)": 0.6, "kimg": 24.0}]).collapsed_at is None


# The log


def test_the_log_keeps_warnings_of_before_the_run_resuming_and_the_end(
    gan_train: Train, photos: Path, tmp_path: Path
) -> None:
    command = (
        photos,
        "--out",
        tmp_path / "out",
        "--recipe",
        "dcgan",
        "--device",
        "cpu",
        "--image-size",
        "32",
        *TINY,
        "--epochs",
    )
    assert gan_train(*command, "1").returncode == 0
    assert gan_train(*command, "2", "--resume").returncode == 0
    said = logged(tmp_path / "out")
    assert said[0].startswith("WARNING the plain recipe is known to collapse on few images and there are 24")
    assert "--recipe shift is for few" in said[0]
    assert any("INFO resuming" in line and "step 3" in line for line in said)
    assert said[-1].startswith("INFO ")
    assert "is ready" in said[-1]


def test_a_refused_run_has_no_log(plates: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        train(plates, tmp_path / "out", tiny(batch_size=2**16), device="cuda:9")
    assert not (tmp_path / "out").exists()


LONG = (
    *("--recipe", "dcgan", "--epochs", "400", "--stats-every", "1", "--sample-epochs", "400", "--device", "cpu"),
    *("--image-size", "32", *TINY),
)
UNUSUAL = pytest.mark.parametrize("number", [40, signal.SIGHUP])


def stopped_by(number: int, result: subprocess.CompletedProcess[str], out: Path) -> None:
    """Assert that a run ended by this signal, said how to go on, and has it in its log."""
    fails_in_one_line(result, 128 + number, "stopped by", "network-snapshot-", "--resume")
    assert f"ended with exit code {128 + number}: stopped by" in logged(out)[-1]
    assert "--resume" in logged(out)[-1]


@UNUSUAL
def test_an_unusual_signal_ends_as_sigterm_does_with_128_and_its_number(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    step = Trainer.train_step

    def hears_one(self: Trainer) -> object:
        if self.step == 3:
            os.kill(os.getpid(), number)
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", hears_one)
    stopped_by(number, gan_train(photos, "--out", tmp_path, *LONG), tmp_path)
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 4


@pytest.mark.long
@UNUSUAL
def test_a_process_that_gets_an_unusual_signal_does_so_too(photos: Path, tmp_path: Path, number: int) -> None:
    """As those of test_signals.py do with the usual ones."""
    command = [str(photos), "--out", str(tmp_path), *LONG]
    with started("step 3,", *command) as (process, _):
        process.send_signal(number)
        rest, errors = process.communicate(timeout=120)
    stopped_by(number, subprocess.CompletedProcess(command, process.returncode, rest, errors), tmp_path)


# Memory


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes."),
        MemoryError(),
    ],
)
def test_too_little_memory_in_the_midst_of_a_run_is_69_and_says_what_to_make_smaller(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    step = Trainer.train_step

    def out_of_memory(self: Trainer) -> object:
        if self.step == 4:
            raise error
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", out_of_memory)
    with pytest.raises(CommandError, match=r"not enough memory: .* free; take a smaller `batch_size`") as ended:
        train(plates, tmp_path, tiny(), course=Course(sample_epochs=1))
    assert ended.value.exit_code is ExitCode.NO_DEVICE
    assert "ended with exit code 69" in logged(tmp_path)[-1]
    assert (tmp_path / "network-snapshot-000003.pt").exists()


# Samples and the bar


def test_the_grid_of_photos_shows_a_spread_of_them(tmp_path: Path) -> None:
    grays = torch.arange(0, 200, dtype=torch.uint8)
    plates = grays[:, None, None, None].expand(-1, 1, 32, 32)
    data = ImageSet(plates, [f"{number:03d}.png" for number in range(200)])
    train(data, tmp_path, tiny(epochs=1))
    picture = np.asarray(Image.open(tmp_path / "samples" / "reals.png").convert("L"))
    shown = [int(picture[34 * row + 10, 34 * column + 10]) for row in range(8) for column in range(8)]
    assert shown == [place * 200 // 64 for place in range(64)]


def test_the_bar_moves_while_the_kid_is_measured(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Scripted):
        def measure(self, generator: torch.nn.Module, on_images: Callable[[int], None] = print) -> Measured:
            for _ in range(3):
                on_images(16)
            return super().measure(generator)

    shown: list[str] = []
    monkeypatch.setattr("models.progress.Progress.say", lambda self, what: shown.append(what))
    train(plates, tmp_path, tiny(epochs=1), course=OFTEN, validation=Slow(3))
    assert shown == ["KID: 16 of 500 images", "KID: 32 of 500 images", "KID: 48 of 500 images"]
