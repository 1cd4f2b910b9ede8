"""What is left of a run is reckoned, not counted: the same as by going through all shards, for any number of images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jobs.dataset.formats import Folders, Format, Tars
from jobs.dataset.part import Part
from jobs.dataset.plan import Plan
from jobs.dataset.remaining import Remaining

FORMATS = [Folders("images"), Tars("images")]


def plan(shard_size: int, format: Format = FORMATS[0]) -> Plan:
    return Plan(seed=1, width=8, height=8, mode="L", shard_size=shard_size, format=format)


@pytest.mark.parametrize("format", FORMATS, ids=["png", "tar"])
@pytest.mark.parametrize("part", [None, Part(1, 3), Part(3, 3), Part(9, 9)], ids=str)
def test_it_is_what_going_through_all_shards_gives(part: Part | None, format: Format) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        size, count = int(random.integers(1, 6)), int(random.integers(1, 40))
        layout = plan(size, format)
        mine = [shard for shard in layout.all(count) if part is None or part.has(shard.number)]
        done = {
            shard.number: shard.start + int(random.integers(1, shard.images + 1))
            for shard in mine
            if random.random() < 0.5
        }
        had = {
            shard.number: done.get(shard.number, shard.start) - shard.start
            for shard in mine
            if not format.is_whole or done.get(shard.number) == shard.stop
        }
        left = [shard for shard in mine if had.get(shard.number, 0) < shard.images]
        found = Remaining(layout, done, count, part)
        assert found.count == count
        assert found.share == sum(shard.images for shard in mine)
        assert found.missing == found.share - sum(had.values())
        assert list(found.pending()) == left
        assert found.shards == len(left)
        assert [number for number in range(50) if found.has(number)] == [shard.number for shard in left]
        if part is None:
            of = int(random.integers(1, 12))
            assert found.parts(of) == [
                Part(number + 1, of) for number in range(of) if any(shard.number % of == number for shard in left)
            ]


def test_more_images_than_are_asked_for_stay() -> None:
    found = Remaining(plan(10), {0: 10, 3: 34}, 5)
    assert (found.count, found.share, found.missing) == (34, 34, 20)


@pytest.mark.parametrize("part", [None, Part(7, 16)], ids=str)
@pytest.mark.parametrize("format", FORMATS, ids=["png", "tar"])
def test_number_of_images_costs_nothing(part: Part | None, format: Format) -> None:
    count = 16 * 10**20  # what goes through all shards never comes back
    found = Remaining(plan(1000, format), {22: 23_000}, count, part)
    assert found.share == (count if part is None else count // 16)
    assert found.missing == found.share - 1000
    assert found.shards == found.share // 1000 - 1
    first = [shard.number for shard in itertools.islice(found.pending(), 3)]
    assert first == ([0, 1, 2] if part is None else [6, 38, 54])
    assert len(found.parts(16)) == 16
