"""A run with a wish is the same by every way."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs import Gate, OnDisk, Part, Work, finish
from jobs.checks.repair import regen, repair
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.shard import Shard
from jobs.workers.crew import Failed, Order
from jobs.workers.drawing import draw
from jobs.workers.ray_worker import Maker
from jobs.workers.session import GeneratorSession
from models.wish import Wish
from tests.conftest import run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, kill_at, rows_of, succeeds
from tests.jobs.wanted.conftest import BATCH, COUNT, MIX, SHARD, WANT, hashes, make


@pytest.mark.parametrize(("shard", "batch_size", "format"), [(7, 1, "png"), (1000, 50, "png"), (10, 4, "tar")], ids=str)
def test_images_depend_on_neither_shards_nor_batches_nor_the_format(
    shard: int, batch_size: int, format: str, masked_model: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    make(masked_model, out, want=WANT, on_disk=OnDisk(shard, format), work=Work("cpu", batch_size=batch_size))
    assert hashes(out) == hashes(whole)
    assert list(verify(out)) == []


def test_longer_run_extends_a_shorter_one_and_need_not_be_told_the_wish_again(
    masked_model: Path, whole: Path, tmp_path: Path
) -> None:
    make(masked_model, tmp_path / "run", 13, want=WANT)
    first = hashes(tmp_path / "run")
    make(masked_model, tmp_path / "run", COUNT)
    assert hashes(tmp_path / "run")[:13] == first
    assert differing(tmp_path / "run", whole) == []


def test_parts_make_the_same_run(masked_model: Path, whole: Path, tmp_path: Path) -> None:
    for number in (3, 1, 2):
        make(masked_model, tmp_path / "run", want=WANT, part=Part(number, 3))
    finish(tmp_path / "run", masked_model, gate=Gate("warn"))
    assert hashes(tmp_path / "run") == hashes(whole)


def test_processes_make_the_same_run(
    masked_model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workers.pool import WorkerPool

    monkeypatch.setattr(Work, "open", lambda work, order, most, check: WorkerPool(order, 2, check))
    command = batch(masked_model, tmp_path / "run", COUNT, "--shard-size", str(SHARD), "--quality-gate", "warn")
    succeeds(run_in_process(*command, GAN_BATCH_WANT=WANT))
    assert differing(tmp_path / "run", whole) == []


def test_worker_of_ray_makes_the_same_rows(masked_model: Path, whole: Path, tmp_path: Path) -> None:
    for root in ("images", "masks"):
        (tmp_path / root / "00001").mkdir(parents=True)
    order = Order(masked_model, "cpu", str(tmp_path), SEED, Folders("images"), wish=Wish.parse(WANT))
    maker = Maker(order, masked_model.read_bytes())
    maker.open()
    done = maker.make(Shard(1, 10, 20), 4, None, MIX)
    assert not isinstance(done, Failed)
    assert done.manifest == manifest.lines(rows_of(whole)[10:20])
    assert done.candidates > 10


@pytest.mark.parametrize("calls", [2, 5])
def test_killed_run_goes_on_to_the_same_end(calls: int, masked_model: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    call = f"""
Work.open = lambda work, order, most, check: Here(order)
run_batch({str(masked_model)!r}, {str(out)!r}, {COUNT}, want={WANT!r}, seed={SEED}, on_disk=OnDisk({SHARD}),
    work=Work("cpu", batch_size={BATCH}), gate=Gate("warn"))
"""
    kill_at("replace", calls, "from jobs import Gate, OnDisk, Work, run_batch\nfrom tests.jobs.here import Here", call)
    assert not (out / "manifest.csv").exists()
    make(masked_model, out, want=WANT)
    assert differing(out, whole) == []


@pytest.mark.parametrize("index", [4, 1500])
def test_any_image_is_made_again_alone(index: int, masked_model: Path, whole: Path, session: GeneratorSession) -> None:
    made = regen(whole, index, masked_model, "cpu")
    assert made.same is (True if index < COUNT else None)
    drawn = draw(session, SEED, index - 2, index + 3, 5, MIX, Wish.parse(WANT))
    np.testing.assert_array_equal(decoded(made.image), drawn.pixels[2])


def test_lost_images_masks_and_shards_are_repaired(masked_model: Path, whole: Path, copied: Path) -> None:
    (copied / "images" / "00000" / "00000003.png").unlink()
    (copied / "masks" / "00001" / "00000012.png").unlink()
    shutil.rmtree(copied / "images" / "00002")
    (copied / "_manifests" / "00002.csv").unlink()
    assert repair(copied, masked_model) >= 4
    assert list(verify(copied)) == []
    assert differing(copied, whole) == []


def test_measures_that_were_lost_come_again(masked_model: Path, whole: Path, copied: Path) -> None:
    for path in (copied / "_quality").iterdir():
        path.unlink()
    (copied / "contact_sheet.png").unlink()
    make(masked_model, copied)
    assert differing(copied, whole, ["log.jsonl", "stats.json", *(f"_quality/0000{i}.csv" for i in range(3))]) == []
