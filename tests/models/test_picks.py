"""Which few of many are shown."""

from __future__ import annotations

import numpy as np
import pytest

from models.picks import in_proportion, spread


@pytest.mark.parametrize(("count", "size"), [(1, 64), (63, 64), (64, 64), (65, 64), (1000, 64), (10**12, 512)])
def test_spread_is_even_begins_with_the_first_and_never_repeats(count: int, size: int) -> None:
    indices = spread(count, size)
    steps = set(np.diff([*indices, count]).tolist())
    assert len(indices) == min(count, size)
    assert indices[0] == 0
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize("count", [1, 7, 10, 500])
def test_labels_in_proportion_are_so_to_within_one(count: int) -> None:
    labels = [2] * 5 + [0] * 3 + [1] * 2
    found = in_proportion(labels, count)
    assert len(found) == count
    for label in range(3):
        assert abs(found.count(label) - labels.count(label) * count / 10) < 1
