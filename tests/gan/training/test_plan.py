"""What a training run would be, before anything is written."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gan.config import RECIPES, TrainConfig
from gan.photos.read import ImageSet
from gan.training.plan import WARM_UP
from gan.training.run import plan
from gan.training.trainer import Trainer
from tests.conftest import TINY, fails_in_one_line, write_photos
from tests.gan.conftest import tiny

Train = Callable[..., subprocess.CompletedProcess[str]]
Tree = Callable[[Path, Sequence[str]], dict[str, bytes]]
DRY = ("--dry-run", "--device", "cpu", "--image-size", "32", "--penalty-interval", "1", *TINY)
"""A plan measures steps until one has the penalty."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_is_printed_with_the_value_it_would_have(gan_train: Train, photos: Path, recipe: str) -> None:
    result = gan_train(photos, *DRY, "--z-dim", "40", "--recipe", recipe, "--seed", "77")
    assert result.returncode == 0, result.stderr
    printed = {line.split()[0] for line in result.stdout.splitlines() if line.startswith("--")}
    unused = "--epochs" if RECIPES[recipe].get("total_kimg") else "--total-kimg"
    assert printed == {"--" + field.name.replace("_", "-") for field in dataclasses.fields(TrainConfig)} - {
        unused,
        "--architecture",  # the recipe decides it
        "--class-names",  # the folders do
        "--masks",  # a folder has them
    }
    assert ["--seed", "77"] in [line.split() for line in result.stdout.splitlines()]


def test_a_plan_says_how_long_and_how_large(gan_train: Train, photos: Path) -> None:
    out = gan_train(photos, *DRY, "--epochs", "5").stdout
    for words in ("24 photos, 15 steps, 0.1 kimg on cpu", "parameters in the generator", "steps/s here", "about"):
        assert words in out


def test_a_plan_leaves_an_earlier_run_as_it_is(gan_train: Train, photos: Path, trained: Path, tree: Tree) -> None:
    before = tree(trained, ())
    assert gan_train(photos, "--out", trained, *DRY).returncode == 0
    assert tree(trained, ()) == before


def test_a_plan_with_too_few_photos_is_65_as_the_run_would_be(gan_train: Train, tmp_path: Path, photos: Path) -> None:
    for photo in sorted(photos.iterdir())[:3]:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    fails_in_one_line(gan_train(tmp_path, "--out", tmp_path.parent / "out", *DRY), 65, "3 usable images")


@pytest.mark.parametrize("options", [["--validation", "nowhere"], ["--resume", "--out", "nowhere"]], ids=" ".join)
def test_a_plan_of_what_is_not_there_is_66_as_the_run_would_be(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fails_in_one_line(gan_train(photos, *DRY, *options), 66, "nowhere")


def test_a_plan_says_that_comparisons_come_on_top(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    held_out = write_photos(tmp_path / "held_out", 10, seed=9)
    assert "comparisons" not in gan_train(photos, *DRY).stdout
    assert "comparisons by KID on top" in gan_train(photos, *DRY, "--validation", held_out).stdout


def test_networks_too_large_for_the_memory_are_69_with_what_was_needed_and_what_is_free(
    gan_train: Train, photos: Path
) -> None:
    result = gan_train(photos, *DRY, "--g-width", "30000000")
    fails_in_one_line(result, 69, "not enough memory: at least", "GiB are free", "--batch-size")


def test_networks_larger_than_can_be_counted_are_2(gan_train: Train, photos: Path) -> None:
    fails_in_one_line(gan_train(photos, *DRY, "--g-width", "30000000000000000"), 2, "networks of this size")


def test_what_is_measured_has_the_penalty_as_often_as_the_run(
    plates: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    step = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda self: steps.append(self.step) or step(self))
    plan(plates, tiny("small-data", penalty_interval=6), "cpu")
    assert len(steps) == WARM_UP + 6
    assert sum(number % 6 == 0 for number in steps[WARM_UP:]) == 1
