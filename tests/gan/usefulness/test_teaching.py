"""What a detector is taught with beside the photos."""

from __future__ import annotations

import numpy as np
import pytest

from gan.usefulness.teaching import drawn


@pytest.mark.parametrize(("ratio", "found"), [(0.5, [1, 2, 0]), (0.1, [1, 1, 0]), (2, [2, 8, 0]), (10, [9, 9, 0])])
def test_of_each_class_that_has_photos_there_is_one_image_at_least_and_no_more_than_were_made(
    ratio: float, found: list[int]
) -> None:
    photos, made = np.array([0, 1, 1, 1, 1]), np.repeat([0, 1, 2], 9)
    taken = drawn(photos, made, ratio, np.random.default_rng(0))
    assert np.bincount(made[taken], minlength=3).tolist() == found
    assert len(set(taken)) == len(taken)
