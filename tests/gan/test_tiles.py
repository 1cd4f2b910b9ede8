"""Pictures of images, and the blur of the grain, are to the last bit what torchvision makes of them."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import gaussian_blur
from torchvision.utils import make_grid

from gan.evaluation import places
from gan.tiles import tiled


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 64])
def test_images_lie_as_torchvision_lays_them(count: int, channels: int) -> None:
    images = torch.rand((count, channels, 6, 10), generator=torch.Generator().manual_seed(count))
    assert torch.equal(tiled(images, 8, 2, 0.5), make_grid(images, nrow=8, padding=2, pad_value=0.5))
    pixels = (images * 255).to(torch.uint8)
    assert torch.equal(tiled(pixels, 4, 3, 255), make_grid(pixels, nrow=4, padding=3, pad_value=255))


def test_blur_is_that_of_torchvision() -> None:
    gray = 255 * torch.rand((3, 1, 24, 40), generator=torch.Generator().manual_seed(0))
    size, sigma = places._KERNEL, places._SIGMA
    assert torch.equal(places._blurred(gray), gaussian_blur(gray, [size, size], [sigma, sigma]))
