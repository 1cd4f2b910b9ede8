"""Images as the discriminator sees them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.networks.colours import FAINT
from gan.networks.standardizer import SIGMAS, Standardizer


def photos(channels: int = 1) -> Tensor:
    """Dull noise, uint8."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(90, 120, (40, channels, 64, 64), generator=random, dtype=torch.uint8)


def floats(images: Tensor) -> Tensor:
    """uint8 to [-1, 1]."""
    return images.float() / 127.5 - 1


@pytest.mark.parametrize("bands", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_training_images_are_seen_with_mean_0_and_deviation_1_and_colours_fainter(channels: int, bands: bool) -> None:
    seen = Standardizer(photos(channels), bands)(floats(photos(channels)))
    assert seen.shape[1] == channels * (len(SIGMAS) + 1 if bands else 1)
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(seen.shape[1]), atol=1e-3, rtol=0)
    counts = torch.tensor([1, FAINT, FAINT] if channels == 3 else [1.0]).repeat(seen.shape[1] // channels)
    torch.testing.assert_close(seen.std(dim=(0, 2, 3)), counts, atol=1e-3, rtol=0)


def test_a_tint_is_seen_that_hardly_changes_red_green_and_blue() -> None:
    """Of photos that are gray but for a trace of colour."""
    random = torch.Generator().manual_seed(1)
    tints = torch.randint(-2, 3, (40, 3, 1, 1), generator=random)
    near_gray = (photos().int() + tints).to(torch.uint8)
    standardizer, gray = Standardizer(near_gray, False), floats(photos()).expand(-1, 3, -1, -1)
    tinted = gray + torch.tensor([8.0, 0, -8]).view(3, 1, 1) / 127.5
    seen = (standardizer(tinted) - standardizer(gray)).mean(dim=(0, 2, 3))
    assert seen[0].abs() < 0.01
    assert seen[1] > 1


def test_the_bands_are_together_the_image() -> None:
    standardizer = Standardizer(photos(), True)
    seen = standardizer(floats(photos()))
    parts = seen * standardizer._deviation + standardizer._mean
    torch.testing.assert_close(parts.sum(dim=1, keepdim=True), floats(photos()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_weight_makes_each_finer_band_count_less(channels: int) -> None:
    even, weighted = (Standardizer(photos(channels), True, weight)(floats(photos(channels))) for weight in (1.0, 0.5))
    shares = torch.tensor([0.25, 0.5, 1.0]).repeat_interleave(channels).view(1, -1, 1, 1)
    torch.testing.assert_close(weighted, even * shares)


def test_an_even_image_is_in_the_coarsest_band_alone() -> None:
    standardizer = Standardizer(photos(), True)
    parts = standardizer(torch.full((1, 1, 64, 64), 0.3)) * standardizer._deviation + standardizer._mean
    torch.testing.assert_close(parts.mean(dim=(0, 2, 3)), torch.tensor([0, 0, 0.3]), atol=1e-5, rtol=0)


def test_grain_survives_autocast() -> None:
    standardizer, images = Standardizer(photos(), True), floats(photos())
    with torch.autocast("cpu", torch.bfloat16):
        seen = standardizer(images)
    torch.testing.assert_close(seen, standardizer(images))


def test_a_gradient_comes_through_to_the_image() -> None:
    images = floats(photos()).requires_grad_()
    Standardizer(photos(), True)(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().min() >= 0
    assert images.grad.abs().mean() > 0


def test_photos_all_alike_do_not_divide_by_zero() -> None:
    even = torch.full((10, 1, 32, 32), 100, dtype=torch.uint8)
    assert Standardizer(even, True)(floats(even)).isfinite().all()
