"""Weights and snapshots of a run: written whole or not at all, the newest found, and a generator taken from them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
import torch

from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.files import load
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.folder import found, snapshot_path
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode, writing_error
from tests.gan.conftest import same, tiny


def test_saved_weights_are_a_plain_state_dict_in_the_usual_memory_order(tmp_path: Path) -> None:
    generator = DCGAN(8, 3, 2).to(memory_format=torch.channels_last)
    snapshots.save_weights(tmp_path / "model.pth", generator)
    state = torch.load(tmp_path / "model.pth", weights_only=True)
    assert same(state, dict(generator.state_dict()))
    assert all(tensor.is_contiguous() for tensor in state.values())


@pytest.mark.parametrize("limit", [0, 1000, 30_000, 119_000])
def test_a_snapshot_that_the_disk_has_no_room_for_is_an_error_of_the_disk_and_leaves_the_old_one(
    tmp_path: Path, limit: int
) -> None:
    path = tmp_path / "network-snapshot-000010.pt"
    snapshots.save(path, {"snapshot_format": 1, "step": 10})
    content = {f"layer{number}": torch.ones(3000) for number in range(10)}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            snapshots.save(path, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert writing_error(error.value).exit_code is ExitCode.IO_ERROR
    assert snapshots.newest_snapshot(tmp_path)[1]["step"] == 10
    assert os.listdir(tmp_path) == [path.name]
    snapshots.save(path, content)
    assert same(load(path), content)


def snapshot(folder: Path, step: int) -> Path:
    path = snapshot_path(folder, step)
    snapshots.save(path, {"snapshot_format": 1, "step": step, "filler": torch.zeros(1000)})
    return path


def test_snapshots_are_ordered_by_step_and_not_by_text(tmp_path: Path) -> None:
    paths = [snapshot(tmp_path, step) for step in (999_999, 5, 1_000_000)]
    assert found(tmp_path) == [paths[1], paths[0], paths[2]]


def test_files_that_only_look_like_snapshots_are_no_snapshots(tmp_path: Path) -> None:
    for name in ("network-snapshot-best.pt", "network-snapshot-000001.pt.bak", ".network-snapshot-000002.pt.7.tmp"):
        (tmp_path / name).write_bytes(b"")
    assert found(tmp_path) == []


def test_newest_snapshot_is_the_one_of_the_last_step(tmp_path: Path) -> None:
    paths = [snapshot(tmp_path, step) for step in (20, 30, 10)]
    assert snapshots.newest_snapshot(tmp_path)[0] == paths[1]


@pytest.mark.parametrize("left", [0, 100, 3000])
def test_a_truncated_newest_snapshot_is_passed_over(tmp_path: Path, left: int) -> None:
    whole, broken = snapshot(tmp_path, 10), snapshot(tmp_path, 20)
    broken.write_bytes(broken.read_bytes()[:left])
    path, content = snapshots.newest_snapshot(tmp_path)
    assert (path, content["step"]) == (whole, 10)


def test_without_a_snapshot_there_is_nothing_to_resume_which_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        snapshots.newest_snapshot(tmp_path)
    assert error.value.exit_code is ExitCode.NO_INPUT


def test_where_all_snapshots_are_damaged_it_is_65(tmp_path: Path) -> None:
    snapshot(tmp_path, 10).write_bytes(b"")
    with pytest.raises(CommandError) as error:
        snapshots.newest_snapshot(tmp_path)
    assert error.value.exit_code is ExitCode.BAD_DATA


def test_a_generator_can_be_taken_from_a_snapshot_which_gives_its_average(tmp_path: Path, plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny("small-data"), torch.device("cpu"))
    trainer.train_step()
    trainer.train_step()
    snapshots.save(tmp_path / "network-snapshot-000002.pt", trainer.state())
    loaded = reader.load_generator(tmp_path / "network-snapshot-000002.pt")
    assert trainer.g_ema is not None
    assert same(dict(loaded.state_dict()), dict(trainer.g_ema.state_dict()))
    assert not same(dict(loaded.state_dict()), dict(trainer.g.state_dict()))


def test_a_snapshot_without_an_average_gives_its_generator(tmp_path: Path, plates: ImageSet) -> None:
    trainer = Trainer(plates.images, tiny(), torch.device("cpu"))
    trainer.train_step()
    snapshots.save(tmp_path / "network-snapshot-000001.pt", trainer.state())
    loaded = reader.load_generator(tmp_path / "network-snapshot-000001.pt")
    assert same(dict(loaded.state_dict()), dict(trainer.g.state_dict()))
