"""Many images as one picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.pictures import GAP, grid

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


@pytest.mark.parametrize("channels", MODES)
def test_each_image_is_at_its_place_as_it_is_and_white_lies_between(channels: int) -> None:
    made = images(5, 4, 6, channels)
    picture = grid(made, columns=3)
    assert picture.mode == MODES[channels]
    pixels = np.asarray(picture).reshape(4 + GAP + 4, 3 * (6 + GAP) - GAP, channels)
    assert (pixels[:4, :6] == made[0]).all()
    assert (pixels[4 + GAP :, 6 + GAP : 12 + GAP] == made[4]).all()
    assert (pixels[4 : 4 + GAP] == 255).all()
    assert (pixels[4 + GAP :, 12 + 2 * GAP :] == 255).all()  # no sixth


@pytest.mark.parametrize("channels", MODES)
def test_pytorch_has_its_channels_first(channels: int) -> None:
    made = images(4, 5, 7, channels)
    assert grid(torch.from_numpy(made).permute(0, 3, 1, 2)).tobytes() == grid(made).tobytes()


def test_few_images_make_a_narrow_picture() -> None:
    assert grid(images(2, 4, 6, 3)).size == (6 + GAP + 6, 4)


@pytest.mark.parametrize(
    "wrong",
    [images(4, 5, 7), images(4, 6, 7, 5), images(0, 5, 7, 1), images(4, 5, 7, 1) / 255, torch.zeros(4, 1, 8, 8)],
)
def test_what_is_no_images_is_refused_with_its_shape(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"`images` is (uint8|float64|float32) \["):
        grid(wrong)


def test_columns_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="`columns` is 0"):
        grid(images(2, 4, 6, 3), columns=0)
