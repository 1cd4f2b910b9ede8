"""A worker on a Ray cluster, called without one: what goes wrong is an answer."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.dataset.formats import Folders
from jobs.dataset.shard import Shard
from jobs.stores.local_store import LocalStore
from jobs.workers import ray_worker
from jobs.workers.crew import Done, Failed, Order
from tests.jobs.conftest import SEED


@pytest.fixture
def order(model: Path, tmp_path: Path) -> Order:
    (tmp_path / "images" / "00000").mkdir(parents=True)
    return Order(model, "cpu", str(tmp_path), SEED, Folders("images"))


def test_worker_that_sees_another_folder_refuses(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker, "_SEEN_WITHIN_SECONDS", 0.0)
    maker = ray_worker.Maker(order, order.model.read_bytes())
    assert isinstance(maker.open(), ray_worker.Opened)
    answer = maker.make(Shard(0, 0, 2), 2, ".run.json.0123456789abcdef.tmp")
    assert isinstance(answer, Failed)
    assert answer.exit_code == 73
    assert "all nodes" in answer.message
    assert os.uname().nodename in answer.message
    assert isinstance(maker.make(Shard(0, 0, 2), 2, None), Done)


def test_masks_are_written_and_their_folder_is_flushed(
    order: Order, masked_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, ...]] = []
    monkeypatch.setattr(LocalStore, "flush", lambda store, *folders: flushed.append(folders))
    (Path(order.out) / "masks" / "00000").mkdir(parents=True)
    maker = ray_worker.Maker(replace(order, model=masked_model), masked_model.read_bytes())
    opened, answer = maker.open(), maker.make(Shard(0, 0, 2), 2, None)
    assert isinstance(opened, ray_worker.Opened)
    assert (opened.facts.mask_bytes or 0) > 50
    assert isinstance(answer, Done)
    assert [line.split(b",")[-2] for line in answer.manifest.splitlines()] == [
        b"masks/00000/00000000.png", b"masks/00000/00000001.png",
    ]  # fmt: skip
    assert len(list(Path(order.out, "masks/00000").iterdir())) == 2
    assert flushed == [("images/00000", "masks/00000")]


def test_broken_model_is_told_by_the_name_that_the_user_knows(order: Order) -> None:
    answer = ray_worker.Maker(order, b"no model").open()
    assert isinstance(answer, Failed)
    assert answer.exit_code == 65
    assert str(order.model) in answer.message
