"""What signals, kills, a second start and a planted link cannot break."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jobs.dataset import manifest
from jobs.dataset.layout import MANIFESTS
from jobs.stores.local_store import LocalStore
from models.files import lock_folder
from tests.conftest import clean_environment, fails_in_one_line, run, run_in_process
from tests.jobs.conftest import (
    LONG_COUNT,
    LONG_RUN,
    LONG_SHARD,
    assert_whole_shards,
    batch,
    committed_stamps,
    differing,
    pause,
    stamps,
    start,
    succeeds,
    temporaries,
    wait_for,
)
from tests.jobs.faults import seconds_until_no_worker, workers_of
from tests.jobs.small_models import write_model


@pytest.fixture
def labelled_model(tmp_path: Path) -> Path:
    """A generator of three classes."""
    return write_model(tmp_path / "labelled.onnx", gain=0.1, classes=("crack", "dent", "hole"), faults=[])


@pytest.fixture
def masked_command(masked_model: Path, tmp_path: Path) -> list[str]:
    """The same with labels and masks."""
    return batch(masked_model, tmp_path / "run", LONG_COUNT, *LONG_RUN)


@pytest.fixture(scope="module")
def masked_undisturbed(masked_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `masked_command` that was left alone; tests must not change it."""
    out = tmp_path_factory.mktemp("undisturbed") / "masked"
    succeeds(run_in_process(*batch(masked_model, out, LONG_COUNT, *LONG_RUN)))
    return out


@pytest.fixture
def command(model: Path, tmp_path: Path) -> list[str]:
    """The command of `undisturbed`, to the folder `run` of the test."""
    return batch(model, tmp_path / "run", LONG_COUNT, *LONG_RUN)


def moment(out: Path, share: float) -> Path:
    """The file whose appearance tells that about `share` of the run is done."""
    if share < 0.03:
        return out
    if share > 0.97:
        return out / MANIFESTS / f"{LONG_COUNT // LONG_SHARD - 1:05d}.csv"
    index = int(share * LONG_COUNT)
    return out / "images" / f"{index // LONG_SHARD:05d}" / f"{index:08d}.png"


@dataclass(frozen=True)
class Kill:
    """One run that was killed, and finished by the next.

    Attributes:
        code: how it ended.
        workers: that it had when it was killed.
        seconds: until all of them were gone.
        committed: shards that were committed by then.
    """

    code: int
    workers: int
    seconds: float
    committed: int


def kill_and_finish(command: list[str], out: Path, share: float, delay: float, wait: bool) -> Kill:
    """SIGKILL a run at about `share` of its way, then run it again: at once, or when its workers are gone."""
    process = start(command)
    wait_for(moment(out, share), process)
    time.sleep(delay)
    workers = workers_of(process.pid)
    process.kill()
    process.wait()
    seconds = seconds_until_no_worker(process.pid) if wait else 0.0
    before = committed_stamps(out) if out.exists() else {}
    committed = len(manifest.committed(LocalStore(out), LONG_SHARD))
    assert_whole_shards(out)
    succeeds(run_in_process(*command))
    after = stamps(out)
    assert {name: after[name] for name in before} == before, "a committed shard was touched"
    assert temporaries(out) == []
    assert workers_of(process.pid) == []
    process.communicate()
    return Kill(process.returncode, len(workers), seconds, committed)


def kill_at_random_moments(
    kills: int, command: list[str], out: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(kills)
    done = []
    for number in range(kills):
        share = (number + random.uniform()) / kills
        done.append(kill_and_finish(command, out, share, random.uniform(0, 0.01), wait=number % 2 == 0))
        assert differing(out, undisturbed) == [], f"killed at {share:.3f}"
        shutil.rmtree(out)
    killed = [kill for kill in done if kill.code == -signal.SIGKILL]
    slowest = max(kill.seconds for kill in killed)
    with capsys.disabled():
        print(
            f" {len(killed)} runs killed, {sum(kill.workers for kill in killed)} workers with them, all gone within "
            f"{slowest:.3f} s, {min(k.committed for k in killed)} to {max(k.committed for k in killed)} shards done ",
            end="",
        )
    assert len(killed) > kills / 2, "most runs were over before they were killed"
    assert slowest < 1


def test_killed_run_is_finished_by_the_same_command(
    masked_command: list[str], masked_undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at_random_moments(4, masked_command, tmp_path / "run", masked_undisturbed, capsys)


@pytest.mark.long
@pytest.mark.parametrize(
    ("of", "options", "kills"), [("model", (), 100), ("labelled_model", ("--mix", "crack=0.7,dent=0.2,hole=0.1"), 200)]
)
def test_run_killed_at_hundreds_of_moments_is_finished_by_the_same_command(
    of: str, options: tuple[str, ...], kills: int, request: pytest.FixtureRequest, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run, undisturbed = (
        batch(request.getfixturevalue(of), tmp_path / name, LONG_COUNT, *LONG_RUN, *options)
        for name in ("run", "undisturbed")
    )
    succeeds(run_in_process(*undisturbed))
    kill_at_random_moments(kills, run, tmp_path / "run", tmp_path / "undisturbed", capsys)


@pytest.mark.long
def test_run_with_labels_and_masks_killed_at_two_hundred_moments_is_finished_by_the_same_command(
    masked_command: list[str], masked_undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at_random_moments(200, masked_command, tmp_path / "run", masked_undisturbed, capsys)


def test_run_killed_again_and_again_is_finished_at_last(command: list[str], undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for shard in (2, 5, 8):
        process = start(command)
        wait_for(out / MANIFESTS / f"{shard:05d}.csv", process)
        process.kill()
        process.communicate()
    succeeds(run_in_process(*command))
    assert differing(out, undisturbed) == []


def test_extension_killed_midway_keeps_the_images_of_the_partial_shard(
    model: Path, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 30, *LONG_RUN)))
    before = {name: stamp for name, stamp in stamps(out).items() if name.endswith(".png") and "/" in name}
    process = start(batch(model, out, LONG_COUNT, *LONG_RUN))
    wait_for(out / "images" / "00001" / "00000045.png", process)
    process.kill()
    process.communicate()
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert {name: stamps(out)[name] for name in before} == before
    assert differing(out, undisturbed) == []


def to_main(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As `kill` does."""
    process.send_signal(number)


def to_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal does on Ctrl-C: to the process group."""
    os.killpg(process.pid, number)


def to_all(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As systemd does: to every process of the service."""
    for pid in [*workers_of(process.pid), process.pid]:
        os.kill(pid, number)


def stop(
    process: subprocess.Popen[str],
    send: Callable[[subprocess.Popen[str], signal.Signals], None],
    number: signal.Signals,
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Send a signal; returns how the run ended, and how long after it."""
    begin = time.monotonic()
    send(process, number)
    process.wait()
    seconds = time.monotonic() - begin
    left = seconds_until_no_worker(process.pid)
    assert left < 0.5, f"workers outlived it by {left:.1f} s"
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr), seconds


@pytest.mark.parametrize(
    ("number", "code", "send"),
    [
        (signal.SIGTERM, 143, to_main),
        pytest.param(signal.SIGTERM, 143, to_group, marks=pytest.mark.long),
        (signal.SIGTERM, 143, to_all),
        pytest.param(signal.SIGINT, 130, to_main, marks=pytest.mark.long),
        (signal.SIGINT, 130, to_group),
        pytest.param(signal.SIGINT, 130, to_all, marks=pytest.mark.long),
    ],
)
def test_signal_stops_with_whole_shards_and_the_same_command_goes_on(
    number: signal.Signals,
    code: int,
    send: Callable[[subprocess.Popen[str], signal.Signals], None],
    command: list[str],
    undisturbed: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    process = start_in_group(command)
    wait_for(out / MANIFESTS / "00003.csv", process)
    result, seconds = stop(process, send, number)
    fails_in_one_line(result, code, number.name, "again")
    assert "Traceback" not in result.stderr
    assert seconds < 2
    done = manifest.committed(LocalStore(out), LONG_SHARD)
    assert 3 in done
    assert len(done) < LONG_COUNT // LONG_SHARD
    assert all(stop == (shard + 1) * LONG_SHARD for shard, stop in done.items())
    assert_whole_shards(out)
    assert temporaries(out) == []
    before = committed_stamps(out)
    succeeds(run_in_process(*command))
    after = stamps(out)
    assert {name: after[name] for name in before} == before
    assert differing(out, undisturbed) == []


@pytest.mark.parametrize(
    ("number", "code", "send"),
    [
        pytest.param(signal.SIGTERM, 143, to_main, marks=pytest.mark.long),
        (signal.SIGTERM, 143, to_all),
        (signal.SIGINT, 130, to_main),
        pytest.param(signal.SIGINT, 130, to_all, marks=pytest.mark.long),
    ],
)
def test_signal_while_the_workers_start_stops_at_once(
    number: signal.Signals,
    code: int,
    send: Callable[[subprocess.Popen[str], signal.Signals], None],
    command: list[str],
    tmp_path: Path,
) -> None:
    process = start_in_group(command)
    while not workers_of(process.pid) and process.poll() is None:
        time.sleep(0.001)
    time.sleep(0.05)
    result, seconds = stop(process, send, number)
    fails_in_one_line(result, code, number.name)
    assert seconds < 2
    assert not (tmp_path / "run" / MANIFESTS / "00000.csv").exists(), "it went on all the same"


def start_in_group(command: list[str]) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, process_group=0,
    )  # fmt: skip


def test_second_start_is_refused_and_does_not_disturb_the_first(
    command: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = start(command)
    wait_for(out / MANIFESTS / "00000.csv", first)
    pause(first)  # so that the second one meets it at work, however fast it is
    workers = workers_of(first.pid)  # which go on with the images that they were told of
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    before = stamps(out)
    second = run(*command)
    after = stamps(out)
    for pid in (*workers, first.pid):
        os.kill(pid, signal.SIGCONT)
    _, stderr = first.communicate()
    fails_in_one_line(second, 75, str(out))
    assert after == before
    assert first.returncode == 0, stderr
    assert differing(out, undisturbed) == []


def test_next_start_gets_the_lock_of_a_killed_run_at_once(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = start(command)
    wait_for(out / MANIFESTS / "00000.csv", first)
    pause(first)
    assert run(*command).returncode == 75
    workers = workers_of(first.pid)
    assert len(workers) == 2
    first.kill()
    first.wait()
    os.close(lock_folder(out, "this test"))  # raises where anybody has it, its workers included
    succeeds(run_in_process(*command))
    first.communicate()


def test_link_in_the_place_of_a_temporary_file_is_not_followed(model: Path, finished: Path, tmp_path: Path) -> None:
    out, command = tmp_path / "run", batch(model, tmp_path / "run", 130, "--shard-size", "100")
    succeeds(run_in_process(*batch(model, out, 100, "--shard-size", "100")))
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    for name in (f"{MANIFESTS}/.00001.csv.tmp", ".manifest.csv.tmp"):
        (out / name).symlink_to(precious)
    fails_in_one_line(run_in_process(*command), 73, "00001.csv")
    succeeds(run_in_process(*command))
    assert precious.read_text() == "keep me"
    assert differing(out, finished) == []
