"""A run's folder: the lock, the commit, and errors that name their file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode, writing_error
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from jobs.stores.local_store import LocalStore
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


def test_store_of_a_folder_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "none")
    assert store.names() == []
    assert store.read("run.json") is None
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_replace_lets_a_file_have_the_new_content_whole(store: LocalStore) -> None:
    store.replace("run.json", b"old and long")
    store.replace("run.json", iter([b"ne", b"w"]))
    assert store.read("run.json") == b"new"
    assert store.names() == ["run.json"]


def test_replace_that_fails_midway_leaves_the_old_file_alone(store: LocalStore) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half of the new"
        raise RuntimeError

    store.replace("run.json", b"old")
    with pytest.raises(RuntimeError):
        store.replace("run.json", parts())
    assert store.read("run.json") == b"old"
    assert store.names() == ["run.json"]


def test_create_makes_a_file_once(store: LocalStore) -> None:
    assert store.create("run.json", b"first")
    assert not store.create("run.json", b"second")
    assert store.read("run.json") == b"first"
    assert store.names() == ["run.json"]


def test_remains_of_a_create_that_was_killed_and_locks_of_parts_are_removed(store: LocalStore) -> None:
    for name in (".run.json.0123456789abcdef.tmp", ".lock-1-of-3"):
        (store.root / name).write_bytes(b"")
    store.lock()
    store.remove_temporaries([".", "none"], re.compile(r"\..*\.tmp").fullmatch)
    assert store.names() == [".lock"]


def test_held_part_outlives_close(store: LocalStore) -> None:
    store.lock("1-of-3")
    let_go = store.hold()
    store.close()
    other = LocalStore(store.root)
    with pytest.raises(CommandError):
        other.lock("1-of-3")
    let_go()
    other.lock("1-of-3")
    other.close()


def test_remains_of_a_failed_replace_do_not_get_into_the_next(store: LocalStore) -> None:
    (store.root / ".run.json.tmp").write_bytes(b"long remains of a killed process")
    store.replace("run.json", b"new")
    assert store.read("run.json") == b"new"
    assert store.names() == ["run.json"]


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Lets every write beyond the first 1000 bytes of a file fail, with an errno of full disks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITES: dict[str, Callable[[LocalStore, bytes], None]] = {
    "write": lambda store, content: store.write("run.json", content),
    "append": lambda store, content: store.append("run.json", content),
    "replace": lambda store, content: store.replace("run.json", content),
    "commit": lambda store, content: store.commit({"run.json": content}),
}


@pytest.mark.parametrize("way", WRITES)
def test_full_disk_is_reported_with_the_file_name(way: str, store: LocalStore) -> None:
    with no_room(), pytest.raises(OSError, match=r"run\.json") as error:
        WRITES[way](store, b"x" * 3000)
    assert error.value.errno == errno.EFBIG
    assert writing_error(error.value).exit_code is ExitCode.IO_ERROR


@pytest.mark.parametrize("way", ["replace", "commit"])
def test_full_disk_leaves_the_old_file_and_no_other(way: str, store: LocalStore) -> None:
    WRITES[way](store, b"old")
    with no_room(), pytest.raises(OSError, match="File too large"):
        WRITES[way](store, b"x" * 3000)
    assert store.read("run.json") == b"old"
    assert store.names() == ["run.json"]


def test_commit_lets_all_files_appear_and_replaces_old_ones_whole(store: LocalStore) -> None:
    for folder in ("_quality", "_manifests"):
        store.make_folder(folder)
    files = {f"{folder}/0000{shard}.csv": os.urandom(50) for folder in ("_quality", "_manifests") for shard in (0, 1)}
    store.commit({"_manifests/00000.csv": b"old and much longer than what comes after it"})
    store.commit(files)
    assert {name: store.read(name) for name in files} == files
    assert [store.names(folder) for folder in (".", "_quality", "_manifests")] == [
        ["_manifests", "_quality"],
        ["00000.csv", "00001.csv"],
        ["00000.csv", "00001.csv"],
    ]


def test_commit_of_which_one_file_cannot_be_written_leaves_the_old_ones_and_nothing_else(store: LocalStore) -> None:
    store.commit({"a.csv": b"old"})
    with pytest.raises(OSError, match=r"none/\.?b\.csv"):
        store.commit({"a.csv": b"new", "none/b.csv": b"new"})
    assert store.read("a.csv") == b"old"
    assert store.names() == ["a.csv"]


def test_remains_of_a_failed_commit_do_not_get_into_the_next(store: LocalStore) -> None:
    (store.root / ".00000.csv.tmp").write_bytes(b"long remains of a killed process")
    store.commit({"00000.csv": b"new"})
    assert store.read("00000.csv") == b"new"
    assert store.names() == ["00000.csv"]


def test_append_adds_to_the_end_and_makes_the_file_where_there_is_none(store: LocalStore) -> None:
    store.append("log.jsonl", b"one\n")
    store.append("log.jsonl", b"two\n")
    assert store.read("log.jsonl") == b"one\ntwo\n"


def test_remove_takes_the_named_files_and_the_folder_only_where_nothing_is_left(store: LocalStore) -> None:
    for folder in ("ours", "shared"):
        store.make_folder(folder)
        store.write(f"{folder}/00000000.png", b"ours")
    store.write("shared/notes.txt", b"theirs")
    for folder in ("ours", "shared"):
        store.remove(folder, ["00000000.png", "00000001.png"])
    assert store.names() == ["shared"]
    assert store.names("shared") == ["notes.txt"]


def test_remove_takes_nothing_behind_a_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "00000009.png").write_bytes(b"mine")
    (store.root / "00000").symlink_to(tmp_path / "precious")
    store.remove("00000", ["00000009.png"])
    assert (tmp_path / "precious" / "00000009.png").read_bytes() == b"mine"


def test_make_folder_removes_what_is_foreign_and_nothing_else(store: LocalStore) -> None:
    folder = store.root / "00000"
    folder.mkdir()
    for name in ("00000000.png", "00000001.png", "00000009.png", "00000001.txt", "mask.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "labels").mkdir()
    before = (folder / "00000001.png").stat()
    store.make_folder("00000", lambda name: name == "00000009.png")
    assert store.names("00000") == ["00000000.png", "00000001.png", "00000001.txt", "labels", "mask.png"]
    after = (folder / "00000001.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_in_a_shards_place_is_refused_and_what_it_leads_to_stays(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "00000009.png").write_bytes(b"mine")
    (store.root / "00000").symlink_to(tmp_path / "precious")
    with pytest.raises(CommandError, match="is a link") as error:
        store.make_folder("00000", lambda name: name == "00000009.png")
    assert error.value.exit_code is ExitCode.CANNOT_WRITE
    assert (tmp_path / "precious" / "00000009.png").read_bytes() == b"mine"


def test_nothing_is_made_or_removed_below_a_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "precious" / "00000").mkdir(parents=True)
    (tmp_path / "precious" / "00000" / "00000009.png").write_bytes(b"mine")
    (store.root / "images").symlink_to(tmp_path / "precious")
    with pytest.raises(CommandError, match="images is a link"):
        store.make_folder("images/00000", lambda name: True)
    store.remove("images/00000", ["00000009.png"])
    assert (tmp_path / "precious" / "00000" / "00000009.png").read_bytes() == b"mine"


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
