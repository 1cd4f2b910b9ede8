"""Probability of detection: numbers of a known truth, confidence that holds, and data that have no curve."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gan.robustness.pod import pod_curve, pod_plane

A50, SLOPE = 20.0, 3.0
A90 = A50 * 9 ** (1 / SLOPE)
"""Of a detector whose logit is `SLOPE * ln(length / A50)`."""


def drawn(random: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Lengths, and what that detector says of them."""
    lengths = np.exp(random.uniform(np.log(4), np.log(100), count))
    return lengths, random.random(count) < 1 / (1 + (A50 / lengths) ** SLOPE)


def test_a50_and_a90_of_a_known_detector() -> None:
    curve = pod_curve("length", "px", *drawn(np.random.default_rng(1), 20_000), points=0)
    assert curve.a50 == pytest.approx(A50, rel=0.03)
    assert curve.a90 == pytest.approx(A90, rel=0.05)
    assert curve.slope == pytest.approx(SLOPE, rel=0.05)
    assert curve.a90_95 is not None
    assert curve.a90 < curve.a90_95 < 1.1 * A90


def test_a90_95_is_above_the_true_a90_in_95_of_100_experiments() -> None:
    random = np.random.default_rng(2)
    curves = [pod_curve("length", "px", *drawn(random, 120), points=0) for _ in range(250)]
    assert all(curve.a90_95 > curve.a90 for curve in curves if curve.a90_95 and curve.a90)
    covered = np.mean([curve.a90_95 is None or curve.a90_95 > A90 for curve in curves])
    assert 0.91 <= covered <= 0.99  # 250 experiments have a standard error of 0.014


def test_the_band_reaches_90_percent_where_a90_95_is() -> None:
    curve = pod_curve("length", "px", *drawn(np.random.default_rng(3), 200))
    assert curve.a90_95 is not None
    assert np.interp(np.log(curve.a90_95), np.log(curve.sizes), curve.low) == pytest.approx(0.9, abs=0.005)
    assert all(low < pod < high for low, pod, high in zip(curve.low, curve.pod, curve.high, strict=True))


@pytest.mark.parametrize(("count", "given"), [(59, False), (60, True)])
def test_a90_95_needs_60_targets(count: int, given: bool) -> None:
    curve = pod_curve("length", "px", *drawn(np.random.default_rng(4), count))
    assert curve.a90 is not None
    assert (curve.a90_95 is not None) is given
    assert ("60 are needed" in curve.no_a90_95) is not given


def test_targets_without_a_size_are_left_out_and_do_not_count() -> None:
    lengths, hits = drawn(np.random.default_rng(4), 60)
    lengths[:2] = np.nan, 0
    curve = pod_curve("length", "px", lengths, hits)
    assert (curve.targets, curve.left_out, curve.a90_95) == (58, 2, None)


def test_data_that_have_no_curve() -> None:
    lengths = np.linspace(5, 50, 80)
    assert pod_curve("length", "px", lengths, lengths > 0).fault == "all hit"
    assert pod_curve("length", "px", lengths, lengths < 0).fault == "all missed"
    assert pod_curve("length", "px", lengths[:5], lengths[:5] > 6).fault == "few"
    assert pod_curve("length", "px", np.full(80, 9.0), lengths > 20).fault == "one size"
    assert pod_curve("length", "px", lengths[:0], lengths[:0] > 0).fault == "few"
    parted = pod_curve("length", "px", lengths, lengths > 20)
    assert (parted.fault, parted.a90) == ("separated", None)
    assert parted.step == (lengths[lengths <= 20].max(), lengths[lengths > 20].min())
    wrong_way = pod_curve("length", "px", lengths, lengths < 20)
    assert wrong_way.step == (lengths[lengths < 20].max(), lengths[lengths >= 20].min())


def test_separated_but_for_one_size_is_separated() -> None:
    lengths = np.array([5.0] * 10 + [10.0] * 10 + [20.0] * 10)
    hits = np.array([False] * 10 + [True, False] * 5 + [True] * 10)
    assert pod_curve("length", "px", lengths, hits).fault == "separated"


def test_a_detector_that_finds_small_ones_better_has_no_a90() -> None:
    lengths, hits = drawn(np.random.default_rng(5), 200)
    curve = pod_curve("length", "px", lengths, ~hits)
    assert curve.slope is not None
    assert curve.slope < 0
    assert (curve.a50, curve.a90, curve.a90_95) == (None, None, None)


def test_where_size_says_nothing_there_is_no_a90_95() -> None:
    random = np.random.default_rng(6)
    curve = pod_curve("length", "px", np.exp(random.uniform(1, 4, 200)), random.random(200) < 0.6)
    assert curve.a90_95 is None
    assert curve.no_a90_95


def test_so_flat_a_curve_that_no_size_is_found_by_is_as_one_that_does_not_grow() -> None:
    lengths = np.repeat([8.0, 16.0, 32.0], 30)
    curve = pod_curve("length", "px", lengths, np.tile(np.arange(30) < 20, 3))
    assert curve.slope == pytest.approx(0, abs=1e-9)
    assert (curve.a50, curve.a90, curve.a90_95) == (None, None, None)


def test_length_and_contrast_together() -> None:
    random = np.random.default_rng(7)
    lengths, contrasts = np.exp(random.uniform(1, 4, (2, 3000)))
    logits = 2 * np.log(lengths / 12) + 1.5 * np.log(contrasts / 12)
    plane = pod_plane(lengths, contrasts, random.random(3000) < 1 / (1 + np.exp(-logits)))
    assert plane.of_length == pytest.approx(2, abs=0.25)
    assert plane.of_contrast == pytest.approx(1.5, abs=0.25)
    (faint, long), _, (strong, short) = plane.examples
    assert long is not None
    assert short is not None
    assert faint < strong
    assert short < long


def test_a_plane_that_parts_hits_and_misses_has_no_fit() -> None:
    random = np.random.default_rng(8)
    lengths, contrasts = np.exp(random.uniform(1, 4, (2, 100)))
    assert pod_plane(lengths, contrasts, lengths * contrasts > 150).fault == "separated"
