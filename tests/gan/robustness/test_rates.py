"""A share with its interval."""

from __future__ import annotations

import math

import pytest

from gan.robustness.rates import Rate


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (3, 7), (59, 60), (500, 1000)])
def test_interval_is_that_of_wilson(hits: int, count: int) -> None:
    z, share = 1.959963984540054, hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    assert Rate(hits, count).interval == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_nothing_asked_says_nothing() -> None:
    assert Rate(0, 0).interval == (0, 1)
    assert math.isnan(Rate(0, 0).share)
    assert Rate(0, 0).as_json()["share"] is None
