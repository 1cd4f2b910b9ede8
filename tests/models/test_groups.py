"""Pictures that show the same: what is the same to a person, and what only looks alike to a coarse eye."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models import groups
from models.groups import AHEAD, SIDE, VIEW, near_duplicates, overlapping, turn, turned, united
from tests.conftest import scratch

Thumbnails = NDArray[np.float32]


def small(pixels: NDArray[np.generic], side: int) -> NDArray[np.float32]:
    """Square pixels brought to `[side, side]` by their means."""
    step = len(pixels) // side
    return pixels.reshape(side, step, side, step).mean(axis=(1, 3)).astype(np.float32)


def plates(count: int) -> Thumbnails:
    """Thumbnails of plates with a scratch each."""
    random = np.random.default_rng(0)
    return np.stack([small(scratch(random), SIDE) for _ in range(count)])


def structure(count: int, seed: int = 0) -> Thumbnails:
    """Thumbnails of strong patterns that have nothing in common."""
    return np.random.default_rng(seed).normal(128, 30, (count, SIDE, SIDE)).astype(np.float32)


def test_different_patterns_are_no_duplicates() -> None:
    assert near_duplicates(structure(50)) == []


def test_scratches_at_different_places_are_no_duplicates() -> None:
    images = plates(50)
    column = images.mean(axis=1).argmax(axis=1)
    assert all(len(set(column[group])) == 1 for group in near_duplicates(images))


def test_the_same_photo_darker_or_of_less_contrast_is_a_duplicate() -> None:
    images = structure(6)
    images[4] = images[1] * 0.4
    images[5] = images[1] * 0.7 + 50
    assert near_duplicates(images) == [[1, 4, 5]]


def test_the_same_photo_with_a_little_noise_is_a_duplicate() -> None:
    images = structure(6)
    images[5] = images[2] + np.random.default_rng(1).normal(0, 4, (SIDE, SIDE))
    assert near_duplicates(images) == [[2, 5]]


def test_one_lamp_over_different_surfaces_makes_no_duplicates() -> None:
    lamp = np.linspace(0, 200, SIDE, dtype=np.float32)[:, None]
    images = lamp + np.random.default_rng(0).normal(0, 8, (10, SIDE, SIDE)).astype(np.float32)
    assert np.corrcoef(images.reshape(10, -1)).min() > groups.SAME_WHOLE, "the lamp alone must make them alike"
    assert near_duplicates(images) == []


def test_a_mirrored_photo_is_another_photo() -> None:
    images = structure(2)
    images[1] = images[0][:, ::-1]
    assert near_duplicates(images) == []


def test_blank_photos_resemble_nothing() -> None:
    assert near_duplicates(np.full((5, SIDE, SIDE), 90, np.float32)) == []


def test_pairs_that_meet_are_one_group() -> None:
    images = structure(3)
    step = structure(1, seed=5)[0] - 128
    images[1], images[2] = images[0] + 0.3 * step, images[0] + 0.6 * step
    ends = np.corrcoef(images[0].ravel(), images[2].ravel())[0, 1]
    assert ends < groups.SAME_WHOLE, "the ends of the chain must not be alike themselves"
    assert near_duplicates(images) == [[0, 1, 2]]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64, 1000])
def test_groups_do_not_depend_on_how_the_work_is_cut(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    images = structure(40)
    for copy, original in ((39, 0), (20, 39), (5, 4), (30, 5), (12, 11)):
        images[copy] = images[original]
    monkeypatch.setattr(groups, "_ROWS", rows)
    assert near_duplicates(images) == [[0, 20, 39], [4, 5, 30], [11, 12]]


def test_one_photo_has_no_duplicate() -> None:
    assert near_duplicates(structure(1)) == []


def test_thousands_of_photos_take_no_time_worth_noting() -> None:
    images = structure(3000)
    images[1500:] = images[:1500]
    assert near_duplicates(images) == [[index, index + 1500] for index in range(1500)]


def grain(seed: int, side: int = 256) -> NDArray[np.float32]:
    """A surface with grain of a few pixels, under one lamp."""
    random = np.random.default_rng(seed)
    rough = random.normal(0, 30, (side // 4, side // 4)).repeat(4, axis=0).repeat(4, axis=1)
    return (120 + np.linspace(-40, 40, side)[:, None] + rough).astype(np.float32)


def line(pixels: NDArray[np.float32], column: int) -> NDArray[np.float32]:
    """A bright scratch from top to bottom."""
    scratched = pixels.copy()
    scratched[:, column : column + 6] += 90
    return scratched


def views(*pictures: NDArray[np.float32]) -> Thumbnails:
    """Of squares of any one side that is a multiple of 64."""
    return np.stack([small(picture, VIEW) for picture in pictures])


@pytest.mark.parametrize(("down", "right"), [(0, 0), (24, 0), (0, 40), (30, 30), (13, 7)])
@pytest.mark.parametrize("light", [1.0, 0.6])
def test_two_cuts_of_one_surface_overlap_wherever_they_begin(down: int, right: int, light: float) -> None:
    whole = grain(1, 512)
    cuts = views(whole[:256, :256], grain(2), light * whole[down : down + 256, right : right + 256] + 10, grain(3))
    assert overlapping(cuts) == [[0, 2]]


def test_a_like_scratch_on_another_surface_is_no_overlap() -> None:
    assert overlapping(views(*(line(grain(seed), 60 + 9 * seed) for seed in range(12)))) == []


def test_what_all_pictures_have_in_common_makes_no_overlap() -> None:
    frame = np.zeros((256, 256), np.float32)
    frame[40:60] = frame[:, 90:120] = 150
    pictures = [0.3 * grain(seed) + frame for seed in range(30)]
    assert overlapping(views(*pictures)) == []
    assert overlapping(views(*pictures, pictures[4] * 0.8)) == [[4, 30]]


def test_blank_pictures_overlap_nothing() -> None:
    assert overlapping(np.full((5, VIEW, VIEW), 90, np.float32)) == []
    assert overlapping(np.zeros((0, VIEW, VIEW), np.float32)) == []


def test_an_overlap_is_looked_for_among_those_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = views(grain(1), *(grain(seed) for seed in range(2, 6)), grain(1))
    assert AHEAD >= 1000
    assert overlapping(cuts) == [[0, 5]]
    monkeypatch.setattr(groups, "AHEAD", 4)
    assert overlapping(cuts) == []


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_and_turned_copies_are_found(turns: int, mirrored: bool) -> None:
    pictures = [grain(seed) for seed in range(5)]
    pictures += [turn(pictures[3][None] * 0.9, turns, mirrored)[0]]
    thumbnails = np.stack([small(picture, SIDE) for picture in pictures])
    found = turned(thumbnails, views(*pictures))
    assert found == ([] if (turns, mirrored) == (0, False) else [[3, 5]])


def test_mirrored_scratches_on_other_surfaces_are_no_copies() -> None:
    random = np.random.default_rng(0)
    pictures = [scratch(random) for _ in range(40)]
    thumbnails = np.stack([small(picture, SIDE) for picture in pictures])
    assert turned(thumbnails, np.stack([small(picture, VIEW) for picture in pictures])) == []


def test_where_all_pictures_look_alike_only_the_very_alike_are_one() -> None:
    scene = structure(1)[0]
    random = np.random.default_rng(0)
    pictures = np.stack([scene + random.normal(0, 7, scene.shape) for _ in range(30)]).astype(np.float32)
    assert np.corrcoef(pictures.reshape(30, -1)).min() > groups.SAME_DETAIL + 0.1, (
        "all must be alike by the first measure"
    )
    pictures[20] = pictures[3] * 0.9
    assert near_duplicates(pictures) == [[3, 20]]


def test_groups_that_share_one_become_one() -> None:
    assert united(8, [[0, 1], [5, 6], [1, 3], [6, 7]]) == [[0, 1, 3], [5, 6, 7]]
