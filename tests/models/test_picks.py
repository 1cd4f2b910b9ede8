"""Which few of many are shown."""

from __future__ import annotations

import numpy as np
import pytest

from models.picks import spread


@pytest.mark.parametrize(("count", "size"), [(1, 64), (63, 64), (64, 64), (65, 64), (1000, 64), (10**12, 512)])
def test_spread_is_even_begins_with_the_first_and_never_repeats(count: int, size: int) -> None:
    indices = spread(count, size)
    steps = set(np.diff([*indices, count]).tolist())
    assert len(indices) == min(count, size)
    assert indices[0] == 0
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1
