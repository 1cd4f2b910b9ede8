"""The committer: one flush for all that finished meanwhile, errors that surface, no waiting for what is given up."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import jobs.stores.local_store
import models.files
from jobs.dataset import manifest
from jobs.dataset.committer import Committer
from jobs.dataset.layout import MANIFESTS, MEASURES
from jobs.dataset.shard import Shard
from jobs.run import OnDisk, run_batch
from jobs.stores.local_store import LocalStore
from jobs.workers.engine import Work
from models.errors import CommandError, ExitCode
from models.files import lock_folder
from tests.conftest import clean_environment, fails_in_one_line, run, run_in_process
from tests.jobs.conftest import assert_whole_shards, batch, differing, succeeds, temporaries
from tests.jobs.faults import Disturbance, operations, seconds_until_no_worker

MEASURED = b"0,1.0,0.0,1\n"


def shard(number: int) -> Shard:
    return Shard(number, number, number + 1)


def row(number: int) -> bytes:
    name = f"{number:05d}/{number:08d}.png"
    return manifest.lines([manifest.Row(number, name, 5, "0" * 64, 128, 128, "L", 7000)])


def nothing(*_: object) -> None:
    """Neither listens nor stops."""


class SlowStore(LocalStore):
    """A store whose commits wait until they are let go, and may then fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        (root / MANIFESTS).mkdir()
        (root / MEASURES).mkdir()
        self.groups: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def commit(self, files: Mapping[str, bytes]) -> None:
        self.groups.append([name for name in files if name.startswith(MANIFESTS)])
        self.begun.release()
        assert self.go_on.wait(20), "nobody let the commit go on"
        if self.error:
            raise self.error
        super().commit(files)


@pytest.fixture
def slow(tmp_path: Path) -> SlowStore:
    return SlowStore(tmp_path)


def names(*numbers: int) -> list[str]:
    return [f"{MANIFESTS}/{number:05d}.csv" for number in numbers]


def seconds(function: Callable[[], object]) -> float:
    start = time.monotonic()
    function()
    return time.monotonic() - start


def commit(committer: Committer, *numbers: int) -> None:
    for number in numbers:
        committer.commit(shard(number), row(number), MEASURED)


def seconds_until_raised(kind: type[Exception], words: str, function: Callable[[], object]) -> float:
    start = time.monotonic()
    with pytest.raises(kind, match=words):
        function()
    return time.monotonic() - start


def test_shards_that_finish_while_a_commit_is_slow_are_committed_together(slow: SlowStore) -> None:
    committed: list[int] = []
    with Committer(slow, lambda done: committed.append(done.number), nothing) as committer:
        commit(committer, 0)
        slow.begun.acquire()
        commit(committer, 1, 2, 3)
        slow.go_on.set()
    assert slow.groups == [names(0), names(1, 2, 3)]
    assert committed == [0, 1, 2, 3]
    assert manifest.committed(slow, 1) == {0: 1, 1: 2, 2: 3, 3: 4}


def test_shards_of_one_group_cost_one_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, flushes = SlowStore(tmp_path), itertools.count()
    flush = jobs.stores.local_store.sync_filesystem

    def counted(*arguments: Any) -> None:
        next(flushes)
        flush(*arguments)

    monkeypatch.setattr(jobs.stores.local_store, "sync_filesystem", counted)
    with Committer(slow, nothing, nothing) as committer:
        commit(committer, 0)
        slow.begun.acquire()
        commit(committer, *range(1, 40))
        slow.go_on.set()
    assert next(flushes) == 2
    assert len(list((tmp_path / MANIFESTS).glob("*.csv"))) == 40


def test_commit_does_not_wait_for_the_disk(slow: SlowStore) -> None:
    with Committer(slow, nothing, nothing) as committer:
        taken = seconds(lambda: commit(committer, *range(20)))
        slow.go_on.set()
    assert taken < 0.5


def test_leaving_waits_until_everything_is_committed(slow: SlowStore) -> None:
    threading.Timer(1.5, slow.go_on.set).start()  # longer than the patience with what is given up
    with Committer(slow, nothing, nothing) as committer:
        commit(committer, 0, 1, 2)
    assert sorted(manifest.committed(slow, 1)) == [0, 1, 2]


def test_shard_is_told_of_only_after_it_is_committed(slow: SlowStore) -> None:
    there: list[bool] = []
    slow.go_on.set()
    with Committer(slow, lambda done: there.append((slow.root / names(done.number)[0]).exists()), nothing) as committer:
        commit(committer, *range(5))
    assert there == [True] * 5


def test_committed_files_are_whole_tables(slow: SlowStore) -> None:
    slow.go_on.set()
    with Committer(slow, nothing, nothing) as committer:
        commit(committer, 0)
    assert [found.index for found in manifest.read_shard(slow, 0)] == [0]
    header, measured = (slow.root / MEASURES / "00000.csv").read_bytes().splitlines(keepends=True)
    assert header == b"index,contrast,clipped,finite\n"
    assert measured == MEASURED


def test_error_surfaces_where_the_next_shard_is_handed_over(slow: SlowStore) -> None:
    def work() -> None:
        with Committer(slow, nothing, nothing) as committer:
            commit(committer, 0)
            slow.begun.acquire()
            slow.go_on.set()
            for number in range(1, 300):
                time.sleep(0.01)
                commit(committer, number)
            pytest.fail("it never surfaced")

    slow.error = OSError(28, "No space left on device")
    assert seconds_until_raised(OSError, "No space left", work) < 2
    assert len(slow.groups) < 3, "it went on after an error"
    assert temporaries(slow.root) == []


def test_error_at_the_last_shard_surfaces_on_leaving(slow: SlowStore) -> None:
    slow.error = OSError(5, "Input/output error")
    slow.go_on.set()
    with pytest.raises(OSError, match="Input/output"), Committer(slow, nothing, nothing) as committer:
        commit(committer, 0)


def test_error_of_the_listener_surfaces(slow: SlowStore) -> None:
    def listener(done: Shard) -> None:
        raise OSError(28, f"no space to note {done.number}")

    slow.go_on.set()
    with pytest.raises(OSError, match="to note 0"), Committer(slow, listener, nothing) as committer:
        commit(committer, 0)


def test_leaving_by_an_exception_commits_what_is_finished_where_the_disk_is_quick_enough(slow: SlowStore) -> None:
    def leave() -> None:
        with Committer(slow, nothing, nothing) as committer:
            commit(committer, 0)
            slow.begun.acquire()
            commit(committer, 1, 2)
            threading.Timer(0.2, slow.go_on.set).start()
            raise KeyError("left")

    assert seconds_until_raised(KeyError, "left", leave) < 1.5
    assert slow.groups == [names(0), names(1, 2)]
    assert sorted(manifest.committed(slow, 1)) == [0, 1, 2]


def test_leaving_by_an_exception_does_not_wait_for_a_disk_that_hangs_and_drops_what_waits(slow: SlowStore) -> None:
    def leave() -> None:
        with Committer(slow, nothing, nothing) as committer:
            commit(committer, 0)
            slow.begun.acquire()
            commit(committer, *range(1, 60))
            raise KeyError("left")

    try:
        assert seconds_until_raised(KeyError, "left", leave) < 1.5
    finally:
        slow.go_on.set()
    time.sleep(0.5)
    assert slow.groups == [names(0)]


def test_first_exception_is_not_hidden_by_one_of_the_committer(slow: SlowStore) -> None:
    def leave() -> None:
        with Committer(slow, nothing, nothing) as committer:
            commit(committer, 0)
            raise KeyError("first")

    slow.error = OSError(5, "Input/output error")
    slow.go_on.set()
    seconds_until_raised(KeyError, "first", leave)


def stop_after(wait: float) -> Callable[[], None]:
    """A check that raises once `wait` seconds are over."""
    start = time.monotonic()

    def check() -> None:
        if time.monotonic() - start > wait:
            raise CommandError(ExitCode.TERMINATED, "stopped by SIGTERM")

    return check


def test_check_ends_the_wait_for_a_place_in_the_queue(slow: SlowStore) -> None:
    def fill() -> None:
        with Committer(slow, nothing, stop_after(0.3)) as committer:
            commit(committer, *range(1000))

    try:
        assert seconds_until_raised(CommandError, "SIGTERM", fill) < 2.5
    finally:
        slow.go_on.set()


def test_check_ends_the_wait_for_the_last_commit(slow: SlowStore) -> None:
    def leave() -> None:
        with Committer(slow, nothing, stop_after(0.3)) as committer:
            commit(committer, 0)

    threading.Timer(5, slow.go_on.set).start()
    assert seconds_until_raised(CommandError, "SIGTERM", leave) < 2.5


@pytest.mark.parametrize(("count", "moment"), [(300, "while it makes images"), (20, "when all images are made")])
def test_sigterm_stops_within_two_seconds_though_the_disk_is_slow(
    count: int, moment: str, model: Path, tmp_path: Path
) -> None:
    out, notes = tmp_path / "run", tmp_path / "notes"
    notes.mkdir()
    command = batch(model, out, count, "--shard-size", "20", "--batch-size", "5", "--workers", "1")
    slow_flush = Disturbance("slow flush", at=6).environment(out, notes)
    process = subprocess.Popen(
        command, env=clean_environment(**slow_flush), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not any(operation.name == "syncfs" for operation in operations(notes)) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    start = time.monotonic()
    process.wait()
    taken = time.monotonic() - start
    stdout, stderr = process.communicate()
    fails_in_one_line(subprocess.CompletedProcess(command, process.returncode, stdout, stderr), 143, "SIGTERM")
    assert taken < 2, f"it took {taken:.1f} s"
    assert seconds_until_no_worker(process.pid) < 1
    assert_whole_shards(out)
    succeeds(run(*command))
    succeeds(run_in_process(*batch(model, tmp_path / "other", count, "--shard-size", "20")))
    assert differing(out, tmp_path / "other") == []


def test_nothing_is_committed_after_the_run_has_given_back_its_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushing, go_on = threading.Event(), threading.Event()

    def hanging_flush(fd: int) -> None:
        flushing.set()
        go_on.wait(10)

    def stop_while_it_flushes() -> None:
        flushing.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(models.files, "_syncfs", hanging_flush)
    threading.Thread(target=stop_while_it_flushes).start()
    out = tmp_path / "run"
    with pytest.raises(CommandError, match="SIGTERM"):
        run_batch(model, out, 400, seed=5, on_disk=OnDisk(20), work=Work("cpu", 1, 5))
    try:
        lock = lock_folder(out, "this test")  # now the folder is ours
    except CommandError:
        return  # it still holds it: nobody is in its way
    finally:
        go_on.set()
    before = os.listdir(out / MANIFESTS)
    time.sleep(0.5)
    after = os.listdir(out / MANIFESTS)
    os.close(lock)
    assert [name for name in after if name not in before and not name.startswith(".")] == []
