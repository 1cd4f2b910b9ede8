"""The manifest as a set of Parquet files: the rows of the CSV, in flat memory."""

from __future__ import annotations

import csv
import shutil
import tracemalloc
from pathlib import Path

import pytest

from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.dataset.layout import manifest_name
from jobs.dataset.manifest import Row
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import batch, differing, succeeds

pytestmark = pytest.mark.usefixtures("workers_here")

pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")

OPTIONS = ("--shard-size", "100", "--manifest", "parquet")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """The run `finished` with a manifest in Parquet; tests must not change it."""
    out = tmp_path_factory.mktemp("parquet") / "run"
    succeeds(run_in_process(*batch(model, out, 130, *OPTIONS)))
    return out


@pytest.fixture
def copied(complete: Path, tmp_path: Path) -> Path:
    return shutil.copytree(complete, tmp_path / "run")


def test_rows_are_those_of_the_csv(complete: Path, finished: Path) -> None:
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(complete / "manifest.parquet").to_table()
    with (finished / "manifest.csv").open() as file:
        expected = list(csv.DictReader(file))
    assert table.column_names == list(expected[0])
    assert [{name: str(value) for name, value in row.items()} for row in table.to_pylist()] == expected
    assert [str(field.type) for field in table.schema][:3] == ["int64", "string", "uint64"]
    assert differing(complete, finished) == ["manifest.csv", "manifest.parquet/part-00000.parquet"]


def test_form_is_kept_and_can_be_changed(copied: Path, complete: Path, finished: Path, model: Path) -> None:
    succeeds(run_in_process(*batch(model, copied, 130)))
    assert differing(copied, complete) == []
    succeeds(run_in_process(*batch(model, copied, 130, "--manifest", "csv")))
    assert differing(copied, finished) == []
    assert not (copied / "manifest.parquet").exists()
    (copied / "manifest.parquet").mkdir()
    (copied / "manifest.parquet" / "README.txt").touch()  # which makes no manifest of it
    succeeds(run_in_process(*batch(model, copied, 130)))
    assert (copied / "manifest.csv").exists()
    shutil.rmtree(copied / "manifest.parquet")
    succeeds(run_in_process(*batch(model, copied, 130, "--manifest", "parquet")))
    assert differing(copied, complete) == []


def cut_off(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-100])


def other_rows(part: Path) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(part)
    pyarrow.parquet.write_table(table.slice(1), part)


def one_more(part: Path) -> None:
    shutil.copy(part, part.with_name("part-00001.parquet"))


def gone(part: Path) -> None:
    part.unlink()
    part.with_name("part-00001.parquet").write_bytes(b"")


def no_text(part: Path) -> None:
    """One bit of the names of columns."""
    content = bytearray(part.read_bytes())
    content[content.index(b"file_name")] ^= 0x80
    part.write_bytes(content)


@pytest.mark.parametrize("damage", [no_text, cut_off, other_rows, one_more, gone])
def test_damage_is_found_and_repaired(damage: object, copied: Path, complete: Path, model: Path) -> None:
    assert list(verify(copied)) == []
    damage(copied / "manifest.parquet" / "part-00000.parquet")
    assert ("bad manifest", "manifest.parquet") in {(fault.fault, fault.file_name) for fault in verify(copied)}
    succeeds(run_in_process("gan-batch", "verify", copied, "--repair", "--model", model))
    assert differing(copied, complete) == []


def test_old_run_is_removed_whole(complete: Path, tmp_path: Path) -> None:
    old, new = (shutil.copytree(complete, tmp_path / name) for name in ("2026-11-21", "2026-11-22"))
    names = siblings(new)
    assert names is not None
    assert prune(new, 1, None, RunSeries(names, "generator.onnx")) == [old]
    assert not old.exists()


def test_parts_of_a_thousand_shards_take_no_more_memory_when_there_are_more(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.dataset

    from jobs.dataset import parquet

    most = []
    for shards in (1001, 3001):
        store = LocalStore(tmp_path / str(shards))
        (tmp_path / str(shards) / "_manifests").mkdir(parents=True)
        for shard in range(shards):
            rows = [
                Row(i, f"{shard:05d}/{i:08d}.png", 2**64 - 1, f"{i:064x}", 128, 128, "L", 9000)
                for i in range(shard * 40, shard * 40 + 40)
            ]
            store.write(manifest_name(shard), manifest.to_csv(rows))
        before = pyarrow.total_allocated_bytes()
        tracemalloc.start()
        parquet.write(store, shards)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pyarrow.total_allocated_bytes() - before < 1e6
        assert list(parquet.differences(store, shards)) == []
        assert len(store.names("manifest.parquet")) == -(-shards // 1000)
        dataset = pyarrow.dataset.dataset(store.root / "manifest.parquet")
        assert dataset.count_rows() == shards * 40
        assert dataset.to_table(columns=["index"])["index"].to_pylist() == list(range(shards * 40))
    assert most[1] < 1.2 * most[0]


def test_missing_package_is_named_before_the_work(model: Path, tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('none', name='pyarrow')\n")
    command = batch(model, tmp_path / "run", 130, *OPTIONS)
    fails_in_one_line(run(*command, PYTHONPATH=str(tmp_path)), 2, "pip install '.[parquet]'")
    assert not (tmp_path / "run").exists()
