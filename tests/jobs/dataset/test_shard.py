"""The shards: image i is a function of (model, seed, i), however the work is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.plan import Plan
from jobs.dataset.shard import Shard
from jobs.stores.local_store import LocalStore
from jobs.workers.piece import make_images, write_images
from jobs.workers.session import GeneratorSession
from models.latents import latents
from tests.conftest import run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, succeeds

IMAGES = Folders("images")


def plan(shard_size: int) -> Plan:
    return Plan(seed=1, width=8, height=8, mode="L", shard_size=shard_size, format=IMAGES)


@pytest.mark.parametrize(("count", "size"), [(1, 1000), (999, 1000), (1000, 1000), (1001, 1000), (7, 3), (3, 1)])
def test_plan_covers_each_image_once_in_order(count: int, size: int) -> None:
    shards = list(plan(size).all(count))
    assert [index for shard in shards for index in range(shard.start, shard.stop)] == list(range(count))
    assert [shard.number for shard in shards] == list(range(len(shards)))


def test_shard_of_an_image_does_not_depend_on_the_count() -> None:
    longer = list(plan(1000).all(5000))
    assert list(plan(1000).all(3000)) == longer[:3]


def test_all_images_of_the_model_under_test_differ(finished: Path) -> None:
    rows = rows_of(finished)  # else nothing below could fail
    assert len({row.sha256 for row in rows}) == len(rows)


@pytest.mark.parametrize(("size", "workers"), [("1", "1"), ("7", "2"), ("50", "3"), ("64", "1"), ("64", "3")])
def test_batch_size_and_workers_change_nothing(
    size: str, workers: str, finished: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 130, "--shard-size", "100", "--batch-size", size, "--workers", workers)))
    assert differing(out, finished) == []


@pytest.mark.parametrize("size", [1000, 40])
def test_other_shard_size_puts_the_same_images_into_other_folders(
    size: int, finished: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 130, "--shard-size", str(size))))
    rows = rows_of(out)
    assert [row.sha256 for row in rows] == [row.sha256 for row in rows_of(finished)]
    assert [row.file_name for row in rows] == [f"images/{index // size:05d}/{index:08d}.png" for index in range(130)]


def test_image_i_is_made_from_latent_i_across_shards_and_latent_blocks(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 1030, "--shard-size", "600", "--batch-size", "64")))
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for index in (0, 1, 63, 64, 599, 600, 1023, 1024, 1029):
        (expected,) = session.run(["pixels"], {"z": latents(SEED, index, index + 1, 8)})
        found = decoded((out / "images" / f"{index // 600:05d}" / f"{index:08d}.png").read_bytes())
        np.testing.assert_array_equal(found, expected[0], err_msg=f"image {index}")


def test_colour_model_gives_rgb_files(colour_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(colour_model, out, 3)))
    session = onnxruntime.InferenceSession(str(colour_model), providers=["CPUExecutionProvider"])
    (expected,) = session.run(["pixels"], {"z": latents(SEED, 0, 3, 8)})
    for row, pixels in zip(rows_of(out), expected, strict=True):
        assert row.mode == "RGB"
        np.testing.assert_array_equal(decoded((out / row.file_name).read_bytes()), pixels)


# The functions that every engine runs


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_pieces_may_be_made_in_any_order_and_apart(store: LocalStore, model: Path, finished: Path) -> None:
    session = GeneratorSession(model, "cpu")
    rows = []
    for piece in (Shard(1, 100, 130), Shard(0, 77, 100), Shard(0, 0, 1), Shard(0, 1, 77)):
        IMAGES.begin(store, Shard(piece.number, 0, 200))
        rows += write_images(piece, session, store, SEED, 50, IMAGES)[0]
    assert sorted(rows, key=lambda row: row.index) == rows_of(finished)
    for row in rows:
        assert store.read(row.file_name) == (finished / row.file_name).read_bytes()


def test_made_images_are_those_that_are_written_and_each_comes_once(model: Path, finished: Path) -> None:
    made = list(make_images(Shard(0, 5, 30), GeneratorSession(model, "cpu"), SEED, 4, IMAGES))
    assert [row for row, *_ in made] == rows_of(finished)[5:30]
    assert [measure.index for _, measure, *_ in made] == list(range(5, 30))
    assert all(content == (finished / row.file_name).read_bytes() for row, _, content, *_ in made)


def test_measures_in_the_run_are_those_of_its_images(model: Path, finished: Path) -> None:
    made = make_images(Shard(1, 100, 130), GeneratorSession(model, "cpu"), SEED, 30, IMAGES)
    table = (finished / "_quality" / "00001.csv").read_text().splitlines()[1:]
    assert table == [f"{m.index},{m.contrast},{m.clipped},{m.finite}" for _, m, *_ in made]


def test_written_images_count_for_nothing_before_their_commit(store: LocalStore, model: Path) -> None:
    store.make_folder("_manifests")
    store.make_folder("images/00000")
    write_images(Shard(0, 0, 3), GeneratorSession(model, "cpu"), store, SEED, 2, IMAGES)
    assert len(store.names("images/00000")) == 3
    assert manifest.committed(store, 10) == {}


def test_strays_in_a_shard_that_is_made_are_removed_and_what_is_not_ours_stays(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(model, out, 10, "--shard-size", "10")))
    (out / "images" / "00001").mkdir()
    (out / "images" / "00001" / "99999999.png").write_bytes(b"of an older program")
    (out / "images" / "00001" / "notes.txt").write_bytes(b"mine")
    succeeds(run_in_process(*batch(model, out, 12, "--shard-size", "10")))
    assert LocalStore(out).names("images/00001") == ["00000010.png", "00000011.png", "notes.txt"]
