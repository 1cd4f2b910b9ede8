"""Photos that are there twice, in one set and in two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gan.photos import duplicates
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.fit import thumbnail
from gan.photos.read import ImageSet
from models.groups import SIDE
from tests.conftest import surface


@pytest.mark.parametrize("shape", [(32, 32), (200, 100), (33, 500)])
def test_a_thumbnail_has_one_size_whatever_the_photo(shape: tuple[int, int]) -> None:
    small = thumbnail(Image.fromarray(np.full(shape, 77, np.uint8)))
    assert (small.dtype, small.shape, small.min(), small.max()) == (np.float32, (SIDE, SIDE), 77, 77)


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
