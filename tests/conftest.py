"""What all tests share: small photos, a small trained model, and commands run as a user runs them."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from models import console, files
from models.log import log

# Threads of PyTorch wait by spinning: with a worker of the tests on each core, all they do is take time from others.
os.environ["OMP_NUM_THREADS"] = "1"
gc.disable()  # until all is loaded: millions of objects come and none goes

pytest_plugins = ["tests.last_words", "tests.pools"]

# A script ignores two of these in what it starts in the background, and nohup the third. Commands that a test starts
# inherit that and hear nothing.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are cores, as a fifth of the time tests wait for others to die or answer."""
    return len(os.sched_getaffinity(0)) + 1


WAITING = (
    "test_ray.py",
    "test_object_runs.py",
    "test_object_faults.py",
    "test_crashes.py",
    "test_distributed.py",
    "test_documents.py",
)
"""Files whose tests mostly wait: they begin first, so that others have the cores meanwhile."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that wait."""
    items.sort(key=lambda item: WAITING.index(item.path.name) if item.path.name in WAITING else len(WAITING))


def pytest_collection_finish() -> None:
    """What is loaded now stays: nobody looks through it for garbage again."""
    gc.freeze()
    gc.enable()


ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
COMMANDS = {"gan-train": "gan.cli", "gan-eval": "gan.eval_cli", "gan-export": "export.cli", "gan-batch": "jobs.cli"}
"""The commands, and the module with the `cli` of each."""
TINY = ("--g-width", "2", "--d-width", "2", "--z-dim", "40", "--batch-size", "8", "--feature-matching", "0")
"""Options of gan-train that make a step take milliseconds."""


def scratch(random: np.random.Generator, height: int = 128, width: int = 128) -> NDArray[np.uint8]:
    """A gray plate with grain and one bright scratch: uint8 `[height, width]`."""
    plate = random.normal(110, 8, (height, width))
    column = random.integers(4, width - 4)
    plate[:, column - 1 : column + 2] += random.uniform(60, 110)
    return plate.clip(0, 255).astype(np.uint8)


def surface(seed: int) -> Image.Image:
    """A gray surface of 128×128 that resembles no other; its grain survives a thumbnail and JPEG."""
    coarse = np.random.default_rng(seed).normal(120, 25, (32, 32)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((128, 128), Image.Resampling.NEAREST)


def write_photos(folder: Path, count: int, seed: int = 0) -> Path:
    """`count` PNG photos of scratches in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(scratch(random)).save(folder / f"scratch_{number:03d}.png")
    return folder


NOT_A_USERS = ("GAN_", "OMP_", "MKL_", "OPENBLAS_", "ORT_", "TORCH", "RAY_", "HF_", "XDG_", "PYTHON", "PYTEST_", "MPL")
"""How variables begin that continuous integration or tests set, and a user's machine does not."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For commands that train: four times as fast where others use the machine, too."""


def clean_environment(**extra: str) -> dict[str, str]:
    """This environment as a user has it, without switches and without options of our commands."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_A_USERS)}
    return {**kept, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **extra}


def run(
    *command: str | Path, cwd: Path | None = None, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run an installed command to its end; nothing is raised for a non-zero exit code."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def run_in_process(
    program: str, *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as its entry point does, but in this process: it spares what a new one takes to import.

    What it says goes to files, so that C code is not heard; environment, working folder, log and signals are as before
    afterwards. A test whose claim is about the process itself takes `run`.
    """
    words = [str(argument) for argument in arguments]
    cli = importlib.import_module(COMMANDS[program]).cli
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    log.handlers = []
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, clean_environment(**ONE_THREAD, **environment), clear=True),
        warnings.catch_warnings(),
    ):
        try:
            with pytest.raises(SystemExit) as ended:
                console.run(cli, program, words)
        finally:
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(level)
            for number, handler in heard.items():
                signal.signal(number, handler)
        code = ended.value.code
        assert isinstance(code, int)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([program, *words], code, out.read(), err.read())


@pytest.fixture(autouse=True)
def _quiet_log() -> None:
    """Whatever earlier tests did to the log, each finds it as Python makes it: many look at what is warned of."""
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


def fails_in_one_line(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert the exit code, nothing on stdout, and one `error:` line, the last, that holds all `words`."""
    errors = [line for line in result.stderr.splitlines() if ": error: " in line]
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert len(errors) == 1, result.stderr
    assert result.stderr.splitlines()[-1] == errors[0], "lines after the error"
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in errors[0]


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_flushed() -> Iterator[None]:
    """Nobody cuts the power: what this process writes is not flushed to disk, for which tests would wait.

    A wrong descriptor is an error as ever, and commands in processes of their own flush.
    """

    def flush(fd: int) -> int:
        os.fstat(fd)
        return 0

    with mock.patch("os.fsync", flush), mock.patch.object(files._libc, "syncfs", flush):
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object], copy: bool = True) -> Path:
    """A folder that `make` fills: once in a run of the tests, however many workers it has.

    Each worker gets a copy, as two must not hold the lock of one folder; or all the same one, which nobody writes to.
    """
    base = factory.getbasetemp()
    shared = "PYTEST_XDIST_WORKER" in os.environ
    folder = (base.parent if shared else base) / f"shared-{name}"
    done = folder.with_suffix(".made")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed at it
            folder.mkdir()
            make(folder)
            done.touch()
    return shutil.copytree(folder, base / folder.name) if shared and copy else folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 photos; tests must not change it."""
    return made_once(tmp_path_factory, "photos", lambda folder: write_photos(folder, 24), copy=False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """What `gan-train` left after a few steps of a tiny network; tests must not change it."""
    options = ["--epochs", "2", "--stats-every", "2", "--recipe", "dcgan", *TINY, "--z-dim", "8"]

    def make(folder: Path) -> None:
        result = run_in_process("gan-train", photos, "--out", folder / "models", *options)
        assert result.returncode == 0, result.stderr

    return made_once(tmp_path_factory, "trained", make) / "models"


@pytest.fixture(scope="session")
def operators_are_read_once() -> Iterator[None]:
    """At every export torch.onnx parses the source of 500 operators again, which takes as long as all else in it.

    It also asks twice which operators there are, for a tenth of the time: nobody adds one meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ImportError, AttributeError):  # where PyTorch has it elsewhere, it takes its time
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            read_once = functools.cache(ONNXRegistry.from_torchlib)
            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(read_once))
        with contextlib.suppress(ImportError, AttributeError):
            from torch.export import decomp_utils, exported_program

            found = functools.cache(decomp_utils._collect_all_valid_cia_ops)
            for module in (decomp_utils, exported_program):
                patch.setattr(module, "_collect_all_valid_cia_ops", found)
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, trained: Path, operators_are_read_once: None) -> Path:
    """The ONNX file of the tiny network; tests must not change it."""

    def make(folder: Path) -> None:
        out = folder / "generator.onnx"
        result = run_in_process("gan-export", "onnx", trained / "generator_model.pth", "--out", out)
        assert result.returncode == 0, result.stderr

    return made_once(tmp_path_factory, "exported", make) / "generator.onnx"


@pytest.fixture
def tree() -> Callable[[Path, Sequence[str]], dict[str, bytes]]:
    """A function that reads a folder as {relative name: content}, without the names in its second argument."""

    def read(folder: Path, without: Sequence[str] = ()) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).as_posix() not in without
        }

    return read
