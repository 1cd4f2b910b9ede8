"""A training run: what it leaves, what it refuses, and how it goes on after it was stopped."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
from tests.conftest import ONE_THREAD, TINY, clean_environment, fails_in_one_line, run_in_process
from tests.gan.conftest import same, tiny

pytestmark = pytest.mark.usefixtures("nothing_drawn")

Tree = Callable[[Path, Sequence[str]], dict[str, bytes]]


def weights(folder: Path) -> dict[str, Any]:
    """The generator that a run left."""
    return reader.load(folder / "generator_model.pth")


def refused(data: ImageSet, out: Path, config: TrainConfig, **how: bool) -> CommandError:
    """The error that a run ends with."""
    with pytest.raises(CommandError) as error:
        train(data, out, config, **how)
    return error.value


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


# Going on


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["dcgan", "small-data"])
def test_a_run_in_two_parts_leaves_what_one_run_leaves(
    plates: ImageSet, tmp_path: Path, recipe: str, precision: str
) -> None:
    config = tiny(recipe, precision=precision)
    train(plates, tmp_path / "whole", config)
    train(plates, tmp_path / "parts", config, course=Course(sample_epochs=1, keep_snapshots=2))
    found(tmp_path / "parts")[-1].unlink()  # as if it had been cut off after the first epoch
    train(plates, tmp_path / "parts", config, resume=True)
    whole, parts = (snapshots.newest_snapshot(tmp_path / name)[1] for name in ("whole", "parts"))
    assert same(parts, whole)
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_statistics_of_a_run_cut_off_past_its_snapshot_have_no_row_twice(plates: ImageSet, tmp_path: Path) -> None:
    config = tiny(epochs=3)
    train(plates, tmp_path / "whole", config, course=Course(stats_every=1, sample_epochs=1))
    train(plates, tmp_path / "cut", config, course=Course(stats_every=1, sample_epochs=1))
    found(tmp_path / "cut")[-1].unlink()
    train(plates, tmp_path / "cut", config, course=Course(stats_every=1, sample_epochs=1), resume=True)
    assert read_stats(tmp_path / "cut" / "stats.jsonl") == read_stats(tmp_path / "whole" / "stats.jsonl")


def test_resuming_passes_over_a_truncated_snapshot(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path / "whole", tiny(epochs=3))
    train(plates, tmp_path / "cut", tiny(epochs=2), course=Course(sample_epochs=1))
    newest = found(tmp_path / "cut")[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    train(plates, tmp_path / "cut", tiny(epochs=3), resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_resuming_a_finished_run_leaves_its_generator_as_it_is(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny())
    before = weights(tmp_path)
    train(plates, tmp_path, tiny(), resume=True)
    assert same(weights(tmp_path), before)


@pytest.mark.parametrize("what", ["gone", "another"])
def test_resuming_a_finished_run_writes_a_generator_again_that_is_gone(
    plates: ImageSet, tmp_path: Path, what: str
) -> None:
    model = train(plates, tmp_path, tiny())
    before, options = weights(tmp_path), (tmp_path / "training_options.json").read_bytes()
    model.unlink()
    if what == "another":
        snapshots.save_weights(model, DCGAN(8, 1, 2))
    train(plates, tmp_path, tiny(), resume=True)
    assert same(weights(tmp_path), before)
    assert (tmp_path / "training_options.json").read_bytes() == options


def test_resuming_adds_to_the_log(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    train(plates, tmp_path, tiny(epochs=2), resume=True)
    assert (tmp_path / "log.txt").read_text().count("24 images of 1 channels") == 2


@pytest.mark.parametrize(("option", "value"), [("lr", 0.5), ("seed", 3), ("g_width", 4), ("precision", "bfloat16")])
def test_resuming_with_another_option_is_78_and_names_it(
    plates: ImageSet, tmp_path: Path, option: str, value: object
) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    error = refused(plates, tmp_path, tiny(epochs=2, **{option: value}), resume=True)
    assert (error.exit_code, f"{option} was " in str(error)) == (ExitCode.OTHER_RUN, True)


def test_resuming_with_other_images_is_78(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    fewer = ImageSet(plates.images[:-1], plates.names[:-1])
    assert refused(fewer, tmp_path, tiny(epochs=2), resume=True).exit_code is ExitCode.OTHER_RUN


def test_a_refused_resumption_leaves_the_run_untouched(plates: ImageSet, tmp_path: Path, tree: Tree) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    before = tree(tmp_path, ())
    refused(plates, tmp_path, tiny(epochs=2, lr=0.5), resume=True)
    assert tree(tmp_path, ()) == before


def test_resuming_where_nothing_is_makes_no_folder(plates: ImageSet, tmp_path: Path) -> None:
    assert refused(plates, tmp_path / "typo", tiny(), resume=True).exit_code is ExitCode.NO_INPUT
    assert not (tmp_path / "typo").exists()


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
    "stats.jsonl", "log.txt", "losses.png", "samples/reals.png", "samples/fakes000010.png", "events.out.tfevents.1.me",
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


# Signals, to real processes

LONG = ("--recipe", "dcgan", "--epochs", "20", "--stats-every", "1", "--sample-epochs", "20", "--device", "cpu", *TINY)
"""60 steps."""


@pytest.fixture(scope="module")
def uninterrupted(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "models"
    result = run_in_process("gan-train", photos, "--out", out, *LONG)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module", params=[(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def stopped(
    request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, subprocess.CompletedProcess[str]]:
    """A run that got a signal in the midst of it: its folder, the exit code that is due, and how it ended."""
    number, code = request.param
    out = tmp_path_factory.mktemp("stopped") / "models"
    command = ["gan-train", str(photos), "--out", str(out), *LONG]
    with subprocess.Popen(
        command, env=clean_environment(**ONE_THREAD), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 5," in line:
                break
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
    command = ["gan-train", str(photos), "--out", str(killed), *often, *TINY]
    with subprocess.Popen(command, env=clean_environment(**ONE_THREAD), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 8," in line:
                break
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 6 <= snapshots.newest_snapshot(killed)[1]["step"] < 18
    data, course = load_images(photos, 1, 32), Course(stats_every=1, sample_epochs=2)
    train(data, killed, tiny(epochs=6), course=course, resume=True)
    train(data, whole, tiny(epochs=6), course=course)
    assert same(weights(killed), weights(whole))
    assert read_stats(killed / "stats.jsonl") == read_stats(whole / "stats.jsonl")


def test_the_same_options_in_python_give_the_weights_of_the_command(
    photos: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    data = load_images(photos, 1, 128)
    model = train(data, tmp_path, TrainConfig(epochs=20, batch_size=8, z_dim=40, g_width=2, d_width=2))
    assert same(reader.load(model), weights(uninterrupted))


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


def test_a_run_is_not_resumed_on_another_kind_of_device(plates: ImageSet, tmp_path: Path) -> None:
    path = train(plates, tmp_path, tiny(epochs=1)).with_name("network-snapshot-000003.pt")
    state = torch.load(path, weights_only=True)
    torch.save({**state, "device": "cuda"}, path)
    error = refused(plates, tmp_path, tiny(epochs=2), resume=True)
    assert error.exit_code is ExitCode.OTHER_RUN
    assert "`device=cuda`" in str(error)


def test_a_snapshot_with_parts_missing_is_65(plates: ImageSet, tmp_path: Path) -> None:
    path = train(plates, tmp_path, tiny(epochs=1)).with_name("network-snapshot-000003.pt")
    state = torch.load(path, weights_only=True)
    del state["g_optimiser"]
    torch.save(state, path)
    assert refused(plates, tmp_path, tiny(epochs=2), resume=True).exit_code is ExitCode.BAD_DATA
