"""Letters are noticed on photos, and scratches and grain are not taken for them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from gan.config import TrainConfig
from gan.photos.lettering import lettered
from gan.photos.read import ImageSet
from gan.photos.survey_page import advice
from gan.photos.which import Which
from gan.training.prepare import Known, prepare
from gan.training.processes import Processes
from tests.conftest import scratch
from tests.gan.photos.made import imagined

KNOWN = Known(Which())
TEXTS = ("LOT 4471-B", "use by 12/27", "SN 00381926", "Made of steel")


def label(number: int, size: int, angle: float = 0, contrast: int = 70) -> Image.Image:
    """A line of print, darker than the grainy surface below it."""
    print_ = Image.new("L", (128, 128))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(print_).text((4, 40 + 7 * number), TEXTS[number % len(TEXTS)], fill=255, font=font)
    surface = np.random.default_rng(number).normal(150, 6, (128, 128))
    ink = np.asarray(print_.rotate(angle), np.float32) / 255
    return Image.fromarray((surface - contrast * ink).clip(0, 255).astype(np.uint8))


def grain(seed: int, cell: int = 1) -> Image.Image:
    coarse = np.random.default_rng(seed).normal(130, 25, (128 // cell, 128 // cell)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [12, 16, 24])
@pytest.mark.parametrize("angle", [0, 3, 90])
def test_a_line_of_print_is_noticed(size: int, angle: float) -> None:
    assert sum(lettered(label(number, size, angle)) for number in range(8)) >= 7


def test_light_print_on_a_dark_ground_is_noticed() -> None:
    assert sum(lettered(label(number, 16, contrast=-70)) for number in range(8)) >= 7


@pytest.mark.parametrize("cell", [1, 2, 4, 8])
def test_grain_is_no_print(cell: int) -> None:
    assert sum(lettered(grain(seed, cell)) for seed in range(20)) <= 2


def test_scratches_are_no_print() -> None:
    random = np.random.default_rng(0)
    assert not any(lettered(Image.fromarray(scratch(random))) for _ in range(40))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("fit", "flip", "said"),
    [
        ("pad", "none", "letters seem to stand on 12 of 12 photos: `fit=pad` shows them mirrored at the border"),
        ("crop", "both", "letters seem to stand on 12 of 12 photos: `flip=both` turns them, `flip=none` does not"),
        ("crop", "none", ""),
    ],
)
def test_training_says_what_would_turn_letters(
    caplog: pytest.LogCaptureFixture, channels: int, fit: str, flip: str, said: str
) -> None:
    pictures = np.stack([np.asarray(label(number % 8, 16)) for number in range(12)])
    images = torch.from_numpy(pictures)[:, None].expand(-1, channels, -1, -1).contiguous()
    config = TrainConfig.of("small-data", fit=fit, flip=flip, channels=channels)
    with caplog.at_level(logging.WARNING, "gan"):
        prepare(ImageSet(images, [f"{number}.png" for number in range(12)]), None, config, "cpu", KNOWN, Processes())
    assert ("letters" in caplog.text) == bool(said)
    assert said in caplog.text


@pytest.mark.parametrize(("lettered_photos", "told"), [(199, False), (200, True)])
def test_advice_names_the_options_where_two_thirds_are_lettered(lettered_photos: int, told: bool) -> None:
    found = imagined(300)
    for photo in found.photos[:lettered_photos]:
        object.__setattr__(photo, "lettered", True)
    assert ("--flip none" in "\n".join(advice(found))) == told
