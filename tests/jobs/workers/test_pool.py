"""Workers that die, raise, or cannot even start."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.layout import MANIFESTS
from jobs.dataset.shard import Shard
from jobs.stores.local_store import LocalStore
from jobs.workers.crew import TRIES, Order
from jobs.workers.pool import WorkerPool
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run
from tests.jobs.conftest import (
    LONG_COUNT,
    LONG_RUN,
    LONG_SHARD,
    SEED,
    assert_whole_shards,
    batch,
    differing,
    pause,
    stamps,
    start,
    succeeds,
    temporaries,
    wait_for,
)
from tests.jobs.faults import Disturbance, disturbed, seconds_until_no_worker, workers_of

pytestmark = pytest.mark.usefixtures("real_workers")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def command(model: Path, out: Path) -> list[str]:
    """The command of `undisturbed`, to `out`."""
    return batch(model, out, LONG_COUNT, *LONG_RUN)


def test_killed_worker_is_replaced_and_nothing_is_missing(command: list[str], out: Path, undisturbed: Path) -> None:
    process = start(command)
    wait_for(out / MANIFESTS / "00003.csv", process)
    pause(process)  # so that the run is not over before it is met
    victim = workers_of(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (0, ""), stderr
    said = [line for line in stderr.splitlines() if "a worker died" in line]
    assert len(said) == 1, stderr
    assert "SIGKILL" in said[0]
    assert differing(out, undisturbed) == []
    assert temporaries(out) == []


def test_all_workers_killed_again_and_again_are_replaced(command: list[str], out: Path, undisturbed: Path) -> None:
    process = start(command)
    killed = 0
    for shard in (1, 7, 13):  # each time at another shard: three deaths at one would end the run
        wait_for(out / MANIFESTS / f"{shard:05d}.csv", process)
        pause(process)
        for victim in workers_of(process.pid):
            os.kill(victim, signal.SIGKILL)
            killed += 1
        process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert killed >= 3
    assert stderr.count("a worker died") == killed
    assert differing(out, undisturbed) == []


def test_worker_that_hangs_while_it_is_killed_with_its_parent_does_not_stay(command: list[str], out: Path) -> None:
    process = start(command)
    wait_for(out / MANIFESTS / "00001.csv", process)
    pause(process)
    stopped = workers_of(process.pid)
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    process.kill()
    process.wait()
    assert len(stopped) == 2
    assert seconds_until_no_worker(process.pid) < 1


def test_shard_that_kills_every_worker_stops_the_run_and_is_named(
    command: list[str], out: Path, undisturbed: Path
) -> None:
    poison = Disturbance("poison", name="00000310.png")  # of shard 12
    result, _ = disturbed(command, out, poison)
    fails_in_one_line(result, 1, f"died {TRIES} times at shard 00012", "SIGKILL", "again")
    assert result.stderr.count("a worker died at shard 00012") == TRIES - 1
    done = manifest.committed(LocalStore(out), LONG_SHARD)
    assert set(range(12)) <= set(done)
    assert 12 not in done
    assert_whole_shards(out)
    before = {name: stamp for name, stamp in stamps(out).items() if name[7:12] in {f"{number:05d}" for number in done}}
    succeeds(run(*command))
    after = stamps(out)
    assert {name: after[name] for name in before} == before
    assert differing(out, undisturbed) == []


def test_error_in_a_worker_is_a_bug_in_one_line(command: list[str], out: Path, undisturbed: Path) -> None:
    result, _ = disturbed(command, out, Disturbance("raise", name="00000310.png"))
    fails_in_one_line(result, 1, "bug", "ValueError", "thrown by a test", "--debug")
    assert_whole_shards(out)
    succeeds(run(*command))
    assert differing(out, undisturbed) == []


def test_error_in_a_worker_has_the_workers_traceback_with_debug(command: list[str], out: Path) -> None:
    result, _ = disturbed([*command, "--debug"], out, Disturbance("raise", name="00000310.png"))
    assert result.returncode == 1
    assert "write_images" in result.stderr
    assert 'ValueError("thrown by a test")' in result.stderr
    assert result.stderr.splitlines()[-1].startswith("gan-batch: error: bug")


def test_worker_that_hangs_is_killed_and_its_work_done_again(command: list[str], out: Path, undisturbed: Path) -> None:
    result, _ = disturbed([*command, "--shard-timeout", "2"], out, Disturbance("hang", at=1, name="00000310.png"))
    succeeds(result)
    (said,) = [line for line in result.stderr.splitlines() if "a worker died" in line]
    assert "at shard 00012" in said
    assert "it hung" in said
    assert differing(out, undisturbed) == []
    assert temporaries(out) == []


def test_shard_at_which_every_worker_hangs_stops_the_run(command: list[str], out: Path) -> None:
    hang = Disturbance("hang", at=9, name="00000310.png")
    result, _ = disturbed([*command, "--shard-timeout", "1"], out, hang)
    fails_in_one_line(result, 1, f"died {TRIES} times at shard 00012", "it hung", "again")
    assert_whole_shards(out)


def test_patience_grows_with_the_images_unless_it_is_said(order: Order) -> None:
    assert order.patience(None) == 600
    assert order.patience(Shard(0, 0, 50)) == 650
    assert Order(order.model, "cpu", order.out, SEED, order.format, timeout=9).patience(Shard(0, 0, 50)) == 9


def test_workers_that_die_while_they_start_stop_the_run(command: list[str], out: Path) -> None:
    result, _ = disturbed(command, out, Disturbance("die at start"))
    fails_in_one_line(result, 1, f"died {TRIES} times while it started", "SIGKILL")
    assert not out.exists()


@pytest.fixture
def order(model: Path, tmp_path: Path) -> Order:
    """For workers in this test."""
    (tmp_path / "run").mkdir(parents=True)
    return Order(model, "cpu", tmp_path / "run", SEED, Folders("images"))


def my_workers(count: int) -> list[int]:
    """Workers of this process, when there are `count`: one that was just started does not have its command yet."""
    start = time.monotonic()
    while len(found := workers_of(os.getpid())) < count and time.monotonic() - start < 2:
        time.sleep(0.001)
    return found


def slices(out: Path, shards: int) -> Iterator[Shard]:
    """Ten images of each shard, two at a time."""
    for number in range(shards):
        (out / "images" / f"{number:05d}").mkdir(parents=True)
        for begin in range(10 * number, 10 * number + 10, 2):
            yield Shard(number, begin, begin + 2)


def test_every_slice_is_made_once_whatever_dies(order: Order) -> None:
    made = []
    with WorkerPool(order, 2, lambda: None) as pool:
        pool.ready()
        for done in pool.run(slices(order.out, 8), 2):
            made.append(done.piece)
            if len(made) in (5, 20):
                os.kill(my_workers(2)[0], signal.SIGKILL)
    assert sorted(made, key=lambda part: part.start) == [Shard(i // 10, i, i + 2) for i in range(0, 80, 2)]
    assert len(list(order.out.rglob("*.png"))) == 80


def test_lines_of_a_slice_tell_of_its_images(order: Order) -> None:
    with WorkerPool(order, 1, lambda: None) as pool:
        for done in pool.run(slices(order.out, 2), 2):
            rows = manifest.from_csv(manifest.column_names() + done.manifest)
            assert [row.index for row in rows] == [done.piece.start, done.piece.start + 1]
            assert [line.split(b",")[0] for line in done.measures.splitlines()] == [b"%d" % row.index for row in rows]
            assert all((order.out / row.file_name).stat().st_size == row.bytes for row in rows)


def test_pool_leaves_no_process_behind(order: Order) -> None:
    with WorkerPool(order, 1, lambda: None) as pool:
        pool.grow(3)
        assert pool.size == len(my_workers(3)) == 3
    assert workers_of(os.getpid()) == []


def test_pool_leaves_no_process_behind_when_the_work_raises(order: Order) -> None:
    def work() -> None:
        with WorkerPool(order, 2, lambda: None) as pool:
            for _ in pool.run(slices(order.out, 8), 2):
                raise KeyError("left")

    with pytest.raises(KeyError, match="left"):
        work()
    assert workers_of(os.getpid()) == []


def test_growing_to_fewer_keeps_all(order: Order) -> None:
    with WorkerPool(order, 2, lambda: None) as pool:
        pool.grow(1)
        assert pool.size == 2


def test_check_ends_the_wait_for_a_worker_that_says_nothing(order: Order) -> None:
    start = time.monotonic()

    def check() -> None:
        if time.monotonic() - start > 0.5:
            raise CommandError(ExitCode.TERMINATED, "enough")

    def work() -> None:
        with WorkerPool(order, 1, check) as pool:
            os.kill(my_workers(1)[0], signal.SIGSTOP)
            pool.ready()

    with pytest.raises(CommandError, match="enough"):
        work()
    assert time.monotonic() - start < 2
    assert workers_of(os.getpid()) == []


def test_worker_does_not_outlive_a_parent_that_died_before_it_began(order: Order, tmp_path: Path) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from jobs.dataset.formats import Folders
from jobs.workers.crew import Order
from jobs.workers.pool import WorkerPool
order = Order(Path({str(order.model)!r}), "cpu", Path({str(order.out)!r}), 1, Folders("images"))
pool = WorkerPool(order, 2, lambda: None)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start([sys.executable, "-c", program])
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert seconds_until_no_worker(process.pid) < 2  # it must come so far as to ask who its parent is


def test_workers_ignore_sigterm_which_is_for_their_parent(order: Order) -> None:
    made = 0
    with WorkerPool(order, 1, lambda: None) as pool:
        pool.ready()
        first = workers_of(os.getpid())
        for done in pool.run(slices(order.out, 4), 2):
            os.kill(first[0], signal.SIGTERM)
            made += done.piece.images
        assert workers_of(os.getpid()) == first
    assert made == 40


def test_model_that_cannot_be_read_is_the_session_error_of_the_worker(order: Order, tmp_path: Path) -> None:
    missing = Order(tmp_path / "none.onnx", order.device, order.out, order.seed, order.format)
    with WorkerPool(missing, 1, lambda: None) as pool, pytest.raises(CommandError) as caught:
        pool.ready()
    assert caught.value.exit_code == 66
    assert "none.onnx" in str(caught.value)
