"""A training run: what it leaves, what it refuses, and how it diverges."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import Course, TrainConfig
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.photos.read import ImageSet, load_images
from gan.training import snapshots
from gan.training.folder import found, snapshot_path
from gan.training.run import train
from gan.training.stats import read_stats
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from models.files import lock_folder
from tests.gan.conftest import same, tiny
from tests.gan.training.made import Tree, refused, weights

pytestmark = pytest.mark.usefixtures("nothing_drawn")

# What it leaves: six steps of 24 photos, a row of statistics every second step


def test_generator_is_a_plain_state_dict_for_the_usual_class(trained: Path) -> None:
    state = torch.load(trained / "generator_model.pth", weights_only=True)
    DCGAN(8, 1, 2).load_state_dict(state)


def test_discriminator_is_a_plain_state_dict_for_the_usual_class(trained: Path) -> None:
    state = torch.load(trained / "discriminator_model.pth", weights_only=True)
    Discriminator(1, 2).load_state_dict(state)


def test_snapshot_is_named_after_its_step_and_loads_without_running_code(trained: Path) -> None:
    snapshot = torch.load(trained / "network-snapshot-000006.pt", weights_only=True)
    assert (snapshot["step"], snapshot["kimg"]) == (6, 0.048)


def test_options_can_be_read_and_are_those_given(trained: Path) -> None:
    options = json.loads((trained / "training_options.json").read_text())["options"]
    assert TrainConfig.from_dict(options) == TrainConfig(epochs=2, batch_size=8, z_dim=8, g_width=2, d_width=2)


def test_options_name_the_weights_beside_them(trained: Path) -> None:
    options = json.loads((trained / "training_options.json").read_text())
    assert options["weights_sha256"] == reader.weights_sha256(weights(trained))


def test_options_say_how_many_images_there_were(trained: Path) -> None:
    assert json.loads((trained / "training_options.json").read_text())["data"]["images"] == 24


def test_statistics_have_a_row_every_so_many_steps(trained: Path) -> None:
    assert [row["step"] for row in read_stats(trained / "stats.jsonl")] == [2, 4, 6]


@pytest.mark.parametrize("name", ["kimg", "Loss_D", "Loss_G", "D(x)", "D(G(z)) before", "D(G(z)) after"])
def test_every_row_of_statistics_holds_a_number(trained: Path, name: str) -> None:
    assert all(np.isfinite(row[name]) for row in read_stats(trained / "stats.jsonl"))


def test_the_last_step_has_a_row_wherever_it_falls(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1), course=Course(stats_every=2))
    assert [row["step"] for row in read_stats(tmp_path / "stats.jsonl")] == [2, 3]


def test_real_samples_show_the_photos(trained: Path, photos: Path) -> None:
    picture = np.asarray(Image.open(trained / "samples" / "reals.png").convert("L"))
    np.testing.assert_array_equal(picture[2:130, 2:130], load_images(photos, 1, 128).images[0, 0].numpy())


def test_generated_samples_are_named_after_their_step_and_have_photos_beside_them(trained: Path) -> None:
    assert Image.open(trained / "samples" / "fakes000006.png").size == (4 * 130 + 2 + 16 + 8 * 130 + 2, 8 * 130 + 2)


def test_curves_are_a_picture(trained: Path) -> None:
    pytest.importorskip("matplotlib", reason="in the extra monitor")
    assert np.ptp(np.asarray(Image.open(trained / "losses.png").convert("L"))) > 200


def test_log_tells_what_was_trained(trained: Path) -> None:
    assert "24 images of 1 channels, 6 steps of 8 images" in (trained / "log.txt").read_text()


def test_tensorboard_finds_its_events(trained: Path) -> None:
    pytest.importorskip("tensorboard", reason="in the extra monitor")
    assert list(trained.glob("events.out.tfevents.*"))


def test_nothing_else_is_left(trained: Path) -> None:
    known = {"generator_model.pth", "discriminator_model.pth", "network-snapshot-000006.pt", "training_options.json"}
    known |= {"stats.jsonl", "log.txt", "status.json", "losses.png", "samples", "generator.onnx", ".lock"}
    known |= {"report.html"}
    assert {path.name for path in trained.iterdir() if ".tfevents." not in path.name} <= known


def test_generator_file_is_the_average_where_the_recipe_has_one(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny("small-data", epochs=1))
    _, snapshot = snapshots.newest_snapshot(tmp_path)
    assert same(weights(tmp_path), dict(snapshot["g_ema"]))


def test_samples_and_snapshots_come_every_so_many_epochs(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=4), course=Course(sample_epochs=2, keep_snapshots=10))
    assert [path.name for path in found(tmp_path)] == [f"network-snapshot-{step:06d}.pt" for step in (6, 12)]
    assert sorted(path.name for path in tmp_path.glob("samples/fakes*")) == ["fakes000006.png", "fakes000012.png"]


def test_only_the_newest_snapshots_are_kept(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=Course(sample_epochs=1, keep_snapshots=2))
    assert [int(path.stem[-6:]) for path in found(tmp_path)] == [6, 9]


def test_a_damaged_later_snapshot_does_not_push_out_the_whole_ones(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    snapshot_path(tmp_path, 999).write_bytes(b"damaged")
    train(plates, tmp_path, tiny(epochs=2), resume=True, course=Course(keep_snapshots=1))
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 6


# An earlier run in the same folder


def test_an_earlier_run_is_not_overwritten_by_a_new_one(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny())
    error = refused(plates, tmp_path, tiny(seed=2))
    assert error.exit_code is ExitCode.CANNOT_WRITE
    assert "`resume=True`" in str(error)
    assert "`overwrite=True`" in str(error)


def test_an_earlier_run_that_was_refused_is_untouched(plates: ImageSet, tmp_path: Path, tree: Tree) -> None:
    train(plates, tmp_path, tiny())
    before = tree(tmp_path, ())
    refused(plates, tmp_path, tiny(seed=2))
    assert tree(tmp_path, ()) == before


@pytest.mark.parametrize("name", [
    "generator_model.pth", "discriminator_model.pth", "network-snapshot-000005.pt", "training_options.json",
    "stats.jsonl", "log.txt", "losses.png", "report.html", "samples/reals.png", "samples/fakes000010.png",
    "events.out.tfevents.1.me",
])  # fmt: skip
def test_a_single_file_of_an_earlier_run_is_enough_to_refuse(plates: ImageSet, tmp_path: Path, name: str) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / name).write_bytes(b"precious")
    error = refused(plates, tmp_path, tiny())
    assert (error.exit_code, (tmp_path / name).read_bytes()) == (ExitCode.CANNOT_WRITE, b"precious")
    assert all(word in str(error) for word in (name, "`overwrite=True`"))
    assert ("`resume=True`" in str(error)) is name.startswith("network-snapshot")
    train(plates, tmp_path, tiny(), overwrite=True)


def test_overwrite_leaves_what_a_run_in_an_empty_folder_leaves(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path / "a", tiny(epochs=3, seed=9), course=Course(sample_epochs=1, keep_snapshots=9))
    train(plates, tmp_path / "a", tiny(), overwrite=True)
    train(plates, tmp_path / "b", tiny())
    a, b = (
        {p.relative_to(folder).as_posix() for p in folder.rglob("*") if ".tfevents." not in p.name}
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert a == b
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert read_stats(tmp_path / "a" / "stats.jsonl") == read_stats(tmp_path / "b" / "stats.jsonl")


def test_overwrite_removes_nothing_that_gan_train_does_not_write(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny())
    others = ["generator.onnx", "MODEL_CARD.md", "samples/mine.png"]
    for name in others:
        (tmp_path / name).write_text("mine")
    train(plates, tmp_path, tiny(), overwrite=True)
    assert [(tmp_path / name).read_text() for name in others] == ["mine"] * 3


# Divergence


def test_a_learning_rate_beyond_all_measure_is_70_and_says_what_to_try(plates: ImageSet, tmp_path: Path) -> None:
    error = refused(plates, tmp_path, tiny(lr=1e30))
    assert error.exit_code is ExitCode.DIVERGED
    assert "`lr`" in str(error)


def test_a_diverged_run_without_a_snapshot_leaves_no_generator(plates: ImageSet, tmp_path: Path) -> None:
    refused(plates, tmp_path, tiny(lr=1e30))
    assert not list(tmp_path.glob("*.pth"))


@pytest.fixture
def diverges_at_step_7(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training whose seventh step gives a weight that is not a number."""
    step = Trainer.train_step

    def poisoned(self: Trainer) -> dict[str, torch.Tensor]:
        scalars = step(self)
        if self.step == 7:
            with torch.no_grad():
                next(self.g.parameters())[0, 0, 0, 0] = float("nan")
        return scalars

    monkeypatch.setattr(Trainer, "train_step", poisoned)


@pytest.mark.usefixtures("diverges_at_step_7")
def test_the_snapshot_from_before_a_divergence_stays_and_is_named(plates: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"network-snapshot-000006\.pt is from before"):
        train(plates, tmp_path, tiny(epochs=9), course=Course(sample_epochs=1, keep_snapshots=1))
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 6


@pytest.mark.usefixtures("diverges_at_step_7")
def test_the_generator_from_before_a_divergence_stays(plates: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        train(plates, tmp_path, tiny(epochs=9), course=Course(sample_epochs=1))
    reader.load_generator(tmp_path / "generator_model.pth")


@pytest.mark.usefixtures("diverges_at_step_7")
def test_a_divergence_is_noticed_at_the_next_row_of_statistics(plates: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="at step 8"):
        train(plates, tmp_path, tiny(epochs=9), course=Course(stats_every=4))


# Things that go wrong around a run


def test_a_second_training_in_one_folder_is_75(plates: ImageSet, tmp_path: Path) -> None:
    fd = lock_folder(tmp_path, "gan-train")
    assert refused(plates, tmp_path, tiny(epochs=1)).exit_code is ExitCode.LOCKED
    os.close(fd)
    train(plates, tmp_path, tiny(epochs=1))


def test_networks_too_large_to_make_leave_the_run_they_would_replace(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    before = weights(tmp_path)
    error = refused(plates, tmp_path, tiny(epochs=1, g_width=30_000_000), overwrite=True)
    assert error.exit_code is ExitCode.NO_DEVICE
    assert same(weights(tmp_path), before)
