"""Every file operation of a run fails once, for good, by halves, or kills: the same command finishes the run anyway.

The way SQLite tests itself: count the operations, then let the first one fail, the second one, and so on to the last.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.dataset import manifest
from jobs.dataset.layout import MANIFESTS, STATE
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import assert_whole_shards, batch, differing, stamps, succeeds, temporaries
from tests.jobs.faults import Disturbance, Operation, disturbed

COUNT, PART, SHARD = 8, 4, 3
OPTIONS = ("--shard-size", str(SHARD), "--batch-size", "2", "--workers", "1")
"""Two shards and a part of a third; the part of it begins with a shard and a third of one."""
MODES = {
    "an error once": [Disturbance("once", error="ENOSPC"), Disturbance("once", error="EIO")],
    "errors for good": [Disturbance("from", error="ENOSPC"), Disturbance("from", error="EROFS")],
    "one byte written": [Disturbance("short", counted="write")],
    "its process killed": [Disturbance("kill")],
    "the main process killed": [Disturbance("kill main")],
}
"""What goes wrong; where there are two, they take turns."""
CODES = {"ENOSPC": 74, "EIO": 74, "EROFS": 73}


@dataclass(frozen=True)
class Scene:
    """A run, and where it begins.

    Attributes:
        begin: a folder to begin with; none: with nothing.
        command: without its folder.
        end: the folder as it is without faults.
        trace: what such a run does.
    """

    model: Path
    begin: Path | None
    end: Path
    trace: list[Operation]

    def command(self, out: Path) -> list[str]:
        return batch(self.model, out, COUNT, *OPTIONS)

    def operations(self, mode: str) -> int:
        """How many there are to fail."""
        counted = MODES[mode][0].counted
        begun = [operation for operation in self.trace if operation.moment == "begins"]
        return sum(not counted or operation.name in counted.split() for operation in begun)


@pytest.fixture(scope="module")
def begun(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of `PART` images."""
    out = tmp_path_factory.mktemp("begun") / "run"
    succeeds(run_in_process(*batch(model, out, PART, *OPTIONS)))
    return out


@pytest.fixture(scope="module")
def new_run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """All `COUNT` images in a new folder."""
    return scene(model, None, tmp_path_factory.mktemp("new") / "run")


@pytest.fixture(scope="module")
def longer_run(model: Path, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A complete run of `PART` images, extended to `COUNT`."""
    return scene(model, begun, tmp_path_factory.mktemp("longer") / "run")


def scene(model: Path, begin: Path | None, out: Path) -> Scene:
    if begin:
        shutil.copytree(begin, out)
    result, trace = disturbed(batch(model, out, COUNT, *OPTIONS), out, Disturbance())
    succeeds(result)
    return Scene(model, begin, out, trace)


@dataclass(frozen=True)
class Attempt:
    """One fault: whether the run came so far, where it met it, how it ended, and what is wrong with that."""

    disturbance: Disturbance
    reached: bool
    operation: str
    code: int
    complaint: str

    def __str__(self) -> str:
        return f"{self.disturbance} ({self.operation}): exit code {self.code}: {self.complaint}"


def owned(out: Path) -> dict[str, tuple[int, int]]:
    """The `stamps` of all images that committed manifests name, and of the manifests of whole shards."""
    names = set()
    for number, stop in manifest.committed(LocalStore(out), SHARD).items():
        if stop == (number + 1) * SHARD:
            names.add(f"{MANIFESTS}/{number:05d}.csv")
        names |= {row.file_name for row in manifest.read_shard(LocalStore(out), number)}
    found = stamps(out)
    return {name: found[name] for name in names}


def attempt(
    scene: Scene,
    disturbance: Disturbance,
    out: Path,
    result: subprocess.CompletedProcess[str],
    trace: list[Operation],
) -> Attempt:
    """Look at what a run with a fault left, then run without; says what went wrong rather than raising it, so that one
    does not hide more.
    """
    counted = disturbance.counted.split()
    hit = next(
        (
            operation
            for operation in trace
            if operation.number == disturbance.at and (not counted or operation.name in counted)
        ),
        None,
    )
    complaint = ""
    try:
        ends_as_it_should(result, disturbance, hit, out)
        assert_whole_shards(out)
        before = owned(out)
        succeeds(run_in_process(*scene.command(out)))
        after = stamps(out)
        assert {name: after.get(name) for name in before} == before, "something committed was touched"
        assert temporaries(out) == [], "temporary files stay"
        assert differing(out, scene.end) == [], "it differs from an undisturbed run"
    except AssertionError as error:
        complaint = f"{error}"
    where = f"{hit.process}: {hit.name} {hit.path}" if hit else "not reached"
    return Attempt(disturbance, hit is not None, where, result.returncode, complaint)


def is_harmless(operation: Operation) -> bool:
    """Whether a run may be as it should be though this failed: making a folder that is there, giving back the lock."""
    return operation.name == "mkdir" or (operation.name, operation.path) == ("close", ".lock")


def ends_as_it_should(
    result: subprocess.CompletedProcess[str], disturbance: Disturbance, hit: Operation | None, out: Path
) -> None:
    if hit is None or disturbance.mode == "short":
        succeeds(result)
    elif disturbance.mode == "kill main" or (disturbance.mode == "kill" and hit.process == "main"):
        assert result.returncode == -signal.SIGKILL
    elif disturbance.mode == "kill":
        succeeds(result)
        assert "a worker died at shard" in result.stderr
    elif result.returncode != 0 or not is_harmless(hit):
        fails_in_one_line(result, CODES[disturbance.error], str(out))


def attempt_all(scene: Scene, disturbances: list[Disturbance]) -> list[Attempt]:
    """First the runs with a fault, two at a time; then those without, here, which spares what a new process takes."""

    def disturb(out: Path, disturbance: Disturbance) -> tuple[subprocess.CompletedProcess[str], list[Operation]]:
        if scene.begin:
            shutil.copytree(scene.begin, out)
        return disturbed(scene.command(out), out, disturbance)

    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / str(number) for number in range(len(disturbances))]
        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(disturb, outs, disturbances))
        return [attempt(scene, *each, *end) for *each, end in zip(disturbances, outs, ended, strict=True)]


def disturbances(mode: str, numbers: Iterable[int]) -> list[Disturbance]:
    """One of a mode for each number of an operation."""
    kinds = MODES[mode]
    return [dataclasses.replace(kinds[turn % len(kinds)], at=number) for turn, number in enumerate(numbers)]


def assert_nothing_is_lost(attempts: list[Attempt], capsys: pytest.CaptureFixture[str]) -> None:
    reached = [attempt for attempt in attempts if attempt.reached]
    wrong = [str(attempt) for attempt in attempts if attempt.complaint]
    codes = dict(Counter(attempt.code for attempt in reached))
    with capsys.disabled():
        print(f" {len(reached)} faults, exit codes {codes}, {len(wrong)} wrong ", end="")
    assert wrong == []
    assert len(reached) > 0.8 * len(attempts)  # shards that are committed together take fewer operations


@pytest.mark.parametrize("mode", MODES)
def test_fault_at_some_operations_loses_nothing(mode: str, new_run: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    tries = 4
    last = new_run.operations(mode) * 5 // 6  # a run that commits all shards together takes a ninth fewer
    numbers = [1 + place * (last - 1) // (tries - 1) for place in range(tries)]
    assert_nothing_is_lost(attempt_all(new_run, disturbances(mode, numbers)), capsys)


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_fault_at_every_operation_loses_nothing(mode: str, new_run: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    last = new_run.operations(mode)
    assert last > 20
    assert_nothing_is_lost(attempt_all(new_run, disturbances(mode, range(1, last + 1))), capsys)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["an error once", "the main process killed"])
def test_fault_at_every_third_operation_of_an_extension_loses_nothing(
    mode: str, longer_run: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    last = longer_run.operations(mode)
    assert last > 100
    assert_nothing_is_lost(attempt_all(longer_run, disturbances(mode, range(1, last + 1, 3))), capsys)


def place(trace: list[Operation], moment: str, name: str, path: str, after: int = -1) -> int:
    """Where in a trace an operation begins or ended first, behind `after`."""
    for number, operation in enumerate(trace):
        if number > after and (operation.moment, operation.name, operation.path) == (moment, name, path):
            return number
    raise AssertionError(f"{name} of {path} never {moment} after line {after}")


def last_place(trace: list[Operation], moment: str, name: str, path: str) -> int:
    """Where in a trace an operation begins or ended last."""
    return len(trace) - 1 - place(trace[::-1], moment, name, path)


@pytest.fixture(scope="module")
def ordered(masked_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Operation]]:
    """A run with masks by two workers of nine shards, and its trace."""
    out = tmp_path_factory.mktemp("ordered") / "run"
    command = batch(masked_model, out, 26, "--shard-size", "3", "--batch-size", "2", "--workers", "2")
    result, trace = disturbed(command, out, Disturbance())
    succeeds(result)
    return out, trace


def test_images_and_masks_of_a_shard_are_flushed_before_its_manifest_appears(
    ordered: tuple[Path, list[Operation]],
) -> None:
    out, trace = ordered
    for number in range(9):
        rows = manifest.read_shard(LocalStore(out), number)
        names = [name for row in rows for name in (row.file_name, row.mask_file_name or "none")]
        written = max(last_place(trace, "ended", "close", name) for name in names)
        table = place(trace, "ended", "close", f"{MANIFESTS}/.{number:05d}.csv.tmp")
        flush_begins = place(trace, "begins", "syncfs", ".lock", after=max(written, table))
        flush_ended = place(trace, "ended", "syncfs", ".lock", after=flush_begins)
        assert flush_ended < place(trace, "begins", "replace", f"{MANIFESTS}/{number:05d}.csv")


def test_name_of_every_manifest_is_flushed_before_the_run_is_called_complete(
    ordered: tuple[Path, list[Operation]],
) -> None:
    out, trace = ordered
    assert json.loads((out / STATE).read_text())["state"] == "complete"
    complete = last_place(trace, "begins", "replace", STATE)
    for number in range(9):
        appeared = place(trace, "ended", "replace", f"{MANIFESTS}/{number:05d}.csv")
        flush = place(trace, "begins", "fsync", MANIFESTS, after=appeared)
        assert place(trace, "ended", "fsync", MANIFESTS, after=flush) < complete


@pytest.mark.parametrize("name", ["manifest.csv", "contact_sheet.png", "quality.json"])
def test_run_is_called_complete_after_all_else_is_on_disk(name: str, ordered: tuple[Path, list[Operation]]) -> None:
    _, trace = ordered
    complete = last_place(trace, "begins", "replace", STATE)
    content = place(trace, "ended", "fsync", f".{name}.tmp")
    renamed = place(trace, "begins", "replace", name)
    named = place(trace, "begins", "fsync", ".", after=renamed)
    assert content < renamed < place(trace, "ended", "fsync", ".", after=named) < complete


def test_manifest_whose_name_a_kill_left_unflushed_is_flushed_by_the_next_run(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = batch(model, out, 3, *OPTIONS)
    killed, trace = disturbed(command, out, Disturbance("kill", at=4, counted="fsync"))
    assert killed.returncode == -signal.SIGKILL
    assert (trace[-1].moment, trace[-1].name, trace[-1].path) == ("begins", "fsync", MANIFESTS)
    assert (out / MANIFESTS / "00000.csv").exists()
    result, trace = disturbed(command, out, Disturbance())
    succeeds(result)
    complete = last_place(trace, "begins", "replace", STATE)
    flushed = [
        number
        for number, operation in enumerate(trace)
        if (operation.moment, operation.name) in (("ended", "fsync"), ("ended", "syncfs"))
        and (operation.name == "syncfs" or operation.path == MANIFESTS)
    ]
    assert [number for number in flushed if number < complete], "after a power loss the run may miss a manifest"
