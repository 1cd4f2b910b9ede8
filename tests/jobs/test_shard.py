"""The shards: image i is a function of (model, seed, i), however the work is cut."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest

from jobs import manifest
from jobs.session import GeneratorSession
from jobs.shard import make_shards, plan
from jobs.store import LocalStore
from models.latents import latents
from tests.conftest import run
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, succeeds


@pytest.mark.parametrize(("count", "size"), [(1, 1000), (999, 1000), (1000, 1000), (1001, 1000), (7, 3), (3, 1)])
def test_plan_covers_each_image_once_in_order(count: int, size: int) -> None:
    shards = list(plan(count, size))
    assert [index for shard in shards for index in range(shard.start, shard.stop)] == list(range(count))
    assert [shard.number for shard in shards] == list(range(len(shards)))


def test_shard_of_an_image_does_not_depend_on_the_count() -> None:
    longer = list(plan(5000, 1000))
    assert list(plan(3000, 1000)) == longer[:3]


def test_all_images_of_the_model_under_test_differ(finished: Path) -> None:
    rows = rows_of(finished)  # else nothing below could fail
    assert len({row.sha256 for row in rows}) == len(rows)


@pytest.mark.parametrize(("size", "workers"), [("1", "1"), ("7", "2"), ("50", "3"), ("64", "1"), ("64", "3")])
def test_batch_size_and_workers_change_nothing(
    size: str, workers: str, finished: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run(*batch(model, out, 130, "--shard-size", "100", "--batch-size", size, "--workers", workers)))
    assert differing(out, finished) == []


@pytest.mark.parametrize("size", [1000, 40])
def test_other_shard_size_puts_the_same_images_into_other_folders(
    size: int, finished: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run(*batch(model, out, 130, "--shard-size", str(size))))
    rows = rows_of(out)
    assert [row.sha256 for row in rows] == [row.sha256 for row in rows_of(finished)]
    assert [row.file_name for row in rows] == [f"{index // size:05d}/{index:08d}.png" for index in range(130)]


def test_image_i_is_made_from_latent_i_across_shards_and_latent_blocks(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run(*batch(model, out, 1030, "--shard-size", "600", "--batch-size", "64")))
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for index in (0, 1, 63, 64, 599, 600, 1023, 1024, 1029):
        (expected,) = session.run(["pixels"], {"z": latents(SEED, index, index + 1, 8)})
        found = decoded((out / f"{index // 600:05d}" / f"{index:08d}.png").read_bytes())
        np.testing.assert_array_equal(found, expected[0], err_msg=f"image {index}")


def test_colour_model_gives_rgb_files(colour_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run(*batch(colour_model, out, 3)))
    session = onnxruntime.InferenceSession(str(colour_model), providers=["CPUExecutionProvider"])
    (expected,) = session.run(["pixels"], {"z": latents(SEED, 0, 3, 8)})
    for row, pixels in zip(rows_of(out), expected, strict=True):
        assert row.mode == "RGB"
        np.testing.assert_array_equal(decoded((out / row.file_name).read_bytes()), pixels)


# The function that every engine runs


class FailsAt:
    """A session that fails once a latent is asked for."""

    def __init__(self, session: GeneratorSession, index: int) -> None:
        self.session, self.info = session, session.info
        self.latent = latents(SEED, index, index + 1, session.info.z_dim)[0]

    def pixels(self, z: Any, batch_size: int) -> Any:
        if (z == self.latent).all(axis=1).any():
            raise RuntimeError("out of memory, say")
        return self.session.pixels(z, batch_size)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    (tmp_path / manifest.FOLDER).mkdir()
    made = LocalStore(tmp_path)
    yield made
    made.close()


def test_failed_batch_leaves_its_shard_uncommitted_and_earlier_ones_whole(store: LocalStore, model: Path) -> None:
    session = cast(GeneratorSession, FailsAt(GeneratorSession(model, "cpu"), 27))
    with ThreadPoolExecutor(2) as pool, pytest.raises(RuntimeError):
        list(make_shards(plan(50, 10), session, store, SEED, 4, pool, 3))
    assert manifest.committed(store.root / manifest.FOLDER, 10) == {0: 10, 1: 20}


def test_shards_may_be_made_in_any_order_and_apart(
    store: LocalStore, model: Path, finished: Path, tmp_path: Path
) -> None:
    session = GeneratorSession(model, "cpu")
    with ThreadPoolExecutor(2) as pool:
        for shard in reversed(list(plan(130, 100))):
            assert list(make_shards([shard], session, store, SEED, 50, pool, 3)) == [shard]
    for row in rows_of(finished):
        assert store.read(row.file_name) == (finished / row.file_name).read_bytes()


def test_progress_counts_each_image_once(store: LocalStore, model: Path) -> None:
    counted: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        list(make_shards(plan(25, 10), GeneratorSession(model, "cpu"), store, SEED, 4, pool, 3, counted.append))
    assert sum(counted) == 25


def test_strays_in_a_shard_are_removed(store: LocalStore, model: Path) -> None:
    (store.root / "00000").mkdir()
    (store.root / "00000" / "99999999.png").write_bytes(b"of an older program")
    with ThreadPoolExecutor(1) as pool:
        list(make_shards(plan(2, 10), GeneratorSession(model, "cpu"), store, SEED, 4, pool, 3))
    assert store.names("00000") == ["00000000.png", "00000001.png"]
