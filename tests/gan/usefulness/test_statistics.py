"""Metrics by hand, intervals of which the truth is known, Holm's order."""

from __future__ import annotations

import numpy as np
import pytest

from gan.usefulness.design import shared
from gan.usefulness.statistics import holm, interval, of_values, photo_weights, score


def answers(named: list[int], classes: int = 2) -> np.ndarray:
    """One run that is sure of these classes: `[1, N, classes]`."""
    return np.eye(classes, dtype=np.float32)[named][None]


def test_metrics_are_those_of_the_textbook() -> None:
    labels, named = np.array([0, 0, 0, 0, 1, 1]), [0, 0, 0, 1, 1, 0]
    assert score("balanced-accuracy", answers(named), labels)[0, 0] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert score("macro-f1", answers(named), labels)[0, 0] == pytest.approx((2 * 3 / 8 + 2 / 4) / 2)
    defect = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    two = np.stack([1 - defect, defect], axis=1)[None]
    of_defect = (1 / 1 + 2 / 3) / 2  # ranks 1 and 3 are defects
    of_good = (1 / 1 + 2 / 2 + 3 / 4) / 3
    found = score("average-precision", two, np.array([1, 0, 1, 0, 0]))[0, 0]
    assert found == pytest.approx((of_defect + of_good) / 2)


def test_ties_are_one_step_whatever_their_order() -> None:
    same = np.full((1, 4, 2), 0.5)
    for labels in ([0, 0, 1, 1], [1, 1, 0, 0]):
        assert score("average-precision", same, np.array(labels))[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("metric", ["balanced-accuracy", "macro-f1", "average-precision"])
def test_a_photo_that_counts_twice_is_there_twice(metric: str) -> None:
    random = np.random.default_rng(0)
    run, labels = random.random((1, 12, 3)), np.array([0, 1, 2] * 4)
    weights = random.integers(0, 3, 12)
    there = np.repeat(np.arange(12), weights)
    expected = score(metric, run[:, there], labels[there])
    assert score(metric, run, labels, weights[None].astype(float)) == pytest.approx(expected)


def test_groups_are_drawn_whole_within_their_class_without_bias() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    weights = photo_weights(labels, ["a", "a", "b", "c", "d", "e"], 4000, 0)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.05)
    assert np.array_equal(weights[:, 4] + weights[:, 5], np.full(4000, 2.0))


def test_runs_that_answer_the_same_differ_by_nothing() -> None:
    random = np.random.default_rng(1)
    runs = random.random((3, 2, 20, 2))
    found = interval("balanced-accuracy", runs, runs, np.arange(20) % 2, [str(each) for each in range(20)])
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_one_thing_better_in_all_runs_is_shown() -> None:
    labels = np.arange(80) % 2
    right = np.eye(2)[labels]
    theirs = np.broadcast_to(right, (3, 2, 80, 2)).copy()
    theirs[:, :, ::3] = 1 - theirs[:, :, ::3]
    ours = np.broadcast_to(right, (3, 2, 80, 2))
    found = interval("balanced-accuracy", ours, theirs, labels, [str(each) for each in range(80)])
    assert found.value == pytest.approx(27 / 80, abs=0.01)
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.01
    assert found.low < found.value - found.smallest / 3


@pytest.mark.parametrize(("of_subsets", "of_photos"), [(1.0, 0.1), (0.1, 1.0), (0.5, 0.5)])
def test_interval_covers_the_truth_as_often_as_it_says(of_subsets: float, of_photos: float) -> None:
    """Of three subsets and 30 photos whose means are normal."""
    random = np.random.default_rng(2)
    trials, draws, photos = 300, 300, 30
    held = 0
    for trial in range(trials):
        subsets = random.normal(0, of_subsets, (3, 1))
        seeds = random.normal(0, 0.1, (3, 4))
        each = random.normal(0, of_photos * np.sqrt(photos), photos)
        drawn = random.multinomial(photos - 1, np.full(photos, 1 / photos), draws) / (photos - 1)
        found = of_values(subsets + seeds + each.mean(), subsets + seeds + (drawn @ each)[:, None, None], photos, trial)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / trials <= 0.985


@pytest.mark.parametrize(("of_pool", "subsets"), [(0.1, 10), (0.5, 3), (0.8, 3)])
def test_interval_covers_the_truth_where_subsets_share_photos(of_pool: float, subsets: int) -> None:
    """Of photos of which each adds something of its own; without the correction it does in 62 to 84 of a hundred."""
    random = np.random.default_rng(3)
    trials, pool = 300, 100
    held = 0
    for trial in range(trials):
        adds = random.normal(0, 1, pool)
        drawn = [random.choice(pool, round(of_pool * pool), replace=False) for _ in range(subsets)]
        runs = np.array([[adds[subset].mean()] for subset in drawn])
        found = of_values(runs, np.broadcast_to(runs, (300, subsets, 1)), 30, trial, shared(drawn))
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / trials <= 0.985


def test_holm_keeps_the_order_and_multiplies_by_how_many_are_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
