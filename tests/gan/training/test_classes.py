"""Training on classes: phased in, resumed exactly, and images of each label that show its class."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import Course, TrainConfig
from gan.networks import reader
from gan.photos.read import ImageSet
from gan.photos.which import Which
from gan.training import snapshots, validation
from gan.training.folder import found
from gan.training.run import train
from gan.training.trainer import Trainer
from gan.training.validation import Measured
from models.errors import CommandError, ExitCode
from tests.conftest import TINY, fails_in_one_line, run_in_process
from tests.gan.conftest import same, tiny
from tests.gan.training.made import folders

CPU = torch.device("cpu")
NAMES = ("bright", "dark")


def shades(each: int = 12) -> ImageSet:
    """Plates with grain, the first half bright and the others dark."""
    random = np.random.default_rng(2)
    levels = np.repeat([190, 60], each)[:, None, None, None]
    images = random.normal(levels, 8, (2 * each, 1, 32, 32)).clip(0, 255).astype(np.uint8)
    labels = tuple(int(number >= each) for number in range(2 * each))
    return ImageSet(torch.from_numpy(images), [f"{n:02d}.png" for n in range(2 * each)], (), {}, labels, NAMES)


def begun(data: ImageSet, config: TrainConfig) -> Trainer:
    return Trainer(data.images, config, CPU, labels=data.labels)


def after(steps: int, data: ImageSet, config: TrainConfig) -> Trainer:
    trainer = begun(data, config)
    for _ in range(steps):
        trainer.train_step()
    return trainer


def with_classes(**changes: object) -> TrainConfig:
    return tiny("shift", class_names=NAMES, **changes)


def test_classes_are_phased_in_between_two_moments() -> None:
    config = with_classes(epochs=10, class_from=0.2, class_to=0.6)
    trainer = begun(shades(), config)
    found = []
    for step in (0, 6, 9, 12, 18, 30):
        trainer.step = step
        found.append(trainer.class_strength)
    assert trainer.total_steps == 30
    assert found == pytest.approx([0, 0, 0.25, 0.5, 1, 1])


def apart(trainer: Trainer) -> bool:
    """Whether another label gives other images of the same latents."""
    one, other = (trainer.generator.inputs_at(0, 0, 4, [label] * 4) for label in (0, 1))
    with torch.no_grad():
        return not torch.equal(trainer.generator(**one), trainer.generator(**other))


def test_before_classes_count_a_label_changes_nothing_and_then_it_does() -> None:
    trainer = after(1, shades(), with_classes(class_from=0.5, class_to=0.5))
    assert not apart(trainer)
    trainer.train_step()
    trainer.train_step()
    assert trainer.class_strength == 1
    assert apart(trainer)


@pytest.mark.parametrize("feature_matching", [0.0, 3.0])
def test_a_run_cut_while_classes_come_in_goes_on_to_the_bit(tmp_path: Path, feature_matching: float) -> None:
    config = with_classes(class_from=0.1, class_to=0.9, feature_matching=feature_matching)
    whole = after(5, shades(), config)
    snapshots.save(tmp_path / "a.pt", after(2, shades(), config).state())
    resumed = begun(shades(), config)
    resumed.restore(reader.load(tmp_path / "a.pt"))
    for _ in range(3):
        resumed.train_step()
    assert same(resumed.state(), whole.state())
    assert 0 < resumed.class_strength < 1


def test_other_labels_are_other_images() -> None:
    data, config = shades(), with_classes()
    before = begun(data, config)
    swapped = Trainer(data.images, config, CPU, labels=[1 - label for label in data.labels])
    with pytest.raises(CommandError) as refused:
        swapped.restore(before.state())
    assert refused.value.exit_code is ExitCode.OTHER_RUN


def test_what_is_generated_has_the_labels_of_the_photos_beside_it() -> None:
    data = shades()
    trainer = begun(data, with_classes())
    labels = trainer.batches.labels(8)
    assert labels is not None
    means = trainer._real_batch(8).mean(dim=(1, 2, 3))
    assert torch.equal(means < 0, labels == 1)
    assert 0 < labels.sum() < 8


@pytest.mark.parametrize(("step", "kept"), [(2, False), (5, True)])
def test_no_generator_is_the_best_before_classes_count_in_full(step: int, kept: bool) -> None:
    trainer = begun(shades(), with_classes(class_from=0.0, class_to=0.7))
    trainer.step = step
    trainer.validated(Measured(1.0, 1.0))
    assert (trainer.best is not None) == kept


def test_labels_without_classes_and_classes_without_labels_are_refused() -> None:
    data = shades()
    for config, labels in ((tiny("shift"), data.labels), (with_classes(), ())):
        with pytest.raises(ValueError, match="labels of 24 images"):
            Trainer(data.images, config, CPU, labels=labels)


def test_images_of_two_easy_classes_differ_as_the_photos_do() -> None:
    quick = {"lr": 0.004, "d_lr": 0.004, "class_from": 0.0, "class_to": 0.2, "feature_matching": 3.0}
    trainer = after(20, shades(), with_classes(epochs=10, **quick))
    bright, dark = (trainer.generator.inputs_at(0, 0, 16, [label] * 16) for label in (0, 1))
    with torch.no_grad():
        gap = trainer.generator(**bright).mean(dim=(1, 2, 3)) - trainer.generator(**dark).mean(dim=(1, 2, 3))
    assert gap.min() > 0.05  # of each latent; 1.02 between the photos


# From folders


def test_folders_of_classes_become_a_generator_that_says_which_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "FAKES", 20)
    data, held_out = folders(tmp_path / "train"), folders(tmp_path / "held", dark=4)
    for part in ("bright", "dark"):
        for path in (held_out / part).iterdir():
            Image.open(path).rotate(180).save(path)
    course = Course(sample_epochs=1, stats_every=1)
    config = tiny("shift", epochs=2, class_to=0.3)
    with caplog.at_level(logging.INFO):
        model = train(
            data,
            tmp_path / "out",
            config,
            course=course,
            validation=held_out,
            features="efficientnet-lite0",
            which=Which(classes=True),
        )
    said = json.loads((tmp_path / "out/training_options.json").read_text())
    assert said["class_names"] == said["options"]["class_names"] == ["bright", "dark"]
    assert said["data"]["photos_a_class"] == [12, 12]
    assert reader.load_generator(model).classes == 2
    assert "bright has 12, dark has 12, under 50" in caplog.text
    assert "4 × bright, 4 × dark" in caplog.text
    rows = np.asarray(Image.open(tmp_path / "out/samples/reals.png").convert("L"), dtype=float)
    assert rows[: 4 * 34].mean() > rows[4 * 34 :].mean() + 30
    newest = snapshots.newest_snapshot(tmp_path / "out")[0]
    by_snapshot = reader.read_training(newest, "")
    assert by_snapshot["class_names"] == ["bright", "dark"]


def test_a_resumed_run_of_folders_leaves_what_one_run_leaves(nothing_drawn: None, tmp_path: Path) -> None:
    data = folders(tmp_path / "train")
    for out in ("whole", "parts"):
        train(data, tmp_path / out, tiny("shift", epochs=2), course=Course(sample_epochs=1), which=Which(classes=True))
    found(tmp_path / "parts")[-1].unlink()
    train(data, tmp_path / "parts", tiny("shift", epochs=2), resume=True, which=Which(classes=True))
    whole, parts = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("whole", "parts"))
    assert same(parts, whole)
    with pytest.raises(CommandError) as refused:
        train(data, tmp_path / "parts", tiny("shift", epochs=3), resume=True)
    assert refused.value.exit_code is ExitCode.OTHER_RUN
    assert "class_names was" in str(refused.value)


def test_the_command_names_what_is_wrong_with_classes(tmp_path: Path) -> None:
    data = folders(tmp_path / "train")
    (data / "pit").mkdir()
    result = run_in_process("gan-train", data, "--classes", "--out", tmp_path / "out", *TINY)
    fails_in_one_line(result, ExitCode.BAD_DATA, "the class pit is empty", str(data / "pit"))
    assert not (tmp_path / "out").exists()
