"""What is at the same spot of many images is found there, and nothing where photos have it as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.evaluation.spots import Spots, compare_spots

HEIGHT, WIDTH = 64, 96


def grain(count: int, seed: int, smooth: float = 4.0) -> np.ndarray:
    """Plates `[N, 64, 96]` of which each is a little brighter somewhere."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    plates = random.normal(120, 5, (count, HEIGHT, WIDTH))
    for plate in plates:
        down, right = random.uniform(0, (HEIGHT, WIDTH))
        plate += smooth * np.exp(-((x - right) ** 2 + (y - down) ** 2) / 400)
    return plates


def images(plates: np.ndarray) -> Tensor:
    return torch.from_numpy(plates.round().clip(0, 255).astype(np.uint8))[:, None]


def judged(fakes: np.ndarray) -> Spots:
    photos = images(grain(60, 1))
    return compare_spots(images(fakes), photos, (photos[:30], photos[30:]))


def test_a_mesh_in_one_corner_of_some_images_is_found_there() -> None:
    fakes = grain(200, 2)
    fakes[::6, 48:, 80:] += 40 * (np.indices((16, 16)).sum(axis=0) % 2) - 20
    (told,) = judged(fakes).apart()
    assert told.startswith("a patch at the bottom on the right: ")


@pytest.mark.parametrize("level", [5, -5])
def test_a_faint_picture_in_all_images_is_found(level: int) -> None:
    fakes = grain(200, 3)
    fakes[:, 28:36, 12:24] += level
    (told,) = judged(fakes).apart()
    assert "too bright on the left" in told if level > 0 else "too dark on the left" in told


@pytest.mark.parametrize("seed", range(10, 18))
def test_photos_beside_photos_have_no_such_spot(seed: int) -> None:
    assert judged(grain(80, seed)).apart() == []


def test_what_photos_have_among_themselves_is_no_spot_of_the_images() -> None:
    dark, bright = grain(40, 5), grain(40, 6)
    bright[:, :8, :8] += 20
    photos = images(np.concatenate([dark, bright]))
    spots = compare_spots(images(bright), images(dark), (photos[:40], photos[40:]))
    assert spots.shade.errors > 5
    assert spots.apart() == []


def test_plates_without_grain_are_measured_too() -> None:
    assert judged(np.full((20, HEIGHT, WIDTH), 120.0)).rough.errors >= 0
