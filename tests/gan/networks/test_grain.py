"""Noise for the grain of images: which crop the signs of latents choose, and what colours it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.networks.grain import GRAIN_BITS, REACH, bell, coloured, coloured_crops, crops


@pytest.fixture(scope="module")
def noise() -> Tensor:
    """A bank for crops of 68×68."""
    return torch.randn((REACH + 68, REACH + 68), generator=torch.Generator().manual_seed(0))


def chosen(*signs: int) -> Tensor:
    """One image's bits: these are up."""
    up = torch.zeros((1, GRAIN_BITS), dtype=torch.bool)
    up[0, list(signs)] = True
    return up


def test_crop_is_that_of_the_bank_at_the_offset_that_the_signs_write(noise: Tensor) -> None:
    up = torch.cat([chosen(), chosen(0, 2, 11), chosen(20, 11), chosen(21, 22)])  # 5 rows, 2 columns; …
    plain, moved, upside_down, mirrored = crops(noise[..., None], up, 68, 68)[:, 0]
    assert torch.equal(plain, noise[:68, :68])
    assert torch.equal(moved, noise[5:73, 2:70])
    assert torch.equal(upside_down, noise[:68, 2:70].flip(0))
    assert torch.equal(mirrored, -noise[:68, :68].flip(1))


def test_coloured_noise_is_as_mirrored_as_the_white_noise(noise: Tensor) -> None:
    taps = bell(torch.tensor([0.0, -0.1]))[None, None]
    white = noise[None, None]
    whole = coloured(white, taps)
    for mirrored in ((2,), (3,), (2, 3)):
        assert torch.allclose(coloured(white.flip(mirrored), taps), whole.flip(mirrored), atol=1e-6)
    for up, sign in ((chosen(1, 20), 1), (chosen(1, 20, 22), -1)):  # 2 rows, upside down, dark for bright
        plain, crop = coloured_crops(noise, taps, up, 68, 68)
        assert torch.equal(plain, sign * white[:, :, 2:70, :68].flip(2))
        assert torch.allclose(crop, sign * whole[:, :, 2:70, :68].flip(2), atol=1e-6)


@pytest.mark.parametrize(("down", "across"), [(-9.0, -9.0), (0.0, -0.1), (9.0, 0.2)])
def test_what_colours_the_noise_is_a_bell_and_leaves_it_as_strong(down: float, across: float) -> None:
    """Taps that rise again away from the middle would weave a mesh or a comb."""
    spot = torch.zeros(1, 1, 9, 9)
    spot[..., 4, 4] = 1
    taps = coloured(spot, bell(torch.tensor([down, across]))[None, None])[0, 0]
    assert taps.norm() == pytest.approx(1)
    assert (taps >= 0).all()
    for line in (taps, taps.T):
        assert (line[:5].diff(dim=0) >= 0).all()
        assert torch.allclose(line, line.flip(0))


def test_a_hundred_thousand_images_hardly_share_a_crop() -> None:
    latents = torch.randn((100_000, GRAIN_BITS), generator=torch.Generator().manual_seed(3))
    numbers = ((latents > 0) * (1 << torch.arange(GRAIN_BITS))).sum(dim=1)
    _, count = numbers.unique(return_counts=True)
    assert int((count == 1).sum()) > 98_000
