"""The best generator: which one is left, and when a run that gets no better ends."""

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
from gan.training.folder import STATE, snapshot_path
from gan.training.run import train
from gan.training.snapshots import save
from gan.training.stats import KID, read_stats
from gan.training.validation import Validation
from models.errors import ExitCode
from tests.conftest import TINY, fails_in_one_line, write_photos
from tests.gan.conftest import draw_nothing, same, tiny
from tests.gan.training.made import OFTEN, Scripted

pytestmark = pytest.mark.usefixtures("nothing_drawn")

Train = Callable[..., CompletedProcess[str]]


def state(folder: Path, step: int) -> dict[str, Any]:
    """A snapshot."""
    return reader.load(snapshot_path(folder, step))


def test_the_generator_that_is_left_is_the_one_nearest_to_the_held_out_photos(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=Scripted(5, 3, 4))
    left = reader.load(tmp_path / "generator_model.pth")
    assert same(left, dict(state(tmp_path, 6)["g"]))
    assert not same(left, dict(state(tmp_path, 9)["g"]))
    options = json.loads((tmp_path / "training_options.json").read_text())
    assert (options["step"], options["kid_x1000"]) == (6, 3)


def test_of_those_that_few_photos_cannot_tell_apart_the_last_is_left(plates: ImageSet, tmp_path: Path) -> None:
    """However many there are, none is worse than the best by two photos: each of the two may be off by one."""
    train(plates, tmp_path, tiny(epochs=4), course=OFTEN, validation=Scripted(5, 3, 3.9, 4.8, one_photo=0.5))
    options = json.loads((tmp_path / "training_options.json").read_text())
    assert (options["step"], options["kid_x1000"]) == (9, 3.9)


def test_patience_waits_for_a_better_one_not_for_one_as_good(plates: ImageSet, tmp_path: Path) -> None:
    course = Course(sample_epochs=1, validation_kimg=0.001, patience_kimg=0.048)
    train(plates, tmp_path, tiny(epochs=9), course=course, validation=Scripted(5, 3, 3.5, 3.5, one_photo=0.5))
    assert read_stats(tmp_path / "stats.jsonl")[-1]["step"] == 12


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


def measuring(values: tuple[float, ...] | None, first: int = 0) -> Validation | None:
    """What measures these values, from the first on."""
    return Scripted(*values[first:]) if values else None


@pytest.fixture(scope="module", params=[(5, 3, 4), None], ids=["best", "newest"])
def uncut(
    request: pytest.FixtureRequest, plates: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[float, ...] | None]:
    """A run that nobody killed, and what was measured in it."""
    whole = tmp_path_factory.mktemp("uncut") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        patch.setattr("gan.training.figures.LOOKED_AT", 50)
        train(plates, whole, tiny(epochs=3), course=OFTEN, validation=measuring(request.param))
    return whole, request.param


@pytest.mark.parametrize("count", range(5))
def test_a_run_killed_between_two_of_its_files_and_resumed_ends_as_one_that_nobody_killed(
    plates: ImageSet, tmp_path: Path, uncut: tuple[Path, tuple[float, ...] | None], count: int
) -> None:
    (whole, values), cut = uncut, tmp_path / "cut"
    with killed_after(4 + count), pytest.raises(_Killed):  # four are of the first sample grid
        train(plates, cut, tiny(epochs=3), course=OFTEN, validation=measuring(values))
    done = snapshots.newest_snapshot(cut)[1]["step"] // 3
    train(plates, cut, tiny(epochs=3), course=OFTEN, validation=measuring(values, done), resume=True)
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
    command = (photos, "--out", out, "--epochs", "2", "--validation", held_out, "--image-size", "32", *TINY)
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
    monkeypatch.setattr("gan.evaluation.features.load_features", lambda name, device: FeatureNetwork(name, _pools))
    held_out = write_photos(tmp_path / "held_out", 12, seed=9)
    out = tmp_path / "out"
    result = gan_train(photos, "--out", out, "--epochs", "2", "--validation", held_out, "--image-size", "32", *TINY)
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
