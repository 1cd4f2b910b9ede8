"""What masks say of defects: sizes, directions and places of shapes that are known, and whether masks fit them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.attributes import NUMBERS, WORDS, Mask, MaskedDefect, attributes_of, masked_defects


def canvas(height: int = 64, width: int = 96) -> Mask:
    return np.zeros((height, width), bool)


def gray(mask: Mask, contrast: float = 40) -> NDArray[np.float64]:
    """Grain, brighter where the mask is."""
    return np.random.default_rng(0).normal(100, 3, mask.shape) + contrast * mask


def only(mask: Mask) -> MaskedDefect:
    (defect,) = masked_defects(mask, gray(mask))
    return defect


def line(degrees: int, length: int = 40, height: int = 64, width: int = 96) -> Mask:
    """A line of 3 pixels across, in the middle; anticlockwise from horizontal."""
    y, x = np.mgrid[:height, :width]
    y, x = height / 2 - 0.5 - y, x - width / 2 + 0.5
    angle = math.radians(degrees)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return np.asarray((np.abs(along) <= length / 2) & (np.abs(across) <= 1.5))


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 150])
def test_line_has_its_length_width_and_direction(degrees: int) -> None:
    found = only(line(degrees))
    assert found.length == pytest.approx(40, rel=0.1)
    assert found.width == pytest.approx(3, abs=1)
    assert min((found.direction - degrees) % 180, (degrees - found.direction) % 180) < 3
    assert (found.x, found.y) == pytest.approx((47.5, 31.5))
    assert not found.on_border


def test_length_is_along_the_defect_and_not_its_frame() -> None:
    mask = canvas()
    mask[10:50, 20:23] = mask[47:50, 20:60] = True
    assert only(mask).length == pytest.approx(40 + 40 - 3, abs=4)


def test_disc_is_as_long_as_wide_and_has_no_direction() -> None:
    y, x = np.mgrid[:64, :96]
    found = only((y - 20) ** 2 + (x - 50) ** 2 <= 81)
    assert found.length == pytest.approx(found.width, rel=0.2) == pytest.approx(18, rel=0.1)
    assert math.isnan(found.direction)


def test_parts_that_touch_at_a_corner_are_one_and_others_are_not() -> None:
    mask = canvas()
    mask[range(10, 20), range(10, 20)] = True
    mask[40:44, 70:74] = True
    found = masked_defects(mask, gray(mask))
    assert sorted(defect.area for defect in found) == [10, 16]


def test_defect_at_the_border_is_told_and_one_beside_it_is_not() -> None:
    for rows, columns, touches in (
        (slice(0, 3), slice(40, 44), True), (slice(30, 34), slice(92, 96), True), (slice(1, 4), slice(1, 5), False)
    ):  # fmt: skip
        mask = canvas()
        mask[rows, columns] = True
        assert only(mask).on_border == touches


def test_mask_upon_its_defect_stands_out_and_one_beside_it_does_not() -> None:
    mask = line(30)
    upon, beside = only(mask), masked_defects(np.roll(mask, 7, axis=0), gray(mask))[0]
    assert upon.contrast == pytest.approx(40, abs=3)
    assert upon.stands_out == 1
    assert beside.contrast < 10
    assert beside.stands_out < 0.8


def test_contrast_of_a_dark_defect_is_as_large() -> None:
    mask = line(30)
    (found,) = masked_defects(mask, gray(mask, -40))
    assert found.contrast == pytest.approx(40, abs=3)


def test_other_defects_are_no_part_of_the_ring() -> None:
    mask = canvas()
    mask[20:24, 10:90] = mask[26:60, 10:90] = True
    first, _ = masked_defects(mask, gray(mask))
    assert first.contrast == pytest.approx(40, abs=3)


def test_masks_without_a_defect_and_all_defect_are_measured_without_a_word() -> None:
    assert masked_defects(canvas(), gray(canvas())) == []
    found = only(~canvas())
    assert found.area == 64 * 96
    assert found.on_border
    assert math.isnan(found.contrast)
    assert math.isnan(found.stands_out)


def test_dust_is_counted_and_not_measured() -> None:
    mask = canvas()
    mask[30, 30] = mask[50:52, 50:52] = True
    large, small = masked_defects(mask, gray(mask))
    assert (large.area, large.length, large.width) == (4, 2, 1.5)
    assert (small.area, small.x, small.y) == (1, 30, 30)
    assert math.isnan(small.length)
    mask[::6, ::6] = mask[1::6, ::6] = mask[2::6, ::6] = mask[3::6, ::6] = True
    found = masked_defects(mask, gray(mask))
    assert len(found) > 100
    assert sum(not math.isnan(defect.length) for defect in found) == 20


def test_polarity_is_told() -> None:
    mask = line(30)
    assert [masked_defects(mask, gray(mask, contrast))[0].polarity for contrast in (40, -40)] == ["bright", "dark"]
    assert only(~canvas()).polarity == ""


def test_attributes_of_an_image_are_those_of_its_largest_defect() -> None:
    mask = canvas()
    mask[10:13, 10:50] = mask[40:42, 60:70] = True
    image = gray(mask).round().astype(np.uint8)
    found, largest = attributes_of(image, mask), masked_defects(mask, image)[0]
    assert found.count == 2
    assert all(getattr(found, name) == getattr(largest, name) for name in NUMBERS if name != "count")
    assert found.polarity in WORDS["polarity"]


def test_image_without_a_defect_has_no_attributes() -> None:
    found = attributes_of(np.full((64, 96), 80, np.uint8), canvas())
    assert (found.count, found.polarity) == (0, "")
    assert all(math.isnan(getattr(found, name)) for name in NUMBERS if name != "count")
