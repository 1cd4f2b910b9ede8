"""Manifests as files: what is written can be read, and what is not whole counts for nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.dataset import manifest, table
from jobs.dataset.manifest import Row
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode

ROWS = [
    Row(index, f"00001/{index:08d}.png", 2**64 - 1, f"{index:064x}", 128, 96, "L", 7000 + index)
    for index in range(10, 20)
]
FIRST = [replace(row, index=row.index - 10) for row in ROWS]
"""The same, from 0."""
COLUMNS = ["index", "file_name", "seed", "sha256", "width", "height", "mode", "bytes"]


def test_rows_survive_a_file() -> None:
    assert manifest.from_csv(manifest.to_csv(ROWS)) == ROWS


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("masks", [False, True])
def test_columns_of_labels_and_of_masks_are_there_where_there_are_any(labels: bool, masks: bool) -> None:
    more = ({"label": "dent", "label_id": 1} if labels else {}) | (
        {"mask_file_name": "masks/00001/1.png", "mask_sha256": "0" * 64} if masks else {}
    )
    content = manifest.to_csv([replace(row, **more) for row in ROWS])
    assert manifest.column_names(labels, masks).decode() == f"{','.join([*COLUMNS, *more])}\n"
    assert content.startswith(manifest.column_names(labels, masks))
    assert manifest.from_csv(content) == [replace(row, **more) for row in ROWS]
    last = content.rstrip(b"\n").rpartition(b",")[0] + b"\n"
    with pytest.raises(ValueError, match="row 10"):
        manifest.from_csv(last)
    if masks:
        with pytest.raises(ValueError, match="row 10"):  # without a mask among images that have one
            manifest.from_csv(last.rpartition(b",")[0] + b",,\n")


def test_lines_of_slices_joined_behind_the_header_are_the_manifest() -> None:
    assert manifest.column_names() + manifest.lines(ROWS[:3]) + manifest.lines(ROWS[3:]) == manifest.to_csv(ROWS)
    assert manifest.lines([]) == b""


def test_any_csv_reader_reads_a_manifest() -> None:
    table = list(csv.DictReader(io.StringIO(manifest.to_csv(ROWS).decode())))
    assert [list(row) for row in table] == [COLUMNS] * 10
    assert table[3]["file_name"] == "00001/00000013.png"
    assert table[3]["seed"] == str(2**64 - 1)


def put(root: Path, name: str, content: bytes) -> None:
    """Put a file among the manifests of the run in `root`."""
    (root / "_manifests").mkdir(exist_ok=True)
    (root / "_manifests" / name).write_bytes(content)


def test_committed_tells_the_index_after_the_last_image_of_each_shard(tmp_path: Path) -> None:
    put(tmp_path, "00001.csv", manifest.to_csv(ROWS))
    put(tmp_path, "123456.csv", manifest.to_csv([replace(ROWS[0], index=1234563)]))
    assert manifest.committed(LocalStore(tmp_path), 10) == {1: 20, 123456: 1234564}


def test_manifest_of_another_shards_images_is_not_committed(tmp_path: Path) -> None:
    put(tmp_path, "00007.csv", manifest.to_csv(ROWS))
    assert manifest.committed(LocalStore(tmp_path), 10) == {}


def test_nothing_is_committed_where_there_is_no_folder(tmp_path: Path) -> None:
    assert manifest.committed(LocalStore(tmp_path / "none"), 10) == {}


@pytest.mark.parametrize("name", [".00001.csv.tmp", "00001.csv.tmp", "00001.csv~", "notes.csv", "00001.txt", "-1.csv"])
def test_other_names_are_not_committed(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, manifest.to_csv(ROWS))
    assert manifest.committed(LocalStore(tmp_path), 10) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 500,
        b"index,file_name",
        manifest.to_csv([]),
        manifest.to_csv(ROWS)[:-1],
        manifest.to_csv(ROWS)[:-40],
        manifest.to_csv(ROWS).replace(b"19,", b"??,"),
    ],
    ids=["empty", "zeros", "half a header", "no rows", "no last newline", "cut in a row", "no number"],
)
def test_damaged_manifest_is_not_committed(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "00001.csv", content)
    assert manifest.committed(LocalStore(tmp_path), 10) == {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of ten images, four of them in the first shard, without the run's manifest."""
    put(tmp_path, "00000.csv", manifest.to_csv(FIRST[:4]))
    put(tmp_path, "00001.csv", manifest.to_csv(FIRST[4:]))
    return tmp_path


def refused(call: Callable[[], object], name: str) -> None:
    """Assert that `call` raises 65 with the manifest `name` and what to do."""
    with pytest.raises(CommandError, match=rf"{re.escape(name)} is damaged.*verify.*--repair") as error:
        call()
    assert error.value.exit_code is ExitCode.BAD_DATA


def test_scan_ends_when_it_is_told_to(folder: Path) -> None:
    def check() -> None:
        raise CommandError(ExitCode.TERMINATED, "stopped")

    with pytest.raises(CommandError, match="stopped"):
        manifest.committed(LocalStore(folder), 10, check=check)


def test_assembled_manifest_has_one_header_and_the_rows_in_order(folder: Path) -> None:
    assert b"".join(manifest.assemble(LocalStore(folder), 2)) == manifest.to_csv(FIRST)


@pytest.mark.parametrize("edit", [(b"\n2,", b"\ngarbage,"), (b"\n2,", b"\n3,"), (b",128,96", b"")])
def test_damaged_row_is_not_taken_into_the_runs_manifest(folder: Path, edit: tuple[bytes, bytes]) -> None:
    path = folder / "_manifests" / "00000.csv"
    path.write_bytes(path.read_bytes().replace(*edit, 1))
    refused(lambda: list(manifest.assemble(LocalStore(folder), 2)), "00000.csv")


def test_missing_shard_manifest_is_named_when_the_runs_manifest_is_assembled(folder: Path) -> None:
    refused(lambda: list(manifest.assemble(LocalStore(folder), 3)), "00002.csv")


def test_rows_of_a_committed_shard_are_read_by_its_number(folder: Path) -> None:
    assert manifest.read_shard(LocalStore(folder), 1) == FIRST[4:]


@pytest.mark.parametrize("content", [None, b"", manifest.to_csv(ROWS)[:-1], manifest.to_csv(ROWS).replace(b",L", b"")])
def test_missing_or_damaged_shard_is_not_read(folder: Path, content: bytes | None) -> None:
    path = folder / "_manifests" / "00001.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    refused(lambda: manifest.read_shard(LocalStore(folder), 1), "00001.csv")


def test_runs_manifest_is_assembled_once_it_holds_all_rows_and_nothing_else(folder: Path) -> None:
    whole = manifest.to_csv(FIRST)
    assert not table.is_right(LocalStore(folder), 2)
    (folder / "manifest.csv").write_bytes(whole)
    assert table.is_right(LocalStore(folder), 2)
    for other in (b"", whole[:-1], whole + b"x", whole.replace(b",96,", b",97,", 1), manifest.to_csv(FIRST[:4])):
        (folder / "manifest.csv").write_bytes(other)
        assert not table.is_right(LocalStore(folder), 2), other


def test_runs_manifest_is_not_assembled_where_a_shards_manifest_is_missing(folder: Path) -> None:
    (folder / "manifest.csv").write_bytes(manifest.to_csv(FIRST))
    (folder / "_manifests" / "00001.csv").unlink()
    assert not table.is_right(LocalStore(folder), 2)
