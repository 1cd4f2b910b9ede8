"""Several processes on one training: what they agree on, and one training that `torchrun` starts."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn
from torch.distributed.run import main as torchrun

from gan.config import TrainConfig
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.distributed import joined
from gan.training.processes import ALONE, Processes, started
from gan.training.run import train
from gan.training.stats import read_stats
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from tests.conftest import ROOT, TINY, clean_environment, fails_in_one_line, made_once, run, run_in_process
from tests.gan.conftest import same, tiny
from tests.gan.training.made import folders

CPU = torch.device("cpu")
TORCHRUN = ("torchrun", "--standalone", "--nproc-per-node=2", "--no-python")


@pytest.mark.parametrize("flag", [True, False])
def test_who_is_alone_agrees_with_itself(flag: bool) -> None:
    assert ALONE.any(flag) is flag
    assert torch.equal(ALONE.mean(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 2.0]))
    assert ALONE.gather("mine") == ["mine"]
    assert ALONE.first("mine") == "mine"
    assert ALONE.is_first


def test_a_process_that_nobody_started_with_others_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "3")  # as some schedulers set it for their own ends
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert started() == ALONE


def test_a_process_that_torchrun_started_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert started() == Processes(rank=5, count=8, local_rank=1)
    assert not started().is_first


def test_who_is_alone_joins_no_group() -> None:
    with joined(ALONE):
        assert not torch.distributed.is_initialized()


def shares(count: int, monkeypatch: pytest.MonkeyPatch, steps: int = 6) -> list[list[list[int]]]:
    """Which images each process shows in each step."""
    monkeypatch.setattr("gan.training.distributed.DistributedDataParallel", lambda network, device_ids: network)
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 32, 32)
    config = tiny()
    trainers = [Trainer(images, config, CPU, processes=Processes(rank, count, rank)) for rank in range(count)]
    batches = [[trainer._real_batch(8 * step)[:, 0, 0, 0] for step in range(steps)] for trainer in trainers]
    return [[((batch + 1) * 127.5).round().int().tolist() for batch in of_one] for of_one in batches]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_show_together_the_batches_that_one_would_show_alone(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone,) = shares(1, monkeypatch)
    together = shares(count, monkeypatch)
    assert [list(chain.from_iterable(parts)) for parts in zip(*together, strict=True)] == alone


def test_processes_begin_with_equal_weights_and_draw_other_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.training.distributed.DistributedDataParallel", lambda network, device_ids: network)
    images = torch.zeros((12, 1, 32, 32), dtype=torch.uint8)
    first, second = (Trainer(images, tiny(), CPU, processes=Processes(rank, 2, rank)) for rank in (0, 1))
    networks: list[tuple[nn.Module, nn.Module]] = [(first.g, second.g), (first.d, second.d)]
    assert all(same(dict(ours.state_dict()), dict(theirs.state_dict())) for ours, theirs in networks)
    assert not torch.equal(torch.rand(8, generator=first.random), torch.rand(8, generator=second.random))


def test_another_process_that_is_gone_at_the_beginning_is_not_taken_for_a_wrong_size(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(network: nn.Module, device_ids: None) -> nn.Module:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer")

    monkeypatch.setattr("gan.training.distributed.DistributedDataParallel", lost)
    monkeypatch.setattr("gan.training.distributed.joined", nullcontext)  # there is nobody to join
    with pytest.raises(CommandError, match=r"process 0 stopped, .* Connection closed by peer") as error:
        train(plates, tmp_path, tiny(), processes=Processes(0, 2, 0))
    assert error.value.exit_code is ExitCode.DIVERGED


def test_processes_that_see_other_photos_do_not_train_together(tmp_path: Path) -> None:
    class Mixed(Processes):
        def gather(self, value: object) -> list[object]:
            return [value, value, "another"]

    images = torch.randint(256, (12, 1, 32, 32), dtype=torch.uint8)
    data = ImageSet(images, [f"{number}.png" for number in range(12)])
    with pytest.raises(CommandError, match="process 0 sees other photos than 2:") as refused:
        train(data, tmp_path / "out", tiny(), processes=Mixed())
    assert refused.value.exit_code is ExitCode.OTHER_RUN


def test_a_batch_that_cannot_be_shared_is_refused(plates: ImageSet) -> None:
    config: TrainConfig = tiny(batch_size=9)
    with pytest.raises(ValueError, match="9 images cannot be shared by 2"):
        Trainer(plates.images, config, torch.device("cpu"), processes=Processes(0, 2, 0))


IN_TURN = """
import os, shlex, shutil, sys
from pathlib import Path
import pytest
import torch
import torch.distributed as dist
from gan.cli import cli
from gan.config import Course
from gan.photos.which import Which
from gan.training import figures, training
from gan.training.folder import found
from gan.training.processes import started
from gan.training.run import train
from models import console
from tests.gan.conftest import draw_nothing, tiny

root, data, rank = Path(sys.argv[1]), Path(sys.argv[2]), started().rank
figures.LOOKED_AT = 50
draw_nothing(pytest.MonkeyPatch())
dist.init_process_group("gloo")
dist.init_process_group = dist.destroy_process_group = lambda *_: None  # of one group there is no second beginning
os.chdir(root / ("here" if rank == 0 else "elsewhere"))
for command in sys.argv[3:]:
    try:
        console.run(cli, "gan-train", shlex.split(command))
    except SystemExit as end:
        if end.code:
            raise

run = training.Training.run

def run_and_tell(self, trainer, state):
    end = run(self, trainer, state)
    weights = {name: dict(getattr(end.trainer, name).named_parameters()) for name in ("g", "d")}
    torch.save(weights, root / f"{rank}.pt")  # without running statistics, of which those of process 0 count
    return end

training.Training.run = run_and_tell
out, config = root / f"classes/{rank}", tiny("shift", epochs=2, class_from=0.1, class_to=0.7)
train(data, out, config, course=Course(sample_epochs=1), device="cpu", which=Which(classes=True))
if rank == 0:
    shutil.copytree(out, root / "classes/whole")
    found(out)[-1].unlink()
train(data, out, config, course=Course(sample_epochs=1), device="cpu", which=Which(classes=True), resume=True)
"""
"""`gan-train` again and again, then a training with classes and the second half of it once more, in one process: it
loads PyTorch once."""


def commands(photos: Path) -> list[str]:
    """`gan-train` at once, and in two parts."""
    few = shlex.join([str(photos), "--recipe", "dcgan", "--device", "cpu", "--image-size", "32", *TINY])
    return [f"{few} {more}" for more in (
        "--out whole --epochs 2", "--out parts --epochs 1", "--out parts --epochs 2 --resume"
    )]  # fmt: skip


def places(folder: Path) -> Path:
    """Where two processes train, the second in another folder, as if it were on another machine: it needs no --out."""
    for name in ("here", "elsewhere"):
        (folder / name).mkdir()
    return folder


def trained_alike(folder: Path, photos: Path) -> None:
    """Assert that `commands` left in `folder` what they should."""
    assert list((folder / "elsewhere").iterdir()) == []
    assert sorted(path.name for path in (folder / "here").iterdir()) == ["parts", "whole"]
    parts, whole = (snapshots.newest_snapshot(folder / "here" / name)[1] for name in ("parts", "whole"))
    assert same(parts, whole)
    assert len(whole["random"]) == 2
    words = [*shlex.split(commands(photos)[2]), "--epochs", "3", "--out", folder / "here/parts"]
    fails_in_one_line(run_in_process("gan-train", *words), ExitCode.OTHER_RUN, "2 processes")


@contextlib.contextmanager
def signals_as_before() -> Iterator[None]:
    """`torchrun` hears some for good."""
    heard = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def together(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `IN_TURN` leaves; tests must not change it.

    `torchrun` itself runs in this process, which has loaded PyTorch; what it starts does not.
    """

    def make(folder: Path) -> None:
        program = (sys.executable, "-c", IN_TURN, places(folder), folders(folder / "photos"), *commands(photos))
        with (
            signals_as_before(),
            contextlib.chdir(ROOT),
            mock.patch.dict(os.environ, clean_environment(OMP_NUM_THREADS="1"), clear=True),
        ):
            torchrun([str(word) for word in (*TORCHRUN[1:], *program)])  # it raises what a process ended with

    return made_once(tmp_path_factory, "together", make)


def test_two_processes_train_one_generator_alike_every_time_and_resume_it_exactly(together: Path, photos: Path) -> None:
    trained_alike(together, photos)


@pytest.mark.long
def test_two_processes_that_are_started_anew_for_each_part_do_so_too(photos: Path, tmp_path: Path) -> None:
    places(tmp_path)
    for words in commands(photos):
        script = f'[ "$RANK" = 0 ] || cd {shlex.quote(str(tmp_path / "elsewhere"))}; gan-train {words}'
        result = run(*TORCHRUN, "bash", "-c", script, cwd=tmp_path / "here", OMP_NUM_THREADS="1")
        assert result.returncode == 0, result.stderr
    trained_alike(tmp_path, photos)


def test_two_processes_with_classes_have_equal_weights_and_resume_exactly(together: Path) -> None:
    ours, theirs = (torch.load(together / f"{rank}.pt") for rank in (0, 1))
    assert same(ours, theirs)
    parts, whole = (snapshots.newest_snapshot(together / "classes" / name)[1] for name in ("0", "whole"))
    assert whole["step"] == 6
    assert same(parts, whole)
    assert all(same(weight, whole[network][name]) for network in ours for name, weight in ours[network].items())


OPTIONS = (
    *("--recipe", "small-data", "--d-spectral-norm", "--d-patches", "--d-decoder", "--bands", "--r2-gamma", "1"),
    *("--penalty-interval", "2", "--image-size", "32", "--stats-every", "1", "--sample-epochs", "99"),
    *("--device", "cpu", *TINY),
)
"""With all that the discriminator can do."""


@pytest.mark.long
def test_two_processes_that_are_asked_to_stop_both_stop_and_go_on_to_the_bit(photos: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    command = [*TORCHRUN, "gan-train", str(photos), "--out", str(cut), "--epochs", "200", *OPTIONS]
    with subprocess.Popen(
        command, env=clean_environment(OMP_NUM_THREADS="1"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 3," in line:
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "add --resume to go on" in errors
    assert "bug:" not in errors
    step = snapshots.newest_snapshot(cut)[1]["step"]
    assert step >= 3
    epochs = str(step // 3 + 2)
    for out, more in ((cut, ["--resume"]), (whole, [])):
        result = run(
            *TORCHRUN, "gan-train", photos, "--out", out, "--epochs", epochs, *OPTIONS, *more, OMP_NUM_THREADS="1"
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("generator_model.pth is ") == 1, "one process speaks for all"
    parts, one = (snapshots.newest_snapshot(out)[1] for out in (cut, whole))
    assert same(parts, one)
    assert read_stats(cut / "stats.jsonl") == read_stats(whole / "stats.jsonl")
