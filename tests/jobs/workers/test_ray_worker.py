"""A worker on a Ray cluster, called without one: what goes wrong is an answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.dataset.formats import Folders
from jobs.dataset.shard import Shard
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


def test_broken_model_is_told_by_the_name_that_the_user_knows(order: Order) -> None:
    answer = ray_worker.Maker(order, b"no model").open()
    assert isinstance(answer, Failed)
    assert answer.exit_code == 65
    assert str(order.model) in answer.message
