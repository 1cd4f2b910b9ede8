"""Boxes and polygons of masks, and what pycocotools makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage.measure import label

from jobs.dataset.convert import FILL, HOLES, KEEP
from jobs.dataset.convert.shapes import Points, Shape, Shaping, shapes_of


def area(polygon: Points) -> float:
    x, y = polygon.T
    return float(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2))


def drawn(polygon: Points, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """What pycocotools fills."""
    return coco.decode(coco.merge(coco.frPyObjects([polygon.ravel().tolist()], *shape))).astype(bool)


def whole(shape: Shape, size: tuple[int, int]) -> NDArray[np.bool_]:
    canvas = np.zeros(size, np.bool_)
    canvas[shape.top : shape.bottom, shape.left : shape.right] = shape.mask
    return canvas


@pytest.mark.parametrize("seed", range(12))
def test_every_component_of_a_random_mask_has_its_exact_area_box_and_pixels(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((17, 23)) < random.uniform(0.1, 0.9)
    for holes in HOLES:
        found = shapes_of(mask, Shaping(min_area=1, holes=holes))
        assert len(found) == label(mask, connectivity=2).max()
        for shape in found:
            assert area(shape.outline) - sum(map(area, shape.holes)) == shape.area
            assert area(shape.one_outline()) == pytest.approx(shape.area)
            assert (*shape.outline.min(axis=0), *shape.outline.max(axis=0)) == (
                shape.left, shape.top, shape.right, shape.bottom,
            )  # fmt: skip
            if holes == FILL:
                assert shape.holes == ()
                assert (drawn(shape.outline, mask.shape) == whole(shape, mask.shape)).all()
        if holes == KEEP:
            assert (sum(whole(shape, mask.shape).astype(int) for shape in found) == mask).all()


def test_line_of_one_pixel_keeps_its_area() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[3:18, 7] = True
    (shape,) = shapes_of(mask, Shaping())
    assert (shape.left, shape.top, shape.right, shape.bottom, shape.area) == (7, 3, 8, 18, 15)
    assert area(shape.outline) == 15


def test_spots_below_the_smallest_size_are_dropped_and_those_of_it_kept() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[1, 1:4] = mask[5:7, 5:7] = True  # three pixels and four
    assert [shape.area for shape in shapes_of(mask, Shaping(min_area=4))] == [4]
    assert shapes_of(mask, Shaping(min_area=5)) == []


def test_pixels_that_touch_at_a_corner_are_one_defect() -> None:
    assert len(shapes_of(np.eye(9, dtype=np.bool_), Shaping())) == 1


def test_hole_is_filled_or_cut_out() -> None:
    mask = np.ones((9, 9), np.bool_)
    mask[3:6, 3:6] = False
    (filled,), (kept,) = (shapes_of(mask, Shaping(holes=holes)) for holes in (FILL, KEEP))
    assert (filled.area, len(filled.outline)) == (81, 4)
    assert (kept.area, len(kept.holes)) == (72, 1)
    assert not drawn(kept.one_outline(), mask.shape)[4, 4]


@pytest.mark.parametrize("tolerance", [0.8, 2.0, 50.0])
def test_simplified_outline_has_fewer_corners_and_never_vanishes(tolerance: float) -> None:
    rows, columns = np.mgrid[:40, :40]
    disc = (rows - 20) ** 2 + (columns - 20) ** 2 < 200
    (exact,), (simple,) = (shapes_of(disc, Shaping(simplify=by)) for by in (0.0, tolerance))
    if tolerance == 50.0:  # a tolerance that would leave nothing changes nothing
        assert (simple.outline == exact.outline).all()
    else:
        assert len(simple.outline) < len(exact.outline) / 2
        assert abs(area(simple.outline) / area(exact.outline) - 1) < 0.15
    assert (simple.left, simple.area) == (exact.left, exact.area)
