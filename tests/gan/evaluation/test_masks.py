"""Masks of generated images beside those of photos: what differs is named, and of photos nothing is."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from gan.evaluation.mask_rows import mask_findings, mask_rows
from gan.evaluation.masks import MOST_RATIO, MaskFigures, compare_masks, turn_between
from gan.photos.read import ImageSet
from tests.gan.evaluation.pairs import drifted, pairs, shuffled, with_masks


@pytest.fixture(scope="module")
def real() -> ImageSet:
    return pairs(40, 1)


@pytest.fixture(scope="module")
def train() -> ImageSet:
    return pairs(40, 2)


def found(fake: ImageSet, real: ImageSet, train: ImageSet | None) -> list[str]:
    return list(mask_findings(compare_masks(fake, real, train, 0)))


def test_real_pairs_in_the_place_of_generated_ones_are_as_near_as_photos_and_told_nothing(
    real: ImageSet, train: ImageSet
) -> None:
    for known in (train, None):
        masks = compare_masks(pairs(60, 3), real, known, 0)
        assert len(masks.figures) == 11
        assert max(figure.ratio for figure in masks.figures.values()) < 2
        assert list(mask_findings(masks)) == []


def test_same_pairs_are_not_apart_at_all(real: ImageSet, train: ImageSet) -> None:
    assert {figure.distance for figure in compare_masks(real, real, train, 0).figures.values()} == {0}


def test_broad_defects_are_named_with_how_much_broader_they_are(real: ImageSet, train: ImageSet) -> None:
    masks = compare_masks(pairs(60, 3, width=8), real, train, 0)
    assert masks.figures["width"].ratio > MOST_RATIO
    said = " ".join(mask_findings(masks))
    assert re.search(r"masks: generated defects are (1\.[89]|2\.[012]) × as wide as real ones", said)
    assert masks.figures["width"].images == pytest.approx(2 * masks.figures["width"].photos, rel=0.15)


def test_directions_are_compared_around_the_circle(real: ImageSet, train: ImageSet) -> None:
    (said,) = found(pairs(60, 3, degrees=(-20, 20)), real, train)
    assert said.startswith("masks: ")
    assert "of long defects lie, of real ones" in said
    around, other = pairs(60, 4, degrees=(170, 190)), pairs(60, 5, degrees=(-10, 10))
    assert found(around, other, None) == []


def test_turned_is_the_shortest_way_round() -> None:
    def directions(*values: float) -> np.ndarray:
        return np.array(values)

    assert turn_between(directions(1), directions(179)) == pytest.approx(2)
    assert turn_between(directions(0), directions(90)) == pytest.approx(90)
    assert turn_between(directions(10, 20), directions(20, 10)) == pytest.approx(0)
    assert turn_between(directions(170, 10), directions(175, 15)) == pytest.approx(5)
    assert turn_between(directions(0, 0, 0), directions(0, 0, 30)) == pytest.approx(10)


def test_masks_beside_their_defects_are_named(real: ImageSet, train: ImageSet) -> None:
    for fake in (drifted(pairs(60, 3)), shuffled(pairs(60, 3))):
        said = found(fake, real, train)
        assert any("masks stand out from" in words and "do they lie upon the defects?" in words for words in said)
        assert any(words.startswith("masks: contrast is mostly") for words in said)


def test_too_many_empty_masks_are_named(real: ImageSet, train: ImageSet) -> None:
    (said,) = found(pairs(60, 3, empty=0.6), real, train)
    assert "are empty, of real ones" in said


def test_masks_that_stick_to_the_border_are_named(real: ImageSet, train: ImageSet) -> None:
    fake = pairs(60, 3, empty=0)
    assert fake.masks is not None
    masks = torch.zeros_like(fake.masks)
    masks[:, :, :4, 10:30] = 255
    said = found(with_masks(fake, masks), real, train)
    assert any("100 % of generated defects touch the border of the image" in words for words in said)


def test_dust_is_counted(real: ImageSet, train: ImageSet) -> None:
    fake = pairs(60, 3)
    assert fake.masks is not None
    masks = fake.masks.clone()
    masks[:, :, 2::20, 2::20] = 255
    said = found(with_masks(fake, masks), real, train)
    assert any(words.startswith("masks: number is mostly") for words in said)


def test_masks_that_are_all_empty_are_told_without_figures_of_defects(real: ImageSet, train: ImageSet) -> None:
    masks = compare_masks(pairs(60, 3, empty=1), real, train, 0)
    assert list(masks.figures) == ["empty"]
    assert (masks.defects, masks.slender) == (0, ())
    assert list(mask_findings(masks)) == ["masks: 100 % are empty, of real ones 8 %"]


def test_longest_thinnest_come_first(real: ImageSet) -> None:
    fake = pairs(60, 3, empty=0)
    assert fake.masks is not None
    masks = fake.masks.clone()
    masks[40] = 0
    masks[40, 0, 30, :] = 255
    assert compare_masks(with_masks(fake, masks), real, None, 0).slender[0] == 40


def test_every_figure_has_a_row_with_both_values(real: ImageSet, train: ImageSet) -> None:
    masks = compare_masks(pairs(60, 3), real, train, 0)
    rows = {row.name: row for row in mask_rows(masks)}
    assert rows.keys() == {f"mask, {name}" for name in masks.figures}
    width = masks.figures["width"]
    assert rows["mask, width"].fakes == f"{width.images:.1f}, off by {width.distance:.2f}"
    assert rows["mask, width"].photos == f"{width.photos:.1f}, {width.floor:.2f}"
    assert "up to 1.5 × is right" in rows["mask, width"].meaning


def test_colour_images_are_measured(real: ImageSet) -> None:
    def colour(images: ImageSet) -> ImageSet:
        return ImageSet(images.images.expand(-1, 3, -1, -1), images.names, masks=images.masks)

    gray, coloured = (compare_masks(to(pairs(40, 3)), to(real), None, 0) for to in (lambda images: images, colour))
    assert isinstance(coloured, MaskFigures)
    assert coloured == gray
