"""Parts, subsets, lessons and plans."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gan.photos.split_file import TEST, TRAIN, VALIDATION, Place, Split
from gan.photos.survey import PhotoFacts, Survey
from gan.usefulness.design import ARMS, QUICK, RunPlan, planned, shared, subsets_of
from gan.usefulness.labelled import Labelled
from gan.usefulness.parting import parted, with_test
from gan.usefulness.teaching import Material, lesson
from models.errors import CommandError


def surveyed(names: list[str], groups: tuple[tuple[str, ...], ...] = ()) -> Survey:
    photos = tuple(PhotoFacts(name, 32, 32, "L", 8, False, 0, 0, 0, name) for name in names)
    return Survey(
        data="photos", files=len(names), unreadable=(), photos=photos, folders={}, runs=(), exact_duplicates=(),
        near_duplicates=groups,
    )  # fmt: skip


def test_parts_keep_groups_together_and_classes_in_proportion() -> None:
    names = [f"{kind}/{number * 1000:06d}.png" for kind in ("a", "b") for number in range(60 if kind == "a" else 20)]
    groups = (("a/000000.png", "a/031000.png", "b/004000.png"), ("b/000000.png", "b/019000.png"))
    class_of = {name: name[0] for name in names}
    split = parted(surveyed(names, groups), class_of, dict.fromkeys(names, "0"), 0)
    assert sorted(split.places) == sorted(names)
    for group in groups:
        assert len({split.places[name].part for name in group}) == 1
        assert len({split.places[name].group for name in group}) == 1
    for kind, count in (("a", 60), ("b", 20)):
        counts = Counter(place.part for name, place in split.places.items() if name[0] == kind)
        assert counts[TRAIN] == pytest.approx(0.5 * count, abs=0.1 * count)
        assert counts[VALIDATION] == pytest.approx(0.2 * count, abs=0.1 * count)
        assert counts[TEST] == pytest.approx(0.3 * count, abs=0.1 * count)
    assert split == parted(surveyed(names, groups), class_of, dict.fromkeys(names, "0"), 0)


def test_class_with_too_few_photos_is_named() -> None:
    names = [f"{kind}/{number:02d}.png" for kind, count in (("many", 40), ("rare", 9)) for number in range(count)]
    with pytest.raises(CommandError, match="rare has 9 photos"):
        parted(surveyed(names), {name: name.partition("/")[0] for name in names}, dict.fromkeys(names, "0"), 0)


def test_split_of_two_parts_gets_a_third_by_groups() -> None:
    names = [f"{kind}/{number:02d}.png" for kind in "ab" for number in range(40)]
    places = {
        name: Place(VALIDATION if number % 40 >= 30 else TRAIN, "0", names[number - number % 2])
        for number, name in enumerate(names)
    }
    split = with_test(Split(places), {name: name[0] for name in names}, 0)
    assert set(split.names(TEST)) == {name for name, place in places.items() if place.part == VALIDATION}
    assert split.names(VALIDATION)
    for name, place in split.places.items():
        assert split.places[place.group].part == place.part, name


def test_subsets_have_so_many_a_class_and_share_as_little_as_they_can() -> None:
    names = [f"{kind}/{number:02d}" for kind in "ab" for number in range(30)]
    class_of, group_of = {name: name[0] for name in names}, {name: name for name in names}
    three = subsets_of(class_of, group_of, names, 10, 3, 0)
    assert [Counter(map(class_of.get, subset)) for subset in three] == [Counter(a=10, b=10)] * 3
    assert len(set().union(*three)) == 60
    assert three == subsets_of(class_of, group_of, reversed(names), 10, 3, 0)
    most = subsets_of(class_of, group_of, names, 0, 3, 0)
    assert [len(subset) for subset in most] == [48, 48, 48]
    assert len({tuple(subset) for subset in most}) == 3
    assert shared(three) == 0
    assert shared(most) == pytest.approx(0.75, abs=0.03)  # six in ten of all photos, of eight in ten
    assert shared([[1, 2], [2, 1]]) == 1


@pytest.fixture
def material() -> Material:
    def images(count: int, first: int) -> Labelled:
        pixels = torch.arange(first, first + count, dtype=torch.uint8).reshape(count, 1, 1, 1).expand(count, 1, 32, 32)
        return Labelled(pixels, torch.arange(count) % 2, tuple(map(str, range(first, first + count))))

    subsets = {4: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]}
    names = [str(number) for number in range(20)]
    return Material(
        images(20, 0), ("a", "b"), range(16), [16, 17], [18, 19], names, (images(100, 100),), subsets, None
    )  # fmt: skip


def test_lessons_of_a_seed_have_the_same_synthetic_images(material: Material) -> None:
    ours = lesson(material, ARMS["ours-classical"], 4, 1, 3, 1, 2).images
    shuffled = lesson(material, ARMS["shuffled-labels"], 4, 1, 3, 1, 2).images
    alone = lesson(material, ARMS["synthetic-only"], 4, 1, 3, 1, 2).images
    copies = lesson(material, ARMS["duplicated-photos"], 4, 1, 3, 1, 2).images
    assert ours.names[:4] == ("4", "5", "6", "7")
    assert shuffled.names == ours.names
    assert shuffled.labels[:4].tolist() == ours.labels[:4].tolist()
    assert shuffled.labels[4:].tolist() != ours.labels[4:].tolist()
    assert alone.names == ours.names[4:]
    assert Counter(alone.labels.tolist()) == {0: 4, 1: 4}
    assert Counter(copies.names) == {"4": 3, "5": 3, "6": 3, "7": 3}
    assert lesson(material, ARMS["ours-classical"], 4, 1, 4, 1, 2).images.names != ours.names
    assert lesson(material, ARMS["ours"], 4, 1, 3, 1, 2).augment is None


@pytest.mark.parametrize("kinds", [1, 2])
def test_shuffled_labels_take_their_masks_along(material: Material, kinds: int) -> None:
    """A detector that looks at masks alone would else see the control as the synthetic images."""
    made = material.made[0].take(range(1, 100, 2) if kinds == 1 else range(100))
    masks = (made.images[:, 0] * made.labels[:, None, None]).to(torch.uint8)  # each its own, those of class 0 empty
    made = Labelled(made.images, made.labels, made.names, masks)
    photos = material.photos
    photos = Labelled(photos.images, photos.labels, photos.names, torch.zeros_like(photos.images[:, 0]))
    masked = Material(**{**vars(material), "made": (made,), "photos": photos, "good": 0})
    images = lesson(masked, ARMS["shuffled-labels"], 4, 1, 3, 1, 5).images.take(range(4, 14))
    assert images.masks is not None
    shown = images.masks.flatten(1).amax(dim=1)
    assert ((shown > 0) == (images.labels == 1)).all()
    assert set(images.labels.tolist()) == {0, 1}
    assert (shown != images.images.flatten(1).amax(dim=1)).any()


def test_ceiling_has_as_many_photos_again_of_the_training_part(material: Material) -> None:
    more = lesson(material, ARMS["more-real"], 4, 0, 0, 1, 2).images
    assert len(more) == 8
    assert len(set(more.names)) == 8
    assert set(more.names) <= {str(place) for place in material.train}


def test_balanced_sampling_gives_each_class_one_share(material: Material) -> None:
    odd = Material(**{**vars(material), "subsets": {4: [[0, 2, 4, 1]]}})
    given = lesson(odd, ARMS["balanced"], 4, 0, 0, 1, 1)
    assert given.weights is not None
    shares = [float(given.weights[given.images.labels == label].sum()) for label in (0, 1)]
    assert shares == pytest.approx([1, 1])


def test_classes_keep_their_proportions_where_one_has_fewer_extra_images(material: Material) -> None:
    few = Material(**{**vars(material), "made": (material.made[0].take([0, 2, 4, 6, 8, 10, 12, 14, 1]),)})
    given = lesson(few, ARMS["ours-classical"], 4, 0, 0, 1, 4)
    assert given.images.labels.bincount().tolist() == [10, 3]
    assert given.weights is not None
    shares = [float(given.weights[given.images.labels == label].sum()) for label in (0, 1)]
    assert shares == pytest.approx([2, 2])
    assert lesson(material, ARMS["ours-classical"], 4, 0, 0, 1, 4).weights is None


def test_less_time_costs_arms_first_and_seeds_then() -> None:
    arms = list(ARMS)
    full = RunPlan(tuple(arms), 10).fits(3, 5)
    assert planned(arms, 10, 3, 1, 5, 1, full) == RunPlan(tuple(arms), 10)
    assert planned(arms, 10, 3, 1, 5, 1, full - 1) == RunPlan(tuple(arms[:-1]), 10)
    few = planned(arms, 10, 3, 1, 5, 1, RunPlan(QUICK, 5).fits(3, 5))
    assert few == RunPlan(QUICK, 5)
    assert planned(arms, 10, 3, 1, 5, 1, 0) == RunPlan(QUICK, 3)
    assert np.isfinite(full)


def test_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    from gan.photos.split_file import read_split

    split = Split({"a/1.png": Place(TRAIN, "f0", "a/1.png"), "a/ä 2.png": Place(TEST, "f1", "a/1.png")})
    split.write(tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split
