"""A training whose disk is full: it ends with 74, what is whole stays whole, and it goes on from there."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gan.config import Course
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.events import Events
from gan.training.folder import found
from gan.training.run import train
from gan.training.trainer import Trainer
from models.errors import ExitCode, command_error
from tests.conftest import TINY, fails_in_one_line, run_in_process
from tests.gan.conftest import same, tiny

OFTEN = Course(stats_every=1, sample_epochs=1, keep_snapshots=2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave not one byte free."""
    with open(folder / "ballast", "wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    assert shutil.disk_usage(folder).free == 0


@pytest.mark.usefixtures("nothing_drawn")
def test_a_disk_that_fills_up_ends_the_command_with_74_and_it_goes_on_when_there_is_room(
    photos: Path, small_disk: Path, tmp_path: Path
) -> None:
    out, whole = small_disk / "models", tmp_path / "whole"
    often = ("--recipe", "dcgan", "--device", "cpu", "--stats-every", "1", "--sample-epochs", "1", *TINY)
    often = (*often, "--image-size", "32")
    (small_disk / "others").write_bytes(bytes(15 << 19))
    result = run_in_process("gan-train", photos, "--out", out, "--epochs", "9999", "--keep-snapshots", "9999", *often)
    fails_in_one_line(result, ExitCode.IO_ERROR, "No space left on device", "free some space", str(small_disk))
    path, state = snapshots.newest_snapshot(out)
    assert path == found(out)[-1], "half a snapshot was left"
    assert not list(out.rglob("*.tmp"))
    (small_disk / "others").unlink()
    epochs = str(state["step"] // 3 + 1)
    for folder, more in ((out, ["--resume"]), (whole, [])):
        result = run_in_process("gan-train", photos, "--out", folder, "--epochs", epochs, *often, *more)
        assert result.returncode == 0, result.stderr
    assert same(*(snapshots.newest_snapshot(folder)[1] for folder in (out, whole)))


WRITERS = [
    *(("snapshots.write_atomically", 0), ("snapshots.write_atomically", 1), ("snapshots.write_atomically", 2)),
    *(("keeper.write_atomically", 0), ("stats.write_file", 0), ("run_log.write_file", 0), ("state.write_file", 0)),
    *(("monitor.write_atomically", 0), ("events.Events.picture", 0)),
]
"""What writes a file of a run, and the how manieth of its calls in a step with a sample grid."""


CONFIG = tiny(epochs=3)


@pytest.fixture(scope="module")
def whole(plates: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose disk never was full."""
    out = tmp_path_factory.mktemp("whole")
    train(plates, out, CONFIG, course=OFTEN)
    return out


@pytest.mark.parametrize(("writer", "call"), WRITERS)
def test_whichever_file_finds_the_disk_full_it_is_74_and_the_run_goes_on(
    plates: ImageSet, whole: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, writer: str, call: int,
    capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if not writer.startswith(("monitor", "events")):
        request.getfixturevalue("nothing_drawn")
    module, _, name = f"gan.training.{writer}".rpartition(".")
    owner = Events if name == "picture" else importlib.import_module(module)
    write, step, calls = getattr(owner, name), Trainer.train_step, itertools.count()
    now = 0

    def counted(self: Trainer) -> Any:
        nonlocal now
        scalars = step(self)
        now = self.step
        return scalars

    def on_a_full_disk(*arguments: Any, **more: Any) -> Any:
        if now == 6 and next(calls) == call:
            fill(small_disk)
        return write(*arguments, **more)

    out = small_disk / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", counted)
        patch.setattr(owner, name, on_a_full_disk)
        with pytest.raises(OSError, match="No space left") as error:
            train(plates, out, CONFIG, course=OFTEN)
    ended = command_error(error.value)
    assert ended.exit_code is ExitCode.IO_ERROR
    assert str(out) in str(ended)
    assert "Traceback" not in capfd.readouterr().err
    assert not list(out.rglob("*.tmp"))
    assert all(snapshots.load(path)["step"] for path in found(out))
    (small_disk / "ballast").unlink()
    train(plates, out, CONFIG, course=OFTEN, resume=True)
    for left in ("generator_model.pth", "discriminator_model.pth", "network-snapshot-000009.pt"):
        assert same(snapshots.load(out / left), snapshots.load(whole / left))
    assert (out / "stats.jsonl").read_text() == (whole / "stats.jsonl").read_text()
