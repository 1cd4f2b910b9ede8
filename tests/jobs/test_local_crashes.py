"""What signals, kills, a second start and a full disk cannot break."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from jobs import manifest
from tests.conftest import clean_environment, fails_in_one_line, run
from tests.jobs.conftest import (
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

COUNT, SHARD = 240, 20
LONG_RUN = ("--shard-size", str(SHARD), "--batch-size", "5", "--workers", "2")
"""Twelve commits in about a second."""


@pytest.fixture(scope="module")
def undisturbed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `COUNT` images that was left alone."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    succeeds(run(*batch(model, out, COUNT, *LONG_RUN)))
    return out


@pytest.fixture
def command(model: Path, tmp_path: Path) -> list[str]:
    """The command of `undisturbed`, to the folder `run` of the test."""
    return batch(model, tmp_path / "run", COUNT, *LONG_RUN)


def moment(out: Path, share: float) -> Path:
    """The file whose appearance tells that about `share` of the run is done."""
    if share < 0.03:
        return out
    if share > 0.97:
        return out / "_manifests" / f"{COUNT // SHARD - 1:05d}.csv"
    index = int(share * COUNT)
    return out / f"{index // SHARD:05d}" / f"{index:08d}.png"


def kill_and_finish(command: list[str], out: Path, share: float, delay: float) -> int:
    """SIGKILL a run at about `share` of its way, then run it again; returns how the first one ended."""
    process = start(command)
    wait_for(moment(out, share), process)
    time.sleep(delay)
    process.kill()
    process.communicate()
    before = committed_stamps(out)
    succeeds(run(*command))
    after = stamps(out)
    assert {name: after[name] for name in before} == before, "a committed shard was touched"
    assert temporaries(out) == []
    return process.returncode


def kill_at_random_moments(kills: int, command: list[str], out: Path, undisturbed: Path) -> None:
    random = np.random.default_rng(kills)
    ends = []
    for number in range(kills):
        share = (number + random.uniform()) / kills
        ends.append(kill_and_finish(command, out, share, random.uniform(0, 0.01)))
        assert differing(out, undisturbed) == [], f"killed at {share:.3f}"
        shutil.rmtree(out)
    assert ends.count(-signal.SIGKILL) > kills / 2, "most runs were over before they were killed"


def test_killed_run_is_finished_by_the_same_command(command: list[str], undisturbed: Path, tmp_path: Path) -> None:
    kill_at_random_moments(8, command, tmp_path / "run", undisturbed)


@pytest.mark.long
def test_run_killed_at_a_hundred_moments_is_finished_by_the_same_command(
    command: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    kill_at_random_moments(100, command, tmp_path / "run", undisturbed)


def test_run_killed_again_and_again_is_finished_at_last(command: list[str], undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for shard in (2, 5, 8):
        process = start(command)
        wait_for(out / "_manifests" / f"{shard:05d}.csv", process)
        process.kill()
        process.communicate()
    succeeds(run(*command))
    assert differing(out, undisturbed) == []


def test_extension_killed_midway_keeps_the_images_of_the_partial_shard(
    model: Path, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run(*batch(model, out, 30, *LONG_RUN)))
    before = {name: stamp for name, stamp in stamps(out).items() if name.endswith(".png") and "/" in name}
    process = start(batch(model, out, COUNT, *LONG_RUN))
    wait_for(out / "00001" / "00000035.png", process)
    process.kill()
    process.communicate()
    succeeds(run(*batch(model, out, COUNT, *LONG_RUN)))
    assert {name: stamps(out)[name] for name in before} == before
    assert differing(out, undisturbed) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_stops_with_whole_shards_and_the_same_command_goes_on(
    number: signal.Signals, code: int, command: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(command)
    wait_for(out / "_manifests" / "00001.csv", process)
    process.send_signal(number)
    stdout, stderr = process.communicate()
    fails_in_one_line(subprocess.CompletedProcess(command, process.returncode, stdout, stderr), code, number.name)
    done = manifest.committed(out / manifest.FOLDER, SHARD)
    assert 2 <= len(done) < COUNT // SHARD
    assert all(stop == (shard + 1) * SHARD for shard, stop in done.items())
    assert_whole_shards(out)
    assert temporaries(out) == []
    succeeds(run(*command))
    assert differing(out, undisturbed) == []


def test_second_start_is_refused_and_does_not_disturb_the_first(
    command: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = start(command)
    wait_for(out / "_manifests" / "00000.csv", first)
    pause(first)  # so that the second one meets it at work, however fast it is
    before = stamps(out)
    second = run(*command)
    after = stamps(out)
    first.send_signal(signal.SIGCONT)
    _, stderr = first.communicate()
    fails_in_one_line(second, 75, str(out))
    assert after == before
    assert first.returncode == 0, stderr
    assert differing(out, undisturbed) == []


def test_next_start_gets_the_lock_of_a_killed_run(command: list[str], tmp_path: Path) -> None:
    first = start(command)
    wait_for(tmp_path / "run" / "_manifests" / "00000.csv", first)
    pause(first)
    assert run(*command).returncode == 75
    first.kill()
    first.communicate()
    succeeds(run(*command))


@pytest.mark.parametrize("full", ["_manifests/.00001.csv.tmp", ".manifest.csv.tmp"])
def test_full_disk_is_one_line_and_the_same_command_finishes_later(
    full: str, model: Path, finished: Path, tmp_path: Path
) -> None:
    out, command = tmp_path / "run", batch(model, tmp_path / "run", 130, "--shard-size", "100")
    succeeds(run(*batch(model, out, 100, "--shard-size", "100")))
    (out / full).parent.mkdir(exist_ok=True)
    (out / full).symlink_to("/dev/full")  # where every write fails as on a full disk
    name = Path(full).name.removeprefix(".").removesuffix(".tmp")
    fails_in_one_line(run(*command), 74, name, "No space left on device", "again")
    (out / full).unlink(missing_ok=True)
    succeeds(run(*command))
    assert differing(out, finished) == []


def test_file_size_limit_is_an_io_error_and_the_same_command_finishes_later(
    model: Path, finished: Path, tmp_path: Path
) -> None:
    command = batch(model, tmp_path / "run", 130, "--shard-size", "100")
    limited = subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    fails_in_one_line(limited, 74, ".png", "again")
    succeeds(run(*command))
    assert differing(tmp_path / "run", finished) == []
