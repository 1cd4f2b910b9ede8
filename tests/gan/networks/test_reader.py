"""Files of a run: never half written, and never executed when read."""

from __future__ import annotations

import os
import pickle
import resource
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.folder import found, snapshot_path
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode, writing_error
from models.files import write_atomically
from tests.gan.conftest import same, tiny


class Hostile:
    """Creates a file when it is unpickled by a reader that trusts it."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


def as_zip(path: Path, content: object) -> None:
    torch.save(content, path)


def as_old_format(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


FORMATS = [as_zip, as_old_format, as_pickle]


def refused(path: Path, read: Callable[[Path], object] = reader.load) -> CommandError:
    """The error that reading `path` ends with."""
    with pytest.raises(CommandError) as error:
        read(path)
    return error.value


@pytest.mark.parametrize("write", FORMATS)
def test_a_file_that_would_run_code_is_refused_with_65(tmp_path: Path, write: Callable[[Path, object], None]) -> None:
    write(tmp_path / "model.pth", {"main.0.weight": Hostile(tmp_path / "victim")})
    assert refused(tmp_path / "model.pth").exit_code is ExitCode.BAD_DATA


@pytest.mark.parametrize("write", FORMATS)
def test_a_file_that_would_run_code_runs_none(tmp_path: Path, write: Callable[[Path, object], None]) -> None:
    write(tmp_path / "model.pth", {"main.0.weight": Hostile(tmp_path / "victim")})
    refused(tmp_path / "model.pth")
    assert not (tmp_path / "victim").exists()
    torch.load(tmp_path / "model.pth", weights_only=False) if write is not as_pickle else pickle.loads(
        (tmp_path / "model.pth").read_bytes()
    )
    assert (tmp_path / "victim").exists(), "a trusting reader would have run it"


@pytest.mark.parametrize("write", [as_zip, as_old_format])
def test_a_whole_pickled_module_is_refused_with_what_to_give_instead(
    tmp_path: Path, write: Callable[[Path, object], None]
) -> None:
    write(tmp_path / "model.pth", DCGAN(8, 1, 2))
    error = refused(tmp_path / "model.pth")
    assert (error.exit_code, "state_dict()" in str(error)) == (ExitCode.BAD_DATA, True)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_65(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.pth"
    snapshots.save_weights(path, DCGAN(8, 1, 2))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refused(path).exit_code is ExitCode.BAD_DATA


def test_a_file_of_another_kind_is_65(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_text("<html>404</html>")
    assert refused(tmp_path / "model.pth").exit_code is ExitCode.BAD_DATA


@pytest.mark.parametrize("content", [[1, 2], [], torch.zeros(3), 5, None])
def test_a_file_without_names_is_65(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth", reader.load_generator).exit_code is ExitCode.BAD_DATA


def test_a_missing_file_is_66_and_named_with_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(Path("generator_model.pth"))
    assert error.exit_code is ExitCode.NO_INPUT
    assert str(tmp_path / "generator_model.pth") in str(error)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"main.0.weight": "text"},
        {"epoch": 3, "model": {}},
        {0: torch.zeros(1)},
        {"snapshot_format": 1},
        {"snapshot_format": 1, "g": None, "g_ema": None},
        {"snapshot_format": 1, "g": torch.zeros(2), "g_ema": None},
    ],
    ids=str,
)
def test_a_dictionary_that_is_no_generator_is_65(tmp_path: Path, content: dict[Any, Any]) -> None:
    torch.save(content, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth", reader.load_generator).exit_code is ExitCode.BAD_DATA


def test_weights_that_are_not_finite_are_65(tmp_path: Path) -> None:
    generator = DCGAN(8, 1, 2)
    generator.state_dict()["main.0.weight"].fill_(float("nan"))
    snapshots.save_weights(tmp_path / "model.pth", generator)
    assert refused(tmp_path / "model.pth", reader.load_generator).exit_code is ExitCode.BAD_DATA


def test_an_object_is_named_in_the_error(tmp_path: Path) -> None:
    torch.save({"main.0.weight": Hostile(tmp_path / "victim")}, tmp_path / "model.pth")
    assert f"{os.mkdir.__module__}.mkdir" in str(refused(tmp_path / "model.pth"))


def test_plain_values_of_a_training_run_are_read(tmp_path: Path) -> None:
    content = {
        "epoch": 3,
        "losses": [(0.5, 1.5), (0.25, None)],
        "milestones": Counter([10, 20, 20]),
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "shape": torch.Size([2, 3]),
        "parameter": nn.Parameter(torch.ones(2)),
        "optimizer": torch.optim.Adam(DCGAN(8, 1, 1).parameters()).state_dict(),
    }
    for write in (as_zip, as_old_format):
        write(tmp_path / "run.pt", content)
        assert same(reader.load(tmp_path / "run.pt"), content)


class Shadowed:
    """Unpickled it is an OrderedDict of `items` whose methods cannot be called."""

    def __init__(self, items: dict[str, Any]) -> None:
        self.items = items

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), dict.fromkeys(("items", "keys", "values", "get"), 5), None, iter(self.items.items())


def test_attributes_in_place_of_methods_change_nothing(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    for content in (Shadowed(state), Shadowed({"netG": Shadowed(state)})):
        torch.save(content, tmp_path / "model.pth")
        assert torch.load(tmp_path / "model.pth", weights_only=True).items == 5
        assert same(dict(reader.load_generator(tmp_path / "model.pth").state_dict()), state)


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "model.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "model.pth") as archive:
        assert archive.testzip() is not None
    assert same(reader.load(tmp_path / "model.pth"), state)


# Training checkpoints of other programs


def small_networks() -> dict[str, dict[str, Tensor]]:
    """The state dicts of a generator and a discriminator under the names of the usual DCGAN script."""
    return {"netG": dict(DCGAN(8, 1, 2).state_dict()), "netD": dict(Discriminator(1, 2).state_dict())}


@pytest.mark.parametrize("key", ["netG", "state_dict"])
def test_the_one_generator_in_a_training_checkpoint_is_read(tmp_path: Path, key: str) -> None:
    networks = small_networks()
    adam = torch.optim.Adam(DCGAN(8, 1, 2).parameters()).state_dict()
    torch.save({"epoch": 3, "netD": networks["netD"], key: networks["netG"], "adam": adam}, tmp_path / "model.pth")
    read = reader.load_generator(tmp_path / "model.pth")
    assert same(dict(read.state_dict()), networks["netG"])


def test_a_checkpoint_with_two_generators_is_refused_with_their_keys(tmp_path: Path) -> None:
    networks = small_networks()
    torch.save({**networks, "average": dict(networks["netG"])}, tmp_path / "model.pth")
    error = refused(tmp_path / "model.pth", reader.load_generator)
    assert error.exit_code is ExitCode.BAD_DATA
    assert "netG, average" in str(error)
    assert "netD" not in str(error)


def test_a_checkpoint_without_a_generator_is_refused_with_its_keys(tmp_path: Path) -> None:
    torch.save({"netD": small_networks()["netD"], "other": {}, "epoch": 3}, tmp_path / "model.pth")
    error = refused(tmp_path / "model.pth", reader.load_generator)
    assert error.exit_code is ExitCode.BAD_DATA
    assert "netD is not a DCGAN generator" in str(error)
    assert "other is not a DCGAN generator" in str(error)


def test_a_snapshot_without_an_average_but_a_tensor_in_its_place_is_65(tmp_path: Path) -> None:
    torch.save({"snapshot_format": 1, "g_ema": torch.zeros(2), "g": {}}, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth", reader.load_generator).exit_code is ExitCode.BAD_DATA


def test_saved_weights_are_a_plain_state_dict_in_the_usual_memory_order(tmp_path: Path) -> None:
    generator = DCGAN(8, 3, 2).to(memory_format=torch.channels_last)
    snapshots.save_weights(tmp_path / "model.pth", generator)
    state = torch.load(tmp_path / "model.pth", weights_only=True)
    assert same(state, dict(generator.state_dict()))
    assert all(tensor.is_contiguous() for tensor in state.values())


# Writing


def fail_half_way(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a.txt", fail_half_way)
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_writer_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a.txt", fail_half_way)
    assert list(tmp_path.iterdir()) == []


def test_while_a_file_is_written_its_place_holds_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    seen: list[str] = []

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        seen.append((tmp_path / "a.txt").read_text())

    write_atomically(tmp_path / "a.txt", write)
    assert [*seen, (tmp_path / "a.txt").read_text()] == ["old", "new"]


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
    assert same(reader.load(path), content)


# Digests


def test_digest_of_weights_does_not_depend_on_the_file_they_came_in(tmp_path: Path) -> None:
    generator = DCGAN(8, 1, 2)
    snapshots.save_weights(tmp_path / "a.pth", generator)
    as_old_format(tmp_path / "b.pth", generator.to(memory_format=torch.channels_last).state_dict())
    digests = {reader.weights_sha256(reader.load(tmp_path / name)) for name in ("a.pth", "b.pth")}
    assert len(digests) == 1


def test_digest_of_a_generator_does_not_depend_on_the_form_its_weights_came_in(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    forms: dict[str, dict[str, Any]] = {
        "plain": state,
        "bare names": {name.removeprefix("main."): tensor for name, tensor in state.items()},
        "parallel": {f"module.{name}": tensor for name, tensor in state.items()},
        "doubles": {name: tensor.double() for name, tensor in state.items()},
        "parameters": {name: nn.Parameter(tensor, requires_grad=False) for name, tensor in state.items()},
        "another order": dict(reversed(state.items())),
        "no counters": {name: tensor for name, tensor in state.items() if not name.endswith("tracked")},
        "a checkpoint": {"epoch": 3, "netG": state},
    }
    for name, form in forms.items():
        torch.save(form, tmp_path / f"{name}.pth")
    read = [reader.load_generator(tmp_path / f"{name}.pth") for name in forms]
    assert {reader.weights_sha256(generator.state_dict()) for generator in read} == {reader.weights_sha256(state)}


@pytest.mark.parametrize("name", ["main.0.weight", "main.1.running_mean"])
def test_digest_of_weights_changes_with_any_of_them(name: str) -> None:
    generator = DCGAN(8, 1, 2)
    before = reader.weights_sha256(generator.state_dict())
    generator.state_dict()[name].flatten()[0] += 1e-3
    assert reader.weights_sha256(generator.state_dict()) != before


# Snapshots


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
    assert refused(tmp_path, snapshots.newest_snapshot).exit_code is ExitCode.NO_INPUT


def test_where_all_snapshots_are_damaged_it_is_65(tmp_path: Path) -> None:
    snapshot(tmp_path, 10).write_bytes(b"")
    assert refused(tmp_path, snapshots.newest_snapshot).exit_code is ExitCode.BAD_DATA


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
