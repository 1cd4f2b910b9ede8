"""Near-duplicates: what is the same to a person, and what only looks alike to a coarse eye."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gan.photos import duplicates
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.fit import thumbnail
from gan.photos.read import ImageSet
from models import groups
from models.groups import SIDE, near_duplicates
from tests.conftest import scratch, surface

Thumbnails = NDArray[np.float32]


def plates(count: int) -> Thumbnails:
    """Thumbnails of plates with a scratch each."""
    random = np.random.default_rng(0)
    return np.stack([thumbnail(Image.fromarray(scratch(random))) for _ in range(count)])


def structure(count: int, seed: int = 0) -> Thumbnails:
    """Thumbnails of strong patterns that have nothing in common."""
    return np.random.default_rng(seed).normal(128, 30, (count, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize("shape", [(32, 32), (200, 100), (33, 500)])
def test_a_thumbnail_has_one_size_whatever_the_photo(shape: tuple[int, int]) -> None:
    small = thumbnail(Image.fromarray(np.full(shape, 77, np.uint8)))
    assert (small.dtype, small.shape, small.min(), small.max()) == (np.float32, (SIDE, SIDE), 77, 77)


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
    monkeypatch.setattr(duplicates, "_ROWS", rows)
    assert near_duplicates(images) == [[0, 20, 39], [4, 5, 30], [11, 12]]


def test_one_photo_has_no_duplicate() -> None:
    assert near_duplicates(structure(1)) == []


def test_thousands_of_photos_take_no_time_worth_noting() -> None:
    images = structure(3000)
    images[1500:] = images[:1500]
    assert near_duplicates(images) == [[index, index + 1500] for index in range(1500)]


def set_of(images: list[Image.Image], name: str) -> ImageSet:
    """Images in memory, named by their number."""
    pixels = torch.stack([torch.from_numpy(np.array(image)) for image in images])
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return ImageSet(pixels, [f"{name}{number}.png" for number in range(len(images))])


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "turn",
    [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180, None],
)
def test_a_training_photo_is_found_among_those_held_out_darker_smaller_and_in_every_mirror(
    turn: Image.Transpose | None, mode: str
) -> None:
    copy = surface(3).resize((64, 64)).point(lambda value: 0.7 * value)
    copy = copy if turn is None else copy.transpose(turn)
    held_out = [surface(seed).resize((64, 64)) for seed in range(100, 105)]
    trained = set_of([surface(seed).convert(mode) for seed in range(6)], "t")
    assert near_copies(set_of([image.convert(mode) for image in held_out], "h"), trained) == ""
    found = near_copies(set_of([image.convert(mode) for image in [*held_out, copy]], "h"), trained)
    assert found == "1 of 6 held-out photos look like ones trained on, such as h5.png and t3.png"


def test_near_copies_are_counted_alike_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = set_of([surface(seed) for seed in range(7)], "p")
    monkeypatch.setattr(duplicates, "_ROWS", 2)
    assert near_copies(photos, photos).startswith("7 of 7 held-out photos")


def test_the_very_pixels_are_known_again_and_no_others() -> None:
    known = set_of([surface(1), surface(2)], "known")
    shown = set_of([surface(2), surface(3), surface(2).point(lambda value: value + 1)], "shown")
    assert same_pixels(shown, known) == [True, False, False]
