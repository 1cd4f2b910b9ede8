"""Bins of what defects are like, and the worst slices."""

from __future__ import annotations

import numpy as np

from gan.robustness.bins import rates_of, sorted_into_bins
from gan.robustness.slices import worst_slices
from models.attributes import Attributes
from tests.gan.robustness.made import attributes, none_seen


def many(count: int = 200) -> list[Attributes]:
    random = np.random.default_rng(0)
    return [
        attributes(
            length=random.uniform(8, 40), contrast=random.uniform(5, 60), direction=(0, 45, 90, 135)[place % 4],
            x=random.uniform(0, 48), y=random.uniform(0, 48),
        )
        for place in range(count)
    ]  # fmt: skip


def test_every_image_is_in_one_bin_of_each_attribute() -> None:
    found = many()
    bins = sorted_into_bins(found, (48, 48))
    assert {each.attribute for each in bins} == {"length", "contrast", "direction", "position"}  # the others are alike
    for attribute in {each.attribute for each in bins}:
        assert (sum(each.rows.astype(int) for each in bins if each.attribute == attribute) == 1).all()


def test_bins_are_named_by_what_is_in_them() -> None:
    found = [
        attributes(direction=170), attributes(direction=10), attributes(direction=100, x=1, y=47),
        attributes(direction=float("nan")), none_seen(),
    ]  # fmt: skip
    rows = {each.name: each.rows.tolist() for each in sorted_into_bins(found, (48, 48))}
    assert rows["horizontal"] == [True, True, False, False, False]
    assert rows["vertical"] == [False, False, True, False, False]
    assert rows["bottom left"] == [False, False, True, False, False]
    assert rows["no defect seen"] == [False, False, False, False, True]


def test_lengths_are_cut_where_a_name_says() -> None:
    found = many()
    for each in sorted_into_bins(found, (48, 48)):
        if each.attribute == "length" and " to " in each.name:
            low, high = (float(word) for word in each.name.split() if word[0].isdigit())
            assert [low <= one.length < high for one in found] == each.rows.tolist()


def test_a_planted_blind_spot_is_the_worst_slice() -> None:
    found = many()
    hits = np.array([each.direction != 90 for each in found])
    slices, looked_at = worst_slices(sorted_into_bins(found, (48, 48)), hits, hits.astype(float).tolist())
    assert slices[0].name == "vertical"
    assert (slices[0].rate.hits, slices[0].rate.count, slices[0].others.share) == (0, 50, 1)
    assert slices[0].sure
    assert not any("vertical" in each.name for each in slices[1:])
    assert looked_at > 20


def test_a_blind_spot_of_two_attributes_is_found_as_a_pair() -> None:
    found = many(400)
    hits = np.array([not (each.direction == 90 and each.contrast < 28) for each in found])
    slices, _ = worst_slices(sorted_into_bins(found, (48, 48)), hits, hits.astype(float).tolist())
    assert slices[0].rate.hits == 0
    assert "vertical" in slices[0].name
    assert "contrast" in slices[0].name


def test_what_is_missed_at_random_is_said_to_be_chance() -> None:
    random = np.random.default_rng(3)
    hits = random.random(200) < 0.7
    slices, _ = worst_slices(sorted_into_bins(many(), (48, 48)), hits, random.random(200).tolist())
    assert slices
    assert not any(each.sure for each in slices)


def test_missed_images_come_in_the_order_of_their_scores() -> None:
    found = many(40)
    scores = np.random.default_rng(1).random(40)
    slices, _ = worst_slices(sorted_into_bins(found, (48, 48)), scores > 0.5, scores.tolist())
    for each in slices:
        assert scores[list(each.missed)].tolist() == sorted(scores[list(each.missed)])
        assert len(each.missed) == each.rate.count - each.rate.hits


def test_a_detector_that_misses_nothing_has_no_bad_slice() -> None:
    hits = np.ones(200, bool)
    bins = sorted_into_bins(many(), (48, 48))
    assert worst_slices(bins, hits, hits.tolist())[0] == ()
    assert all(each.rate.share == 1 for rates in rates_of(bins, hits).values() for each in rates)
