"""Manifests as files: what is written can be read, and what is not whole counts for nothing."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from jobs import manifest
from jobs.manifest import Row

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
    (tmp_path / "00007.csv").write_bytes(manifest.to_csv(ROWS[:3]))
    (tmp_path / "123456.csv").write_bytes(manifest.to_csv(ROWS[:1]))
    assert manifest.committed(tmp_path) == {1: 20, 7: 13, 123456: 11}


def test_nothing_is_committed_where_there_is_no_folder(tmp_path: Path) -> None:
    assert manifest.committed(tmp_path / "none") == {}


@pytest.mark.parametrize("name", [".00001.csv.tmp", "00001.csv.tmp", "00001.csv~", "notes.csv", "00001.txt", "-1.csv"])
def test_other_names_are_not_committed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(manifest.to_csv(ROWS))
    assert manifest.committed(tmp_path) == {}


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
    assert manifest.committed(tmp_path) == {}


def test_assembled_manifest_has_one_header_and_the_rows_in_order(tmp_path: Path) -> None:
    (tmp_path / "_manifests").mkdir()
    (tmp_path / "_manifests" / "00000.csv").write_bytes(manifest.to_csv(ROWS[:4]))
    (tmp_path / "_manifests" / "00001.csv").write_bytes(manifest.to_csv(ROWS[4:]))
    assert b"".join(manifest.assemble(tmp_path, 2)) == manifest.to_csv(ROWS)
