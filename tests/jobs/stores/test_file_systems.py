"""File systems that are too small, that fill up meanwhile, or that can only be read: mounted for the test, by root."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.dataset.layout import MANIFESTS
from tests.conftest import clean_environment, fails_in_one_line, run_in_process
from tests.jobs.conftest import (
    LONG_COUNT,
    LONG_RUN,
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

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of a size, and with a number of inodes where that is said; unmounts it in the end."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = []

    def mount(kind: str, megabytes: int, inodes: int = 0) -> Path:
        if kind == "tmpfs":
            options = f"size={megabytes}m" + (f",nr_inodes={inodes}" if inodes else "")
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        else:
            image = tmp_path / "disk"
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            make = ["mkfs.ext4", "-q", "-F", "-m", "0", *(["-N", str(inodes)] if inodes else []), str(image)]
            may(make)
            command = ["mount", "-o", "loop", str(image), str(folder)]
        may(command)
        mounted.append(folder)
        return folder

    yield mount
    for place in mounted:
        busy = subprocess.run(["umount", str(place)]).returncode != 0  # a test that failed may have left a process
        if busy:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
            pytest.fail("something still works there")


def may(command: list[str]) -> None:
    """Run a command that not everybody may run; the test is skipped where this one may not."""
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]} here")
    if result.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {' '.join(result.stderr.split())}")


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def images(out: Path) -> list[Path]:
    return list(out.rglob("[0-9]*.png"))


def hold(process: subprocess.Popen[str]) -> list[int]:
    """Stop a run with all its workers; returns these."""
    pause(process)
    workers = workers_of(process.pid)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    time.sleep(0.05)
    return workers


def let_go(process: subprocess.Popen[str], workers: list[int]) -> None:
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    process.send_signal(signal.SIGCONT)


def eat_bytes(folder: Path) -> None:
    """Fill a file system to the last byte."""
    fd = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    os.write(fd, b"\1" * size)
            except OSError:
                pass
    finally:
        os.close(fd)


def eat_inodes(folder: Path) -> None:
    """Use up all inodes of a file system."""
    (folder / "ballast").mkdir()
    try:
        for number in range(100_000):
            (folder / "ballast" / str(number)).touch()
    except OSError:
        return
    pytest.fail("they never ended")


def free(folder: Path) -> None:
    """Give back what was eaten."""
    ballast = folder / "ballast"
    if ballast.is_dir():
        for path in ballast.iterdir():
            path.unlink()
        ballast.rmdir()
    else:
        ballast.unlink()


def test_run_whose_images_do_not_fit_is_refused_before_the_first(mount: Mount, model: Path, undisturbed: Path) -> None:
    folder = mount("tmpfs", 3)
    out = folder / "run"
    fails_in_one_line(
        run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)), 74, str(out), "600 images", "3.1 MB free"
    )
    assert images(out) == []
    remount(folder, "size=40m")
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert differing(out, undisturbed) == []


def test_run_with_more_images_than_inodes_is_refused_before_the_first(
    mount: Mount, model: Path, undisturbed: Path
) -> None:
    folder = mount("tmpfs", 40, inodes=500)
    out = folder / "run"
    fails_in_one_line(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)), 74, str(out), "672 inodes")
    assert images(out) == []
    remount(folder, "nr_inodes=5000")
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert differing(out, undisturbed) == []


def test_run_whose_folders_and_tables_do_not_fit_is_refused_before_the_first(mount: Mount, model: Path) -> None:
    out = mount("tmpfs", 40, inodes=300) / "run"  # 100 images, each with a folder, a manifest and measures
    fails_in_one_line(run_in_process(*batch(model, out, 100, "--shard-size", "1")), 74, str(out), "inodes")
    assert images(out) == []


def test_run_that_fits_is_not_refused(mount: Mount, model: Path, undisturbed: Path) -> None:
    out = mount("tmpfs", 12, inodes=900) / "run"
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert differing(out, undisturbed) == []


def test_run_that_was_cut_off_fits_where_it_fitted_before(mount: Mount, model: Path, tmp_path: Path) -> None:
    options = ("--shard-size", "600", "--batch-size", "5", "--workers", "2")
    succeeds(run_in_process(*batch(model, tmp_path / "other", LONG_COUNT, *options)))
    needed = sum(-(-path.stat().st_size // 4096) * 4096 for path in images(tmp_path / "other"))
    out = mount("tmpfs", needed // (1 << 20) + 2) / "run"
    process = start(batch(model, out, LONG_COUNT, *options))
    wait_for(out / "images" / "00000" / "00000500.png", process)
    process.kill()
    process.communicate()
    assert 400 < len(images(out)) < LONG_COUNT
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *options)))  # it takes the place of what the killed one left
    assert differing(out, tmp_path / "other") == []


@pytest.mark.parametrize(
    ("kind", "eat", "words"),
    [
        ("tmpfs", eat_bytes, "No space left on device"),
        pytest.param("tmpfs", eat_inodes, "No space left on device", marks=pytest.mark.long),
        pytest.param("ext4", eat_bytes, "No space left on device", marks=pytest.mark.long),
        ("ext4", eat_inodes, "No space left on device"),
    ],
)
def test_file_system_that_fills_up_meanwhile_stops_the_run_and_the_same_command_finishes_later(
    kind: str, eat: Callable[[Path], None], words: str, mount: Mount, model: Path, undisturbed: Path
) -> None:
    folder = mount(kind, 40, inodes=1200)
    out = folder / "run"
    command = batch(model, out, LONG_COUNT, *LONG_RUN)
    process = start(command)
    wait_for(out / MANIFESTS / "00002.csv", process)
    workers = hold(process)
    try:
        eat(folder)
    finally:
        let_go(process, workers)
    stdout, stderr = process.communicate()
    result = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    fails_in_one_line(result, 74, str(out), words, "again")
    assert seconds_until_no_worker(process.pid) < 1
    assert_whole_shards(out)
    before = committed_stamps(out)
    assert f"{MANIFESTS}/00002.csv" in before
    fails_in_one_line(run_in_process(*command), 74, str(out))  # still full
    assert committed_stamps(out) == before
    free(folder)
    succeeds(run_in_process(*command))
    after = stamps(out)
    assert {name: after[name] for name in before} == before
    assert differing(out, undisturbed) == []
    assert temporaries(out) == []


def test_file_system_that_can_only_be_read_is_refused(mount: Mount, model: Path, undisturbed: Path) -> None:
    folder = mount("tmpfs", 40)
    out = folder / "run"
    succeeds(run_in_process(*batch(model, out, 110, *LONG_RUN)))
    before = stamps(out)
    remount(folder, "ro")
    fails_in_one_line(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)), 73, str(out), "Read-only")
    fails_in_one_line(
        run_in_process(*batch(model, folder / "new", LONG_COUNT, *LONG_RUN)), 73, str(folder / "new"), "Read-only"
    )
    assert stamps(out) == before
    remount(folder, "rw")
    succeeds(run_in_process(*batch(model, out, LONG_COUNT, *LONG_RUN)))
    assert differing(out, undisturbed) == []


def test_file_size_limit_is_an_io_error_and_the_same_command_finishes_later(
    model: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = batch(model, out, LONG_COUNT, *LONG_RUN)
    succeeds(run_in_process(*batch(model, out, 110, *LONG_RUN)))
    before = {name: stamp for name, stamp in stamps(out).items() if name[:5].isdigit()}
    limited = subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    fails_in_one_line(limited, 74, str(out), "File too large", "again")
    assert_whole_shards(out)
    succeeds(run_in_process(*command))
    assert {name: stamps(out)[name] for name in before} == before
    assert differing(out, undisturbed) == []
