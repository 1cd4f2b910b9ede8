"""How a run is watched and kept: the best generator, patience, collapse, a plan before it begins."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from gan.config import Course
from gan.evaluation.features import FeatureNetwork
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.collapse import CollapseWatch
from gan.training.folder import STATE, snapshot_path
from gan.training.run import plan, train
from gan.training.snapshots import save
from gan.training.stats import KID, read_stats
from gan.training.trainer import Trainer
from gan.training.training import MAX_RESTARTS
from gan.training.validation import Measured, Validation
from models.errors import CommandError, ExitCode
from tests.conftest import TINY, fails_in_one_line, write_photos
from tests.gan.conftest import same, tiny

pytestmark = pytest.mark.usefixtures("nothing_drawn")

Train = Callable[..., CompletedProcess[str]]
OFTEN = Course(sample_epochs=1, validation_kimg=0.001, keep_snapshots=99)
"""A sample grid, a snapshot and a measure every three steps."""


class Scripted(Validation):
    """Gives these values instead of measuring."""

    def __init__(self, *values: float, against: str = "the same photos") -> None:
        self.values: Iterator[float] = iter(values)
        self.against = against

    def measure(self, generator: torch.nn.Module, on_images: Callable[[int], None] = print) -> Measured:
        value = next(self.values)
        return Measured(value, value)


def state(folder: Path, step: int) -> dict[str, Any]:
    """A snapshot."""
    return reader.load(snapshot_path(folder, step))


# The best generator


def test_the_generator_that_is_left_is_the_one_nearest_to_the_held_out_photos(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=Scripted(5, 3, 4))
    left = reader.load(tmp_path / "generator_model.pth")
    assert same(left, dict(state(tmp_path, 6)["g"]))
    assert not same(left, dict(state(tmp_path, 9)["g"]))
    options = json.loads((tmp_path / "training_options.json").read_text())
    assert (options["step"], options["kid_x1000"]) == (6, 3)


def test_statistics_say_what_was_measured(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=Scripted(5, 3, 4))
    assert [row[KID] for row in read_stats(tmp_path / "stats.jsonl")] == [5, 3, 4]


def test_a_resumed_run_knows_what_was_best_before(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(5, 3))
    train(plates, tmp_path, tiny(epochs=4), course=OFTEN, validation=Scripted(4, 3.5), resume=True)
    assert same(reader.load(tmp_path / "generator_model.pth"), dict(state(tmp_path, 6)["g"]))


def test_a_value_that_is_no_number_is_never_the_best(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=Scripted(5, float("nan"), 7))
    assert state(tmp_path, 9)["best"]["kid_x1000"] == 5


def test_a_first_value_that_is_no_number_is_not_the_best_either(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(float("nan"), 7))
    assert state(tmp_path, 6)["best"]["kid_x1000"] == 7


@pytest.mark.parametrize("then", [None, Scripted(9, 8, against="other photos")])
def test_a_run_resumed_with_other_photos_to_measure_on_chooses_anew(
    plates: ImageSet, tmp_path: Path, then: Validation | None
) -> None:
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(5, 3))
    train(plates, tmp_path, tiny(epochs=4), course=OFTEN, validation=then, resume=True)
    assert same(reader.load(tmp_path / "generator_model.pth"), dict(state(tmp_path, 12)["g"]))


def test_a_best_of_an_earlier_version_which_knew_the_kid_alone_is_chosen_anew(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(5, 3))
    content = state(tmp_path, 6)
    del content["best"]["score"]
    save(snapshot_path(tmp_path, 6), content)
    train(plates, tmp_path, tiny(epochs=4), course=OFTEN, validation=Scripted(90, 80), resume=True)
    assert same(reader.load(tmp_path / "generator_model.pth"), dict(state(tmp_path, 12)["g"]))


class _Killed(BaseException):
    """As if the process ended here."""


@contextlib.contextmanager
def killed_after(files: int) -> Iterator[None]:
    """Ends a run that has left so many networks, options and snapshots before it leaves the next."""
    left, replace = 0, os.replace

    def watched(source: Path, target: Path) -> None:
        nonlocal left
        if Path(target).suffix in {".pth", ".pt", ".json"} and Path(target).name != STATE:
            if left == files:
                raise _Killed
            left += 1
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.files.os.replace", watched)
        yield


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("values", [(5, 3, 4), None], ids=["best", "newest"])
def test_a_run_killed_between_two_of_its_files_and_resumed_ends_as_one_that_nobody_killed(
    plates: ImageSet, tmp_path: Path, values: tuple[float, ...] | None, count: int
) -> None:
    def held_out(first: int) -> Validation | None:
        return Scripted(*values[first:]) if values else None

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(plates, whole, tiny(epochs=3), course=OFTEN, validation=held_out(0))
    with killed_after(4 + count), pytest.raises(_Killed):  # four are of the first sample grid
        train(plates, cut, tiny(epochs=3), course=OFTEN, validation=held_out(0))
    done = snapshots.newest_snapshot(cut)[1]["step"] // 3
    train(plates, cut, tiny(epochs=3), course=OFTEN, validation=held_out(done), resume=True)
    for name in ("generator_model.pth", "discriminator_model.pth", "network-snapshot-000009.pt"):
        assert same(reader.load(cut / name), reader.load(whole / name)), name
    assert (cut / "training_options.json").read_text() == (whole / "training_options.json").read_text()


def test_a_run_whose_best_generator_is_gone_chooses_anew(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, validation=Scripted(5, 3))
    (tmp_path / "generator_model.pth").unlink()
    train(plates, tmp_path, tiny(epochs=4), course=OFTEN, validation=Scripted(7, 8), resume=True)
    assert same(reader.load(tmp_path / "generator_model.pth"), dict(state(tmp_path, 9)["g"]))
    assert json.loads((tmp_path / "training_options.json").read_text())["kid_x1000"] == 7


@pytest.mark.parametrize("what", ["gone", "another"])
def test_a_finished_run_whose_best_generator_is_gone_says_so(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("gan.training.validation.FAKES", 20)
    monkeypatch.setattr("gan.evaluation.features.load_features", lambda name, device: FeatureNetwork(name, _pools))
    held_out, out = write_photos(tmp_path / "held_out", 12, seed=9), tmp_path / "out"
    command = (photos, "--out", out, "--epochs", "2", "--validation", held_out, *TINY)
    assert gan_train(*command).returncode == 0
    assert gan_train(*command, "--resume").returncode == 0
    model = out / "generator_model.pth"
    model.unlink()
    if what == "another":
        snapshots.save_weights(model, DCGAN(8, 1, 2))
    result = gan_train(*command, "--resume")
    fails_in_one_line(result, 66, f"{model} is {what}", "network-snapshot-000006.pt", "--overwrite")
    assert "is ready" not in result.stderr


def _pools(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(images[:, :1], 4).flatten(1)


def test_patience_ends_a_run_that_gets_no_better(plates: ImageSet, tmp_path: Path) -> None:
    course = Course(sample_epochs=1, validation_kimg=0.001, patience_kimg=0.048)
    train(plates, tmp_path, tiny(epochs=9), course=course, validation=Scripted(5, 3, 4, 4, 4))
    assert read_stats(tmp_path / "stats.jsonl")[-1]["step"] == 12


def test_patience_counts_from_when_a_generator_may_be_the_best(plates: ImageSet, tmp_path: Path) -> None:
    """A longer run begins with a best one, and with a learning rate that has yet to fall again."""
    short = tiny(epochs=2, lr_decay=0.5)
    train(plates, tmp_path, short, course=OFTEN, validation=Scripted(5, 3))
    course = Course(sample_epochs=1, validation_kimg=0.001, patience_kimg=0.02)
    longer = tiny(epochs=8, lr_decay=0.5)
    train(plates, tmp_path, longer, course=course, validation=Scripted(*[4] * 8), resume=True)
    assert read_stats(tmp_path / "stats.jsonl")[-1]["step"] == 15  # half is 12, and one measure later it ends


def test_patience_waits_for_a_measure(plates: ImageSet, tmp_path: Path) -> None:
    course = Course(stats_every=1, sample_epochs=1, validation_kimg=0.06, patience_kimg=0.03)
    train(plates, tmp_path, tiny(epochs=7), course=course, validation=Scripted(5, 4, 3))
    assert [row["step"] for row in read_stats(tmp_path / "stats.jsonl") if KID in row] == [9, 15, 21]


def test_kid_is_measured_at_the_first_grid_behind_each_multiple(plates: ImageSet, tmp_path: Path) -> None:
    course = Course(sample_epochs=1, validation_kimg=0.06)
    train(plates, tmp_path, tiny(epochs=7), course=course, validation=Scripted(*range(9)))
    assert [row["step"] for row in read_stats(tmp_path / "stats.jsonl") if KID in row] == [9, 15, 21]


def test_held_out_photos_decide_in_the_command(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan.training.validation.FAKES", 20)
    held_out = write_photos(tmp_path / "held_out", 12, seed=9)
    out = tmp_path / "out"
    result = gan_train(photos, "--out", out, "--epochs", "2", "--validation", held_out, *TINY)
    assert result.returncode == 0, result.stderr
    assert read_stats(out / "stats.jsonl")[-1][KID] > 0


def test_photos_to_train_on_cannot_validate(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--validation", photos, *TINY)
    assert result.returncode == ExitCode.USAGE
    assert "--validation" in result.stderr


def test_photos_to_train_on_among_those_to_measure_on_are_2(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--validation", photos.parent, *TINY)
    assert result.returncode == ExitCode.USAGE
    assert "lie in each other" in result.stderr


def test_a_photo_in_both_parts_is_65(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    held_out = write_photos(tmp_path / "held_out", 12, seed=9)
    shutil.copy(photos / "scratch_007.png", held_out / "another_name.png")
    result = gan_train(photos, "--out", tmp_path / "out", "--validation", held_out, *TINY)
    assert result.returncode == ExitCode.BAD_DATA
    assert "1 of its photos" in result.stderr
    assert "another_name.png" in result.stderr


def test_patience_without_photos_to_measure_on_is_2(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--patience-kimg", "5", *TINY)
    assert result.returncode == ExitCode.USAGE
    assert "--validation" in result.stderr


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
