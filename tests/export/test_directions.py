"""What goes on the sliders of a page: directions that are found, named where that is right, and the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.directions import FITTED, JUDGED, main_directions
from models.latents import Input

CONTENT = slice(2, 8)
NEEDED = {"z": Input("float32", (10,)), "label": Input("int64", (), 2)}
RIGHT = np.broadcast_to(np.where(np.arange(32) < 16, -1.0, 1.0), (32, 32))


def drawn(inputs: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Brightness follows latents 3 and 4 alike, the right side latent 6; what lies beside the content is louder."""
    z = inputs["z"].astype(np.float64)
    bright = 15 * (z[:, 3] + z[:, 4]) / np.sqrt(2) + 40 * np.sign(z[:, 0]) + 30 * inputs["label"]
    images = 120 + bright[:, None, None] + 8 * z[:, 6, None, None] * RIGHT
    return images.clip(0, 255).astype(np.uint8)[..., None]


def test_directions_are_those_that_change_the_image_and_have_names_that_fit() -> None:
    made: list[int] = []
    found = main_directions(drawn, NEEDED, CONTENT, made=made.append)
    assert sum(made) == FITTED + JUDGED
    assert [direction.name for direction in found[:2]] == ["Brightness", "Lighter right"]
    assert np.allclose(found[0].values, np.array([0, 1, 1, 0, 0, 0]) / np.sqrt(2), atol=0.05)
    assert np.allclose(found[1].values, [0, 0, 0, 0, 1, 0], atol=0.05)
    assert min(direction.fits for direction in found[:2]) > 0.9
    matrix = np.stack([direction.values for direction in found])
    assert np.allclose(matrix @ matrix.T, np.eye(len(found)), atol=1e-5)


def test_equal_calls_find_equal_directions() -> None:
    first, second = (main_directions(drawn, NEEDED, CONTENT, 3) for _ in range(2))
    assert [direction.name for direction in first] == [direction.name for direction in second]
    assert all((one.values == other.values).all() for one, other in zip(first, second, strict=True))


def test_images_that_are_all_alike_have_no_direction() -> None:
    assert main_directions(lambda inputs: np.full((len(inputs["z"]), 32, 32, 3), 7, np.uint8), NEEDED, CONTENT) == []


def test_what_has_no_name_has_a_number() -> None:
    def striped(inputs: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
        stripes = np.where(np.arange(32) // 4 % 2, 1.0, -1.0)[:, None] * np.ones(32)
        return (120 + 10 * inputs["z"][:, 5, None, None] * stripes).clip(0, 255).astype(np.uint8)[..., None]

    (direction,) = main_directions(striped, NEEDED, CONTENT, 1)
    assert (direction.name, direction.fits) == ("Direction 1", 0.0)
