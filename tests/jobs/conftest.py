"""A small generator whose images all differ, one finished run of it, and ways to start, watch and kill a run."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jobs.dataset import manifest
from jobs.workers.crew import Order, Pool
from jobs.workers.engine import Work
from tests.conftest import ROOT, clean_environment, made_once, run_in_process

if TYPE_CHECKING:
    from tests.jobs.object_server import ObjectServer

SEED = 5
LONG_COUNT, LONG_SHARD = 600, 25
LONG_RUN = ("--shard-size", str(LONG_SHARD), "--batch-size", "5", "--workers", "2")
"""Twenty-four shards in about a second."""
VOLATILE = ("log.jsonl", "stats.json")
"""Files of a run that may differ between equal runs: times, rates, the machine."""


@pytest.fixture(scope="module")
def workers_here() -> Iterator[None]:
    """Runs in the process of a test have their workers there too, which take a third of a second each to start.

    For files whose claims are about what a run makes and says. How workers start, die and share the work is in others.
    """
    from tests.jobs.here import Here

    real = Work.open

    def opened(work: Work, order: Order, most: int, check: Callable[[], None]) -> Pool:
        here = work.engine.name == "local" and order.device in ("auto", "cpu")
        return Here(order) if here else real(work, order, most, check)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "open", opened)
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, operators_are_read_once: None) -> Path:
    """The ONNX file of a small gray generator; tests must not change it."""
    return _export(tmp_path_factory, "model", channels=1, seed=0)


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory, operators_are_read_once: None) -> Path:
    """The ONNX file of a small colour generator; tests must not change it."""
    return _export(tmp_path_factory, "colour", channels=3, seed=1)


@pytest.fixture(scope="session")
def masked_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of two classes that makes masks, a fifth of them empty; tests must not change it."""
    from tests.jobs.small_models import RARE, write_model

    path = tmp_path_factory.mktemp("masked") / "generator.onnx"
    return write_model(path, classes=("scratch", "dent"), masks=RARE)


@pytest.fixture(scope="session")
def masked_runs(masked_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of 130 images and masks in folders, `png`, and one in tar files, `tar`; tests must not change them."""
    from tests.jobs.masked import COUNT, FORMATS, SHARD

    def make(folder: Path) -> None:
        for name in FORMATS:
            succeeds(run_in_process(*batch(masked_model, folder / name, COUNT, *SHARD, "--format", name)))

    folder = made_once(tmp_path_factory, "masked-runs", make)
    return {name: folder / name for name in FORMATS}


@pytest.fixture
def masked_copy(masked_runs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the run in folders, for a test to change."""
    return shutil.copytree(masked_runs["png"], tmp_path / "run")


def _export(factory: pytest.TempPathFactory, name: str, channels: int, seed: int) -> Path:
    def make(folder: Path) -> None:
        import warnings

        from export import export_onnx
        from tests.export.conftest import lively

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.onnx warns its own developers
            export_onnx(lively(channels=channels, seed=seed), folder / "generator.onnx")

    return made_once(factory, name, make) / "generator.onnx"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A run left alone: 130 images in shards of 100; tests must not change it."""

    def make(folder: Path) -> None:
        succeeds(run_in_process(*batch(model, folder / "run", 130, "--shard-size", "100")))

    return made_once(tmp_path_factory, "finished", make) / "run"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, for a test to change."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="session")
def undisturbed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `LONG_COUNT` images in small shards that was left alone; tests must not change it."""

    def make(folder: Path) -> None:
        succeeds(run_in_process(*batch(model, folder / "run", LONG_COUNT, *LONG_RUN)))

    return made_once(tmp_path_factory, "undisturbed", make) / "run"


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """A server that speaks S3, with one bucket; tests take `server`."""
    from tests.jobs.object_server import ObjectServer  # here, since it takes a second

    made = ObjectServer()
    yield made
    made.close()


@pytest.fixture
def server(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """`object_server`, where this test and what it starts goes with s3:// addresses."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    object_server.asked.clear()
    yield object_server
    object_server.fault = None


@pytest.fixture
def without_cuda(model: Path) -> None:
    """Skips a test where ONNX Runtime really gets a CUDA session."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CUDAExecutionProvider"])
    except Exception:
        return
    if session.get_providers()[0] == "CUDAExecutionProvider":
        pytest.skip("this machine has a GPU that ONNX Runtime can use")


def batch(model: Path, out: Path, count: int, *options: str) -> list[str]:
    """The command that makes `count` images on the CPU, with the seed that all runs here share."""
    command = ["gan-batch", "--model", model, "--out", out, "--count", count, "--seed", SEED, "--device", "cpu"]
    return [*map(str, command), *options]


def succeeds(result: subprocess.CompletedProcess[str]) -> None:
    """Assert exit code 0 and nothing on stdout."""
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start a command and do not wait for it."""
    return subprocess.Popen(
        command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until `path` exists or `process` has ended."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.001)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the workers of a run."""
    tasks = Path(f"/proc/{process.pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def kill_at(operation: str, calls: int, imports: str, call: str) -> None:
    """Run `call` in a Python process of its own that SIGKILLs itself at the `calls + 1`th call of `os.<operation>`."""
    program = f"""
import os, signal
from pathlib import Path
{imports}

left, real = {calls}, os.{operation}

def deadly(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)

os.{operation} = deadly
{call}
"""
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def pause(process: subprocess.Popen[str]) -> None:
    """Stop a run, and wait until all its threads stand still and its workers have finished what they have in hand."""
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it was over before it could be stopped"
    seen: list[str] | None = None
    while seen != (seen := [_work_done(pid) for pid in workers_of(process)]):
        time.sleep(0.1)


def _work_done(pid: int) -> str:
    """A worker's state and the processor time that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return " ".join((fields[0], *fields[11:13]))


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file of a run but its lock, by relative name."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def committed_stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """The `stamps` of the shards that have a manifest, of these manifests, and of the measures of these shards."""
    numbers = [path.stem for path in folder.glob("_manifests/[0-9]*.csv")]
    owned = {f"{table}/{number}.csv" for number in numbers for table in ("_manifests", "_quality")}
    found = stamps(folder)
    shards = tuple(f"{root}/{number}/" for number in numbers for root in ("images", "masks"))
    return {name: stamp for name, stamp in found.items() if name in owned or name.startswith(shards)}


def differing(one: Path, other: Path, without: Sequence[str] = VOLATILE) -> list[str]:
    """Names of the files that only one of two runs has, or that differ between them, but for those in `without`."""
    files = [
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    ]
    names = files[0].keys() | files[1].keys()
    return sorted(name for name in names - set(without) if files[0].get(name) != files[1].get(name))


def temporaries(folder: Path) -> list[str]:
    """Hidden files of a run, of which only the lock may stay."""
    return [path.name for path in folder.rglob(".*") if path.name != ".lock"]


def rows_of(folder: Path) -> list[manifest.Row]:
    """The rows of a run's manifest."""
    return manifest.from_csv((folder / "manifest.csv").read_bytes())


def assert_whole_shards(folder: Path) -> None:
    """Assert that every committed manifest names files that are there with the bytes it tells."""
    for path in folder.glob("_manifests/[0-9]*.csv"):
        for row in manifest.from_csv(path.read_bytes()):
            for name, sha256 in ((row.file_name, row.sha256), (row.mask_file_name, row.mask_sha256)):
                assert name is None or hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


def decoded(content: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG as `[H, W, C]`, by Pillow."""
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
