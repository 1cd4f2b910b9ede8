"""A run's folder: the lock, the commit, and errors that name their file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.store import LocalStore
from models.console import CommandError, ExitCode
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from jobs.store import LocalStore
LocalStore(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    (tmp_path / "run").mkdir()
    made = LocalStore(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def holder(store: LocalStore) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of `store`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.root)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_lock_is_refused_while_another_process_holds_it(store: LocalStore, holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(CommandError) as error:
        store.lock()
    assert error.value.exit_code == 75


def test_kernel_releases_the_lock_of_a_killed_process(store: LocalStore, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    store.lock()


def test_close_gives_the_lock_back(store: LocalStore) -> None:
    other = LocalStore(store.root)
    other.lock()
    other.close()
    store.lock()


def test_commit_replaces_the_old_file_whole(store: LocalStore) -> None:
    store.commit("run.json", b"old and long")
    store.commit("run.json", iter([b"ne", b"w"]))
    assert store.read("run.json") == b"new"
    assert store.names() == ["run.json"]


def test_commit_that_fails_midway_leaves_the_old_file(store: LocalStore) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half of the new"
        raise RuntimeError

    store.commit("run.json", b"old")
    with pytest.raises(RuntimeError):
        store.commit("run.json", parts())
    assert store.read("run.json") == b"old"


def test_remains_of_a_failed_commit_do_not_get_into_the_next(store: LocalStore) -> None:
    (store.root / ".run.json.tmp").write_bytes(b"long remains of a killed process")
    store.commit("run.json", b"new")
    assert store.read("run.json") == b"new"
    assert store.names() == ["run.json"]


def test_full_disk_is_reported_with_the_file_name(store: LocalStore) -> None:
    (store.root / ".run.json.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"run\.json") as error:
        store.commit("run.json", b"content")
    assert error.value.errno == errno.ENOSPC


def test_make_folder_removes_images_of_other_indices_and_nothing_else(store: LocalStore) -> None:
    folder = store.root / "00000"
    folder.mkdir()
    for name in ("00000000.png", "00000001.png", "00000009.png", "00000001.txt", "mask.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "labels").mkdir()
    before = (folder / "00000001.png").stat()
    store.make_folder("00000", 0, 3)
    assert store.names("00000") == ["00000000.png", "00000001.png", "00000001.txt", "labels", "mask.png"]
    after = (folder / "00000001.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_in_a_shards_place_is_refused_and_what_it_leads_to_stays(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "00000009.png").write_bytes(b"mine")
    (store.root / "00000").symlink_to(tmp_path / "precious")
    with pytest.raises(CommandError, match="is a link") as error:
        store.make_folder("00000", 0, 3)
    assert error.value.exit_code is ExitCode.CANNOT_WRITE
    assert (tmp_path / "precious" / "00000009.png").read_bytes() == b"mine"


def test_an_image_is_not_written_through_a_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (store.root / "image.png").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        store.write("image.png", b"content")
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_what_is_not_there_reads_as_nothing(store: LocalStore) -> None:
    assert store.read("00000/none.png") is None
    assert store.names("00000") == []


def test_write_puts_long_content_down_whole(store: LocalStore) -> None:
    content = os.urandom(3_000_001)
    store.write("big", content)
    assert store.read("big") == content
