"""Manifests as files: what is written can be read, and what is not whole counts for nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import manifest
from jobs.manifest import Row
from models.console import CommandError, ExitCode

ROWS = [
    Row(index, f"00001/{index:08d}.png", 2**64 - 1, f"{index:064x}", 128, 96, "L", 7000 + index)
    for index in range(10, 20)
]


def test_rows_survive_a_file() -> None:
    assert manifest.from_csv(manifest.to_csv(ROWS)) == ROWS


def test_any_csv_reader_reads_a_manifest() -> None:
    table = list(csv.DictReader(io.StringIO(manifest.to_csv(ROWS).decode())))
    assert [list(row) for row in table] == [
        ["index", "file_name", "seed", "sha256", "width", "height", "mode", "bytes"]
    ] * 10
    assert table[3]["file_name"] == "00001/00000013.png"
    assert table[3]["seed"] == str(2**64 - 1)


def test_committed_tells_the_index_after_the_last_image_of_each_shard(tmp_path: Path) -> None:
    (tmp_path / "00001.csv").write_bytes(manifest.to_csv(ROWS))
    (tmp_path / "123456.csv").write_bytes(manifest.to_csv([replace(ROWS[0], index=1234563)]))
    assert manifest.committed(tmp_path, 10) == {1: 20, 123456: 1234564}


def test_manifest_of_another_shards_images_is_not_committed(tmp_path: Path) -> None:
    (tmp_path / "00007.csv").write_bytes(manifest.to_csv(ROWS))
    assert manifest.committed(tmp_path, 10) == {}


def test_nothing_is_committed_where_there_is_no_folder(tmp_path: Path) -> None:
    assert manifest.committed(tmp_path / "none", 10) == {}


@pytest.mark.parametrize("name", [".00001.csv.tmp", "00001.csv.tmp", "00001.csv~", "notes.csv", "00001.txt", "-1.csv"])
def test_other_names_are_not_committed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(manifest.to_csv(ROWS))
    assert manifest.committed(tmp_path, 10) == {}


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
    (tmp_path / "00001.csv").write_bytes(content)
    assert manifest.committed(tmp_path, 10) == {}


def test_assembled_manifest_has_one_header_and_the_rows_in_order(tmp_path: Path) -> None:
    (tmp_path / "_manifests").mkdir()
    rows = [replace(row, index=row.index - 10) for row in ROWS]
    (tmp_path / "_manifests" / "00000.csv").write_bytes(manifest.to_csv(rows[:4]))
    (tmp_path / "_manifests" / "00001.csv").write_bytes(manifest.to_csv(rows[4:]))
    assert b"".join(manifest.assemble(tmp_path, 2)) == manifest.to_csv(rows)


@pytest.mark.parametrize("edit", [(b"\n2,", b"\ngarbage,"), (b"\n2,", b"\n3,"), (b",128,96", b"")])
def test_damaged_row_is_not_taken_into_the_runs_manifest(tmp_path: Path, edit: tuple[bytes, bytes]) -> None:
    (tmp_path / "_manifests").mkdir()
    content = manifest.to_csv([replace(row, index=row.index - 10) for row in ROWS]).replace(*edit, 1)
    (tmp_path / "_manifests" / "00000.csv").write_bytes(content)
    with pytest.raises(CommandError, match=r"00000\.csv is damaged") as error:
        list(manifest.assemble(tmp_path, 1))
    assert error.value.exit_code is ExitCode.BAD_DATA
