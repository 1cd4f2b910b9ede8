"""Images that are bent: lines slant and spread by what latents say, and nothing else changes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan.networks.bend import Bend

SIDE = 34
SLANT, STRETCH, DRIFT = range(3)


def bent(images: Tensor, amounts: dict[int, float], down: int = 0, right: int = 0) -> Tensor:
    """Images bent by these amounts, 0 to 2 slide rows, 3 to 5 columns; cropped to three rows and columns less."""
    bend = Bend(1)
    with torch.no_grad():
        bend.amounts.weight.zero_()
        bend.amounts.bias.zero_()
        for number, amount in amounts.items():
            bend.amounts.bias[number] = amount
        count, _, height, width = images.shape
        crop = (torch.full((count,), first) for first in (down, right))
        return bend(images, torch.zeros(count, 1), *crop, height - 3, width - 3)


def standing(*columns: int) -> Tensor:
    """An image of zeros with vertical lines: `[1, 1, SIDE, SIDE]`."""
    images = torch.zeros(1, 1, SIDE, SIDE)
    for column in columns:
        images[:, :, :, column - 1 : column + 2] = torch.tensor([0.5, 1.0, 0.5])
    return images


def places(rows: Tensor) -> Tensor:
    """Where each row has its weight, in pixels."""
    return (rows * torch.arange(rows.shape[1])).sum(dim=1) / rows.sum(dim=1)


@pytest.mark.parametrize("right", [0, 3])
@pytest.mark.parametrize("down", [0, 1, 2])
def test_without_amounts_images_are_only_cropped(down: int, right: int) -> None:
    images = torch.randn(2, 3, 10, 14, generator=torch.Generator().manual_seed(0))
    assert torch.equal(bent(images, {}, down, right), images[:, :, down : down + 7, right : right + 11])


def test_a_slant_makes_a_standing_line_a_straight_slanted_one() -> None:
    at = places(bent(standing(16), {SLANT: 0.1})[0, 0])
    steps = at.diff()
    assert float(at[0] - at[-1]) == pytest.approx(0.2 * math.tanh(0.1 / 0.2) * (len(at) - 1), abs=0.15)
    assert torch.allclose(steps, steps.mean().expand_as(steps), atol=0.06)  # straight: no stairs


def test_the_other_half_of_the_amounts_slides_columns() -> None:
    lying = bent(standing(16).transpose(2, 3), {3 + SLANT: 0.1})[0, 0].T
    assert torch.allclose(places(lying), places(bent(standing(16), {SLANT: 0.1})[0, 0]), atol=0.2)


def test_a_stretch_changes_how_far_apart_lines_stand() -> None:
    def apart(amounts: dict[int, float]) -> float:
        row = bent(standing(8, 24), amounts)[0, 0, 10:11]
        left, right = places(row[:, :16]), places(row[:, 16:])
        return float(right - left) + 16

    assert apart({}) == pytest.approx(16)
    assert apart({STRETCH: 0.15}) < 15 < 17 < apart({STRETCH: -0.15})


def test_a_drift_moves_the_middle() -> None:
    middle = places(bent(standing(16), {DRIFT: 0.15})[0, 0])
    assert float(middle.mean() - 16) > 1.5


@pytest.mark.parametrize("amounts", [{SLANT: 0.15}, {STRETCH: 0.15, DRIFT: 0.1}])
def test_borders_stay_where_they_are(amounts: dict[int, float]) -> None:
    """What would come from beyond would be made up, and a reflection makes every line a kink."""
    images = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    made = bent(images, amounts, right=2)
    assert torch.allclose(made[..., 0], images[..., : SIDE - 3, 2], atol=1e-6)
    assert torch.allclose(made[..., -1], images[..., : SIDE - 3, SIDE - 2], atol=1e-5)


def test_a_plain_image_stays_plain() -> None:
    plain = torch.full((1, 2, SIDE, 20), 0.7)
    made = bent(plain, {SLANT: 0.15, STRETCH: 0.15, 3 + SLANT: -0.1, 3 + DRIFT: 0.1})
    assert torch.allclose(made, torch.full_like(made, 0.7), atol=1e-5)


def test_latents_choose_and_never_too_much() -> None:
    bend = Bend(20)
    bend.initialise(torch.Generator().manual_seed(0))
    latents = torch.randn(200, 20, generator=torch.Generator().manual_seed(1))
    off, size = torch.zeros(200, dtype=torch.int64), (SIDE - 3, SIDE - 3)
    with torch.no_grad():
        at = torch.stack(
            [places(made[0]) for made in bend(standing(16).expand(200, -1, -1, -1), latents, off, off, *size)]
        )
        wild = bend(standing(16), 1e6 * latents[:1], off[:1], off[:1], *size)
    tangents = (at[:, 0] - at[:, -1]) / (at.shape[1] - 1)
    assert 0.03 < float(tangents.std()) < 0.05
    assert bool(wild.isfinite().all())
