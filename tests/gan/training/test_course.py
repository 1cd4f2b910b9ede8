"""How a run is watched and kept: collapse, options that resume exactly, a plan before it begins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from gan.config import Course
from gan.networks import reader
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.collapse import CollapseWatch
from gan.training.run import plan, train
from gan.training.stats import read_stats
from gan.training.trainer import Trainer
from gan.training.training import MAX_RESTARTS
from models.errors import CommandError, ExitCode
from tests.conftest import TINY
from tests.gan.conftest import same, tiny
from tests.gan.training.made import Scripted

pytestmark = pytest.mark.usefixtures("nothing_drawn")

Train = Callable[..., CompletedProcess[str]]


# Collapse


@pytest.fixture
def collapses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training that the watch finds collapsed at each of its first grids, as often as the list has entries."""
    times: list[int] = []

    def look(self: CollapseWatch, row: dict[str, float]) -> str:
        return "all is lost" if times and times.pop() else ""

    monkeypatch.setattr(CollapseWatch, "look", look)
    return times


def test_a_collapsed_run_that_is_to_stop_ends_with_70_and_a_whole_snapshot(
    plates: ImageSet, tmp_path: Path, collapses: list[int]
) -> None:
    collapses.append(1)
    with pytest.raises(CommandError, match="all is lost") as error:
        train(plates, tmp_path, tiny(epochs=3), course=Course(sample_epochs=1, on_collapse="stop"))
    assert error.value.exit_code is ExitCode.DIVERGED
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 3


def test_a_run_that_stops_before_its_first_sample_grid_shows_how_it_collapsed(
    plates: ImageSet, tmp_path: Path, collapses: list[int]
) -> None:
    collapses.append(1)
    with pytest.raises(CommandError, match="all is lost"):
        train(plates, tmp_path, tiny(), course=Course(stats_every=1, on_collapse="stop"))
    assert [path.name for path in tmp_path.glob("samples/fakes*")] == ["fakes000001.png"]
    pytest.importorskip("matplotlib.figure", reason="in the extra monitor")
    assert (tmp_path / "losses.png").exists()


def test_a_collapsed_run_that_is_to_begin_anew_has_other_weights(
    plates: ImageSet, tmp_path: Path, collapses: list[int]
) -> None:
    course = Course(sample_epochs=1, on_collapse="restart")
    train(plates, tmp_path / "usual", tiny(epochs=2), course=course)
    collapses.append(1)
    train(plates, tmp_path / "anew", tiny(epochs=2), course=course)
    first, second = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("usual", "anew"))
    assert (first["restarts"], second["restarts"]) == (0, 1)
    assert not same(first["g"], second["g"])
    assert [row["step"] for row in read_stats(tmp_path / "anew" / "stats.jsonl")] == [3, 6]


def test_a_run_that_began_anew_is_resumed_exactly(plates: ImageSet, tmp_path: Path, collapses: list[int]) -> None:
    course = Course(sample_epochs=1, on_collapse="restart")
    collapses.append(1)
    train(plates, tmp_path / "whole", tiny(epochs=4), course=course)
    collapses.append(1)
    train(plates, tmp_path / "parts", tiny(epochs=2), course=course)
    train(plates, tmp_path / "parts", tiny(epochs=4), course=course, resume=True)
    whole, parts = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("whole", "parts"))
    assert same(whole["g"], parts["g"])


def test_a_run_killed_right_after_it_began_anew_can_be_resumed(
    plates: ImageSet, tmp_path: Path, collapses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(sample_epochs=1, on_collapse="restart")
    collapses.append(1)
    train(plates, tmp_path / "whole", tiny(epochs=2), course=course)
    collapses.append(1)
    step = Trainer.train_step

    def killed(self: Trainer) -> dict[str, torch.Tensor]:
        if self.restarts:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(plates, tmp_path / "cut", tiny(epochs=2), course=course)
    train(plates, tmp_path / "cut", tiny(epochs=2), course=course, resume=True)
    whole, cut = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("whole", "cut"))
    assert same(whole["g"], cut["g"])
    assert cut["restarts"] == 1


def test_a_run_that_begins_anew_keeps_the_best_generator_before(
    plates: ImageSet, tmp_path: Path, collapses: list[int]
) -> None:
    course = Course(sample_epochs=1, validation_kimg=0.001, on_collapse="restart")
    collapses.append(1)
    train(plates, tmp_path, tiny(epochs=2), course=course, validation=Scripted(3, 5, 4))
    options = json.loads((tmp_path / "training_options.json").read_text())
    assert (options["kid_x1000"], options["restarts"], options["step"]) == (3, 0, 3)


def test_a_run_that_collapses_every_time_is_given_up(plates: ImageSet, tmp_path: Path, collapses: list[int]) -> None:
    collapses += [1] * 9
    with pytest.raises(CommandError, match="all is lost") as error:
        train(plates, tmp_path, tiny(epochs=3), course=Course(sample_epochs=1, on_collapse="restart"))
    assert error.value.exit_code is ExitCode.DIVERGED
    assert len(collapses) == 9 - 1 - MAX_RESTARTS


def test_a_collapsed_run_goes_on_by_default(plates: ImageSet, tmp_path: Path, collapses: list[int]) -> None:
    collapses.append(1)
    train(plates, tmp_path, tiny(epochs=2), course=Course(sample_epochs=1))
    assert "all is lost" in (tmp_path / "log.txt").read_text()
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 6


# Every option resumes exactly

OPTIONS: dict[str, dict[str, Any]] = {
    "all of the discriminator": {
        "d_spectral_norm": True, "d_patches": True, "d_decoder": True, "bands": True, "r2_gamma": 1.0,
    },
    "hinge": {"loss": "hinge"},
    "64 pixels": {"image_size": 64},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_four_steps_are_two_and_two_more_with(name: str, plates: ImageSet, tmp_path: Path) -> None:
    config = tiny("small-data", penalty_interval=2, **OPTIONS[name])
    images = plates.images.repeat(1, 1, 2, 2) if config.image_size == 64 else plates.images
    whole, cut = (Trainer(images, config, torch.device("cpu")) for _ in range(2))
    for _ in range(4):
        whole.train_step()
    for _ in range(2):
        cut.train_step()
    snapshots.save(tmp_path / "a.pt", cut.state())
    resumed = Trainer(images, config, torch.device("cpu"))
    resumed.restore(reader.load(tmp_path / "a.pt"))
    for _ in range(2):
        resumed.train_step()
    assert same(resumed.state(), whole.state())


def test_crops_of_large_photos_differ_from_epoch_to_epoch_and_are_their_pixels() -> None:
    photo = torch.arange(200 * 240).reshape(1, 200, 240).remainder(251).to(torch.uint8)
    images = photo[None, :, 84:116, 104:136].expand(8, -1, -1, -1)
    trainers = [Trainer(images, tiny(fit="tile"), torch.device("cpu"), [photo] * 8) for _ in range(2)]
    crops = [((trainer._real_batch(0) + 1) * 127.5).round().to(torch.uint8) for trainer in trainers]
    assert torch.equal(*crops)
    later = ((trainers[0]._real_batch(8) + 1) * 127.5).round().to(torch.uint8)
    assert not torch.equal(crops[0], later)
    windows = photo[0].unfold(0, 32, 1).unfold(1, 32, 1)
    assert (windows == crops[0][0, 0]).all(dim=-1).all(dim=-1).any()


# A plan before it begins


def test_a_dry_run_prints_options_and_time_and_writes_nothing(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--dry-run", "--recipe", "small-data", *TINY)
    assert result.returncode == 0, result.stderr
    assert "--r1-gamma             3.0" in result.stdout
    assert "90.0 kimg" in result.stdout
    assert not (tmp_path / "out").exists()


def test_a_plan_counts_the_steps_of_the_run(plates: ImageSet) -> None:
    ahead = plan(plates, tiny(epochs=5), "cpu")
    assert (ahead.steps, ahead.images) == (15, 24)
    assert ahead.total_s == pytest.approx(15 * ahead.step_s)
