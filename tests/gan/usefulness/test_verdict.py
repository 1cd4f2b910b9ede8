"""What an interval says, and how many photos a gain is worth."""

from __future__ import annotations

import pytest

from gan.usefulness.statistics import Interval
from gan.usefulness.verdict import BudgetVerdict, Result, judged, photos_saved


def between(low: float, high: float, p: float = 0.001) -> Interval:
    return Interval((low + high) / 2, low, high, p, 0.1)


@pytest.mark.parametrize(
    ("gain", "adjusted", "verdict"),
    [
        (between(0.01, 0.05), 0.02, "HELPS"),
        (between(-0.05, -0.01), 0.02, "HURTS"),
        (between(-0.01, 0.05), 0.2, "NO EFFECT SHOWN"),
        (between(0.01, 0.05), 0.06, "NO EFFECT SHOWN"),
        (between(0.0, 0.05), 0.05, "NO EFFECT SHOWN"),
    ],
)
def test_the_whole_interval_must_lie_on_one_side_however_many_questions_there_are(
    gain: Interval, adjusted: float, verdict: str
) -> None:
    assert judged(gain, adjusted) == verdict


def of_budget(budget: int, baseline: float, gain: float) -> BudgetVerdict:
    result = Result("real", budget, 0.5, between(baseline, baseline), None, None)
    return BudgetVerdict(
        budget, "HELPS", "", "ours", "real", between(gain, gain), 0.01, {}, (result,), budget, budget, 1, 1, ([], [])
    )  # fmt: skip


def test_photos_saved_are_read_off_the_curve_of_real_photos() -> None:
    curve = [of_budget(10, 0.6, 0.1), of_budget(20, 0.7, 0.05), of_budget(40, 0.8, 0.05)]
    saved = photos_saved(curve)
    assert saved[10] == (pytest.approx(10), False)
    assert saved[20] == (pytest.approx(20 * 2**0.5 - 20), False)
    assert 40 not in saved
    assert photos_saved([of_budget(10, 0.6, 0.9), of_budget(20, 0.7, 0)])[10] == (10, True)
    assert photos_saved(curve[:1]) == {}
