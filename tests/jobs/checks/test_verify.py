"""`gan-batch verify`: every kind of fault is named, and nothing is changed by looking."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.checks.status import status
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from tests.conftest import clean_environment, fails_in_one_line, run_in_process
from tests.jobs.conftest import batch, succeeds
from tests.jobs.damage import BROKEN, REPAIRABLE, UNREADABLE, USERS_FILES, Damage, change_row, put
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, time and size of a folder and of all that is in it."""
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {str(path): (stat.st_ino, stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def faults_of(result: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """Kind and file of each row on stdout, after the asserts that hold for every run with faults."""
    errors = [line for line in result.stderr.splitlines() if ": error: " in line]
    assert result.returncode == 76, result.stderr
    assert len(errors) == 1
    assert result.stderr.splitlines()[-1] == errors[0]
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert rows
    assert all(row.keys() == {"fault", "file_name", "detail"} and row["detail"] for row in rows)
    assert f"{len(rows)} faults" in errors[0] or (len(rows) == 1 and "1 fault" in errors[0])
    return [(row["fault"], row["file_name"]) for row in rows]


def test_fine_run_is_fine(finished: Path) -> None:
    result = run_in_process("gan-batch", "verify", finished)
    succeeds(result)
    assert "error" not in result.stderr


@pytest.mark.parametrize("damage", REPAIRABLE, ids=str)
def test_fault_is_found_once_with_its_kind_and_its_file(damage: Damage, copy: Path) -> None:
    damage.do(copy)
    before = everything(copy)
    found = [(fault.fault, fault.file_name) for fault in verify(copy)]
    assert everything(copy) == before, "verify changed something"
    if damage.file_name.startswith("_manifests/"):
        found = [fault for fault in found if fault != ("bad manifest", "manifest.csv")]  # the whole no longer fits
    assert found == [(damage.fault, damage.file_name)]


ONE_OF_EACH_KIND = {(damage.fault, damage.file_name.endswith(".csv")): damage for damage in REPAIRABLE}


@pytest.mark.parametrize("damage", ONE_OF_EACH_KIND.values(), ids=str)
def test_fault_is_a_row_on_stdout_and_one_error_on_stderr(damage: Damage, copy: Path) -> None:
    damage.do(copy)
    before = everything(copy)
    assert (damage.fault, damage.file_name) in faults_of(run_in_process("gan-batch", "verify", copy))
    assert everything(copy) == before, "verify changed something"


@pytest.mark.parametrize("name", USERS_FILES)
def test_file_of_the_users_is_named(name: str, copy: Path) -> None:
    (copy / name).write_text("mine")
    assert [(fault.fault, fault.file_name) for fault in verify(copy)] == [("stray", name)]


@pytest.mark.parametrize("name", ["mine", "images/00000/mine", "00002"])
def test_folder_of_the_users_is_named(name: str, copy: Path) -> None:
    (copy / name).mkdir()
    (copy / name / "notes.txt").write_text("mine")
    assert [(fault.fault, fault.file_name) for fault in verify(copy)] == [("stray", name)]


def test_strange_file_names_are_quoted(copy: Path) -> None:
    names = ["Grüße.txt", 'a,b "c".txt', "two\nlines.txt"]
    for name in names:
        (copy / name).write_text("mine")
    found = faults_of(run_in_process("gan-batch", "verify", copy))
    assert sorted(found) == sorted(("stray", name) for name in names)


def test_file_name_that_is_no_text_is_a_fault_and_no_bug(copy: Path) -> None:
    (copy / os.fsdecode(b"no \xff text.txt")).write_text("mine")
    result = subprocess.run(
        ["gan-batch", "verify", str(copy)],
        env={**clean_environment(), "PYTHONIOENCODING": "utf-8:strict"},  # as in most locales
        capture_output=True,
    )
    assert result.returncode == 76, result.stderr
    assert b"\nstray," in result.stdout


@pytest.mark.parametrize("what", UNREADABLE)
def test_file_that_is_no_such_image_is_unreadable_though_its_row_agrees(what: str, copy: Path) -> None:
    put(copy, BROKEN, UNREADABLE[what])
    assert [(fault.fault, fault.file_name) for fault in verify(copy)] == [("unreadable", BROKEN)]


def test_shard_folder_that_is_gone_is_as_many_missing_images(copy: Path) -> None:
    shutil.rmtree(copy / "images" / "00001")
    found = faults_of(run_in_process("gan-batch", "verify", copy))
    assert found == [("missing", f"images/00001/{index:08d}.png") for index in range(100, 130)]


def test_image_that_became_a_folder_is_missing(copy: Path) -> None:
    (copy / BROKEN).unlink()
    (copy / BROKEN).mkdir()
    assert faults_of(run_in_process("gan-batch", "verify", copy)) == [("missing", BROKEN)]


def test_every_fault_is_named_where_there_are_several(copy: Path) -> None:
    put(copy, "images/00000/00000003.png", b"")
    (copy / "images/00000/00000004.png").unlink()
    change_row(copy, 5, seed=9, width=3)
    (copy / "images/00001/mine").write_text("")
    found = faults_of(run_in_process("gan-batch", "verify", copy))
    assert sorted(found) == [
        ("bad row", "images/00000/00000005.png"),
        ("bad row", "images/00000/00000005.png"),
        ("missing", "images/00000/00000004.png"),
        ("stray", "images/00001/mine"),
        ("unreadable", "images/00000/00000003.png"),
    ]


def test_fault_can_be_read_from_python(copy: Path) -> None:
    (copy / BROKEN).unlink()
    (fault,) = verify(copy)
    assert (fault.fault, fault.file_name, fault.index) == ("missing", BROKEN, 7)


def test_edited_rows_of_the_runs_manifest_are_named_by_their_index(copy: Path) -> None:
    path = copy / "manifest.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    for index, (old, new) in {7: (b",128,", b",129,"), 50: (b"50,", b"51,"), 129: (b",L,", b",RGB,")}.items():
        lines[index + 1] = lines[index + 1].replace(old, new, 1)
    path.write_bytes(b"".join(lines))
    found = [(fault.fault, fault.file_name, fault.index) for fault in verify(copy)]
    assert found == [("bad row", "manifest.csv", index) for index in (7, 50, 129)]
    result = run_in_process("gan-batch", "verify", copy)
    assert "the row of image 7 is not the one in the manifest of its shard" in result.stderr
    assert result.stderr.count("--repair") == 1


def test_row_that_is_gone_is_told_by_where_the_rest_begins(copy: Path) -> None:
    path = copy / "manifest.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:51] + lines[52:]))
    (fault,) = verify(copy)
    assert (fault.fault, fault.index) == ("bad manifest", None)
    assert "from the row of image 50 on" in fault.detail


def test_many_shards_without_a_manifest_are_one_fault(copy: Path) -> None:
    """A run.json that names a billion images is no reason to write a billion lines."""
    state = json.loads((copy / "run.json").read_text())
    state["count"] = 10**9
    (copy / "run.json").write_text(json.dumps(state))
    found = [fault for fault in verify(copy) if fault.file_name != "manifest.csv"]
    assert [(fault.fault, fault.file_name) for fault in found] == [
        ("bad manifest", "_manifests/00001.csv"),  # it has 30 images of 100
        ("no manifest", "_manifests/00002.csv"),
    ]
    assert "9999997 more after it: images 200 to 999999999" in found[1].detail


# No byte of a manifest can change unseen


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five images."""
    folder = tmp_path_factory.mktemp("tiny")
    succeeds(run_in_process(*batch(write_model(folder / "model.onnx"), folder / "run", 5)))
    return folder / "run"


@pytest.mark.parametrize("table", ["_manifests/00000.csv", "manifest.csv"])
def test_no_bit_of_a_manifest_can_change_unseen(table: str, tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "run")
    content = (copy / table).read_bytes()
    random = np.random.default_rng(0)
    unseen = []
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        (copy / table).write_bytes(damaged)
        if not list(verify(copy)):
            unseen.append((place, bytes(damaged[max(0, place - 10) : place + 10])))
    assert unseen == []


@pytest.mark.parametrize(("old", "new"), [(b",32,", b", 32,"), (b"\n", b"\r\n")])
def test_manifests_with_other_bytes_for_the_same_numbers_are_not_fine(
    old: bytes, new: bytes, tiny: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny, tmp_path / "run")
    for name in ("_manifests/00000.csv", "manifest.csv"):
        header, _, rows = (copy / name).read_bytes().partition(b"\n")
        (copy / name).write_bytes(header + b"\n" + rows.replace(old, new))
    assert [fault.fault for fault in verify(copy)] != []


# What is no complete run


def test_cut_off_run_is_named_and_what_is_committed_is_looked_at(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*batch(model, out, 130, "--shard-size", "100", "--max-seconds", "0")).returncode == 3
    result = run_in_process("gan-batch", "verify", out)
    assert faults_of(result) == [("not complete", "run.json")]
    assert "it was cut off, 100 of 130 images are committed: run the same command again" in result.stderr
    assert "--repair" not in result.stderr, "which would not help"
    (out / BROKEN).unlink()
    found = faults_of(run_in_process("gan-batch", "verify", out))
    assert sorted(found) == [("missing", BROKEN), ("not complete", "run.json")]


def test_run_that_a_process_makes_is_not_called_cut_off(copy: Path) -> None:
    (copy / "run.json").write_text((copy / "run.json").read_text().replace("complete", "running"))
    holder = LocalStore(copy)
    holder.lock()
    try:
        (fault,) = verify(copy)
    finally:
        holder.close()
    assert "a process is making it" in fault.detail
    (fault,) = verify(copy)
    assert "it was cut off" in fault.detail


def test_temporary_of_a_run_at_work_is_no_stray(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*batch(model, out, 130, "--shard-size", "100", "--max-seconds", "0")).returncode == 3
    (out / "_manifests" / ".00001.csv.tmp").write_bytes(b"")
    assert [fault.fault for fault in verify(out)] == ["not complete"]


def test_rejected_run_is_not_complete(tmp_path: Path) -> None:
    model = write_model(tmp_path / "gray.onnx", gain=0.0)
    assert run_in_process(*batch(model, tmp_path / "run", 5)).returncode == 76
    result = run_in_process("gan-batch", "verify", tmp_path / "run")
    assert faults_of(result) == [("not complete", "run.json")]
    assert "rejected by the quality gate" in result.stdout


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


STATES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "no JSON": lambda path: path.write_bytes(b"\xff\xfe"),
    "a list": lambda path: path.write_text("[1]"),
    "no fingerprint": lambda path: edit(path, lambda content: content.pop("fingerprint")),
    "no shard size": lambda path: edit(path, lambda content: content["fingerprint"].pop("shard_size")),
    "no provider": lambda path: edit(path, lambda content: content["fingerprint"].pop("provider")),
    "no model": lambda path: edit(path, lambda content: content["fingerprint"].pop("model_sha256")),
    "a count in words": lambda path: edit(path, lambda content: content.update(count="many")),
    "shards of nothing": lambda path: edit(path, lambda content: content["fingerprint"].update(shard_size=0)),
    "less than no images": lambda path: edit(path, lambda content: content.update(count=-1)),
}


@pytest.mark.parametrize("how", STATES)
@pytest.mark.parametrize("ask", [lambda out: list(verify(out)), status], ids=["verify", "status"])
def test_damaged_state_is_named(ask: Callable[[Path], object], how: str, copy: Path) -> None:
    STATES[how](copy / "run.json")
    with pytest.raises(CommandError, match="damaged") as error:
        ask(copy)
    assert error.value.exit_code == 65
    assert str(copy / "run.json") in str(error.value)


@pytest.mark.parametrize("command", [["verify"], ["verify", "--repair"], ["status"], ["regen", "--index=1"]])
def test_every_command_ends_with_65_where_the_state_is_damaged(command: list[str], copy: Path) -> None:
    (copy / "run.json").write_bytes(b"{")
    fails_in_one_line(run_in_process("gan-batch", *command, copy), 65, "run.json", "damaged")


@pytest.mark.parametrize("what", ["a folder without run.json", "no folder", "a file"])
def test_what_is_no_run_is_missing_input(what: str, copy: Path, tmp_path: Path) -> None:
    out = {"a folder without run.json": copy, "no folder": tmp_path / "none", "a file": copy / BROKEN}[what]
    (copy / "run.json").unlink()
    fails_in_one_line(run_in_process("gan-batch", "verify", out), 66, str(out))


def test_verify_looks_at_each_row_of_every_shard(finished: Path) -> None:
    rows = [row for shard in (0, 1) for row in manifest.read_shard(LocalStore(finished), shard)]
    assert [row.index for row in rows] == list(range(130))
    assert list(verify(finished)) == []


def test_verifying_ends_when_it_is_told_to(finished: Path) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise CommandError(ExitCode.INTERRUPTED, "stopped")

    with pytest.raises(CommandError, match="stopped"):
        list(verify(finished, check=check))
    assert calls < 130
