"""Classical augmentation changes every image, keeps its shape, and moves a mask with its image."""

from __future__ import annotations

import pytest
import torch

from gan.usefulness.augmentation import classical
from tests.gan.usefulness.surfaces import surfaces


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_changes_and_shape_type_and_seed_hold(channels: int) -> None:
    images = surfaces(8, 1, channels=channels).images[..., :24]
    before = images.clone()
    changed = classical(1)(images, seeded())
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)
    assert (changed != images).flatten(1).any(dim=1).all()
    assert torch.equal(changed, classical(1)(images, seeded()))
    assert not torch.equal(changed, classical(1)(images, seeded(1)))


def test_more_strength_changes_more() -> None:
    plain = torch.full((200, 1, 16, 16), 128, dtype=torch.uint8)
    weak, usual, strong = (
        float((classical(strength)(plain, seeded()).float() - 128).abs().mean()) for strength in (0.5, 1, 2)
    )
    assert 0 < 1.5 * weak < usual < strong / 1.5


def test_mask_in_the_last_channel_moves_with_its_image() -> None:
    of = surfaces(40, 2, contrast=120)
    assert of.masks is not None
    changed = classical(2)(torch.cat([of.images, of.masks[:, None]], dim=1), seeded())
    image, mask = changed[1::2, 0].float(), changed[1::2, 1]
    assert set(mask.unique().tolist()) == {0, 255}
    marked, other = image[mask > 0].mean(), image[mask == 0].mean()
    assert marked > other + 70
    assert not torch.equal(mask, of.masks[1::2])
    assert not changed[::2, 1].any()


def test_oblong_images_turn_without_being_sheared() -> None:
    """A disc stays a disc."""
    y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(120) - 59.5, indexing="ij")
    disc = (255 * ((y.square() + x.square()).sqrt() < 12)).to(torch.uint8)
    pair = torch.stack([disc, disc])[None].repeat(20, 1, 1, 1)
    for mask in classical(1)(pair, seeded())[:, 1]:
        places = mask.nonzero().double()
        down, right = places.std(dim=0).tolist()
        assert down == pytest.approx(right, rel=0.05)


@pytest.mark.parametrize("strength", [0, -1, float("nan")])
def test_strength_of_nothing_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength is above 0"):
        classical(strength)
