"""From which probability on a photo counts as one with a defect."""

from __future__ import annotations

import numpy as np
import pytest

from gan.robustness.threshold import threshold_of

CLEAN = np.random.default_rng(0).random(200).round(2)  # with ties


def alarms(threshold: float) -> float:
    return float(np.mean([score >= threshold for score in CLEAN]))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_no_more_false_alarms_than_allowed_and_hardly_fewer(share: float) -> None:
    threshold, _ = threshold_of(CLEAN, None, share)
    assert alarms(threshold) <= share
    assert alarms(max(score for score in CLEAN if score < threshold)) > share


def test_all_may_be_false_alarms() -> None:
    assert threshold_of(CLEAN, None, 1.0)[0] == 0


def test_threshold_is_what_was_asked_for_or_one_half() -> None:
    assert threshold_of(CLEAN)[0] == 0.5
    assert threshold_of(CLEAN, 0.3)[0] == 0.3
