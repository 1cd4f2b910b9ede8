"""A run in an object store: its files, its commit, its lease, and what its errors say."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore
from jobs.stores.object_store import ObjectStore
from jobs.stores.opening import open_store
from jobs.stores.place import place
from jobs.stores.store import TABLE_END_BYTES
from models.errors import CommandError, ExitCode
from tests.conftest import run
from tests.jobs.object_server import ObjectServer, client, cut, error, tree

FINGERPRINT = {
    "model_sha256": "a", "seed": 5, "latent_scheme": "b", "z_dim": 6, "width": 32, "height": 32, "channels": 1,
    "shard_size": 100, "encoder": "c", "provider": "d", "onnxruntime": "e",
}  # fmt: skip


@pytest.fixture
def store(url: str) -> Iterator[ObjectStore]:
    made = ObjectStore(url)
    yield made
    made.close()


# Addresses


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3://bucket/a//b/", "s3://bucket/a/b"),
        ("gs://bucket", "gs://bucket"),
        ("az://container/a b", "az://container/a b"),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("synthetic/today", Path("synthetic/today")),
        (Path("s3:/odd"), Path("s3:/odd")),
    ],
)
def test_place_of(out: str | Path, expected: str | Path) -> None:
    assert place(out) == expected
    assert place(place(out)) == expected


@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("s3://", "names no bucket"),
        ("s3:///run", "names no bucket"),
        ("gs://b?cket/run", "refused"),
        ("ftp://host/run", "no place to write to"),
        ("file://host/run", "no place to write to"),
        ("s3://user:secret@bucket/run", "credentials come from the environment"),
        ("s3://user:sec/ret@bucket/run", "names no bucket"),
        ("az://container/run?sig=secret", "refused"),
        ("s3://user:sec[ret@bucket/run", "credentials come from the environment"),
        ("file:///run?key=secret", "refused"),
        ("file:///run%00", "zero byte"),
    ],
)
def test_address_that_is_refused_is_not_repeated(out: str, word: str) -> None:
    with pytest.raises(CommandError, match=word) as refused:
        open_store(out)
    assert refused.value.exit_code is ExitCode.USAGE
    assert "sec" not in str(refused.value)


def test_what_azure_lacks_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(CommandError, match="Account must be specified") as refused:
        open_store("az://container/run")
    assert refused.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"AWS_ACCESS_KEY_ID": "secret\n"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:9000"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1x"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ALLOW_HTTP": ""}, "AWS_ALLOW_HTTP=true"),
    ],
)
def test_variable_that_cannot_be_is_named(
    variables: dict[str, str], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=word) as refused:
        open_store("s3://bucket/run")
    assert refused.value.exit_code is ExitCode.USAGE
    assert "secret" not in str(refused.value)


def test_what_a_profiles_command_prints_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text('[profile p]\ncredential_process = sh -c "echo secret >&2; exit 1"\n')
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "p")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CommandError, match="AWS_PROFILE") as refused:
        open_store("s3://bucket/run")
    assert "secret" not in str(refused.value)


def test_other_stores_are_opened_by_their_scheme() -> None:
    assert str(open_store("gs://bucket/run")) == "gs://bucket/run"
    assert isinstance(open_store("file:///tmp/run"), LocalStore)


def test_without_the_package_the_error_names_the_extra() -> None:
    program = "import sys; sys.modules['obstore'] = None; from jobs.cli import main; main()"
    result = run(sys.executable, "-c", program, "status", "s3://bucket/run")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "pip install '.[objects]'" in line


# Files


def test_names_are_one_level_and_files_come_back(store: ObjectStore) -> None:
    for name in ("run.json", "00000/00000000.png", "00000/00000001.png", "_manifests/00000.csv"):
        store.write(name, name.encode())
    store.settle()
    assert store.names() == ["00000", "_manifests", "run.json"]
    assert store.names("00000") == ["00000000.png", "00000001.png"]
    assert store.names("none") == []
    assert store.exists("run.json")
    assert not store.exists("00000")
    assert store.read("00000/00000001.png") == b"00000/00000001.png"
    assert store.read("none") is None


def test_make_folder_and_remove_take_only_what_they_should(store: ObjectStore) -> None:
    for name in ("00000000.png", "00000001.png", "00000009.png", "mask.png", "deep/00000009.png"):
        store.write(f"00000/{name}", b"")
    store.settle()
    store.make_folder("00000", lambda name: name == "00000009.png")
    assert store.names("00000") == ["00000000.png", "00000001.png", "deep", "mask.png"]
    store.remove("00000", ["00000000.png", "deep", "none.png"])
    assert store.names("00000") == ["00000001.png", "deep", "mask.png"]
    assert store.names("00000/deep") == ["00000009.png"]


def test_ends_come_from_one_listing_and_a_small_request_each(store: ObjectStore, server: ObjectServer) -> None:
    contents = {
        f"{number:05d}.csv": b"%d" % number * size for number, size in enumerate((0, 1, 1023, 1024, 1025, 5000))
    }
    store.commit({f"_manifests/{name}": content for name, content in contents.items()})
    store.write("_manifests/notes.txt", b"theirs")
    store.write("_manifests/deep/00009.csv", b"theirs")
    store.settle()
    server.asked.clear()
    found = dict(store.ends("_manifests", re.compile(r"\d{5}\.csv").fullmatch))
    assert found == {name: content[-TABLE_END_BYTES:] for name, content in contents.items()}
    assert server.number("GET", "_manifests/") == len(contents)
    assert server.number("GET") == len(contents) + 1


def test_replace_takes_parts_that_are_read_from_the_store_meanwhile(store: ObjectStore) -> None:
    piece = os.urandom(3_000_000)
    store.write("piece", piece)
    store.settle()
    store.replace("whole", (store.read("piece") or b"" for _ in range(6)))
    assert store.read("whole") == piece * 6
    with store.open("whole") as file:
        assert [file.read(len(piece)) for _ in range(6)] == [piece] * 6
        assert file.read(1) == b""


def test_replace_that_fails_midway_leaves_the_old_file_alone(store: ObjectStore) -> None:
    def parts() -> Iterator[bytes]:
        yield bytes(9_000_000)
        raise CommandError(ExitCode.BAD_DATA, "a manifest is damaged")

    store.replace("manifest.csv", b"old")
    with pytest.raises(CommandError, match="a manifest is damaged"):
        store.replace("manifest.csv", parts())
    assert store.read("manifest.csv") == b"old"


def test_open_of_what_is_not_there_says_so(store: ObjectStore) -> None:
    with pytest.raises(FileNotFoundError), store.open("manifest.csv"):
        pass


def test_a_long_upload_needs_little_memory(url: str) -> None:
    program = """
import resource, sys
from jobs.stores.object_store import ObjectStore
store = ObjectStore(sys.argv[1])
store.replace("short", iter([b"x"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.replace("manifest.csv", (bytes(1_000_000) for _ in range(100)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    result = run(sys.executable, "-c", program, url)
    assert int(result.stdout) < 70_000, result.stderr  # KiB
    assert client().head(f"{url.rpartition('/')[2]}/manifest.csv")["size"] == 100_000_000


def test_write_holds_few_images_and_settle_tells_of_the_first_error(store: ObjectStore, server: ObjectServer) -> None:
    def slow_then_refused(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        time.sleep(0.02)
        return error(start_response, "403 Forbidden", "AccessDenied") if "00000150" in environ["PATH_INFO"] else None

    server.fault = slow_then_refused
    for index in range(200):
        store.write(f"00000/{index:08d}.png", b"image")
        assert len(store._under_way) <= 64
    with pytest.raises(CommandError, match=r"00000150\.png: the store refuses it \(403 AccessDenied\)") as refused:
        store.settle()
    assert refused.value.exit_code is ExitCode.CANNOT_WRITE


def test_commit_waits_for_images_then_measures_then_manifests(store: ObjectStore, server: ObjectServer) -> None:
    store.write("00000/00000000.png", b"image")
    store.commit({f"{folder}/0000{n}.csv": b"" for folder in ("_quality", "_manifests") for n in range(9)})
    put = [path.split("/")[-2] for method, path in server.asked if method == "PUT" and str(store)[12:] in path]
    assert put == ["00000", *["_quality"] * 9, *["_manifests"] * 9]


def test_log_is_added_to_by_few_requests(store: ObjectStore, server: ObjectServer) -> None:
    store.replace("log.jsonl", b"of an earlier run\n")
    for number in range(200):
        store.append("log.jsonl", b"%d\n" % number)
        store.commit({f"_manifests/{number % 3:05d}.csv": b""})
    store.flush()
    store.append("log.jsonl", b"last\n")
    store.flush()
    assert store.read("log.jsonl") == b"of an earlier run\n" + b"".join(b"%d\n" % n for n in range(200)) + b"last\n"
    assert server.number("PUT", "log.jsonl") <= 5


def test_uploads_that_are_cut_are_made_again(store: ObjectStore, server: ObjectServer) -> None:
    seen: set[str] = set()

    def first_try(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes] | None:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "PUT" or path in seen:
            return None
        seen.add(path)
        return cut(environ)

    server.fault = first_try
    contents = {f"00000/{index:08d}.png": os.urandom(20_000) for index in range(20)}
    for name, content in contents.items():
        store.write(name, content)
    store.settle()
    assert len(seen) == 20
    assert tree(str(store)) == contents


# run.json


def state(count: int = 5, **fields: object) -> RunState:
    return RunState("running", count, {**FINGERPRINT, **fields})


@pytest.mark.parametrize(("seed", "code"), [(6, ExitCode.OTHER_RUN), (5, ExitCode.LOCKED)])
def test_of_two_runs_that_begin_at_once_one_is_refused(url: str, seed: int, code: ExitCode) -> None:
    stores = [ObjectStore(url), ObjectStore(url)]
    assert [RunState.read(each) for each in stores] == [None, None]
    state().write(stores[0])
    with pytest.raises(CommandError) as refused:
        state(count=9, seed=seed).write(stores[1])
    assert refused.value.exit_code is code
    assert RunState.read(stores[1]) == state()
    state(count=7).write(stores[0])
    assert RunState.read(stores[1]) == state(count=7)


def test_run_json_whose_answer_was_lost_is_our_own(url: str) -> None:
    store = ObjectStore(url)
    store.read("run.json")
    state().write(ObjectStore(url))  # as an earlier try of this one
    state().write(store)
    state(count=7).write(store)


def test_file_that_another_wrote_meanwhile_is_not_written_over(url: str) -> None:
    late, next_one = open_store(url), open_store(url)
    assert late.version("00000.tar") is None
    late.write_over("00000.tar", b"first", None)
    version = late.version("00000.tar")
    next_one.write_over("00000.tar", b"second", version)
    for stale in (None, version):
        with pytest.raises(CommandError, match="another gan-batch") as refused:
            late.write_over("00000.tar", b"third", stale)
        assert refused.value.exit_code is ExitCode.LOCKED
        late.write_over("00000.tar", b"second", stale)  # the answer to an earlier try was lost
    assert late.read("00000.tar") == b"second"


def test_of_several_that_create_a_file_one_does(url: str) -> None:
    assert [ObjectStore(url).create("run.json", b"%d" % number) for number in range(3)] == [True, False, False]
    assert ObjectStore(url).read("run.json") == b"0"
