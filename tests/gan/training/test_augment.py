"""Augmentation of what the discriminator sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.training.augment import MAX_BRIGHTNESS, MAX_CONTRAST, augment, brightness_for, flip
from tests.gan.training.made import noise

SIZE = 128


def random(seed: int = 0) -> torch.Generator:
    """A source of randomness."""
    return torch.Generator().manual_seed(seed)


def dots(count: int) -> Tensor:
    """Black images with a white dot at (64, 64)."""
    images = torch.full((count, 1, SIZE, SIZE), -1.0)
    images[:, :, 64, 64] = 1
    return images


def shifts(images: Tensor) -> Tensor:
    """How far the dot of each image moved: `[N, 2]`, rows and columns."""
    place = images.flatten(1).argmax(dim=1)
    return torch.stack([place // SIZE - 64, place % SIZE - 64], dim=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_stays(channels: int) -> None:
    images = noise(4, channels)
    assert augment(images, random()).shape == images.shape


def test_every_image_passes_its_gradient_on() -> None:
    images = noise().requires_grad_()
    augment(images, random()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_equal_images_of_a_batch_become_different() -> None:
    seen = augment(noise(1).expand(64, -1, -1, -1), random())
    assert len({tuple(image.flatten()[:50].tolist()) for image in seen}) > 32


def test_same_randomness_gives_the_same_result() -> None:
    assert torch.equal(augment(noise(), random(5)), augment(noise(), random(5)))


def test_other_randomness_gives_another_result() -> None:
    assert not torch.equal(augment(noise(), random(5)), augment(noise(), random(6)))


def test_the_input_is_left_alone() -> None:
    images = noise()
    augment(images, random())
    assert torch.equal(images, noise())


def test_content_moves_by_an_eighth_of_the_side_at_most() -> None:
    assert shifts(augment(dots(400), random())).abs().max() <= SIZE // 8


@pytest.mark.parametrize("axis", [0, 1])
def test_content_moves_both_ways_along_each_axis(axis: int) -> None:
    moved = shifts(augment(dots(400), random()))[:, axis]
    assert moved.min() < -10
    assert moved.max() > 10


def test_some_images_stay_where_they_are() -> None:
    assert (shifts(augment(dots(64), random())) == 0).all(dim=1).any()


def test_no_border_comes_into_the_picture() -> None:
    flat = augment(torch.full((64, 1, SIZE, SIZE), 0.3), random())
    torch.testing.assert_close(flat.amax(dim=(2, 3)), flat.amin(dim=(2, 3)))


def test_brightness_changes_the_mean_by_no_more_than_its_limit() -> None:
    flat = augment(torch.zeros((200, 1, SIZE, SIZE)), random()).mean(dim=(1, 2, 3))
    assert MAX_BRIGHTNESS * 0.9 < flat.abs().max() <= MAX_BRIGHTNESS


def test_brightness_changes_by_no_more_than_was_said() -> None:
    flat = augment(torch.zeros((200, 1, SIZE, SIZE)), random(), 0.05).mean(dim=(1, 2, 3))
    assert 0.045 < flat.abs().max() <= 0.05


@pytest.mark.parametrize(("deviation", "brightness"), [(5, 5 / 127.5), (60, MAX_BRIGHTNESS)])
def test_faint_photos_change_by_their_own_contrast(deviation: float, brightness: float) -> None:
    faint = torch.randn((9, 1, SIZE, SIZE), generator=random()) * deviation + 120
    faint[:2] = torch.rand((2, 1, SIZE, SIZE), generator=random()) * 255  # a few others do not decide
    assert brightness_for(faint.clamp(0, 255).to(torch.uint8)) == pytest.approx(brightness, rel=0.02)


def test_contrast_changes_the_spread_by_no_more_than_its_limit() -> None:
    images = dots(200)
    spread = augment(images, random()).amax(dim=(1, 2, 3)) - augment(images, random()).amin(dim=(1, 2, 3))
    change = (spread / 2 - 1).abs().max()
    assert MAX_CONTRAST * 0.9 < change <= MAX_CONTRAST + 1e-5


def test_colours_of_an_image_are_moved_together() -> None:
    gray = noise(16).expand(-1, 3, -1, -1)
    seen = augment(gray, random())
    torch.testing.assert_close(seen[:, 0], seen[:, 2])


def test_flip_none_is_the_identity() -> None:
    assert torch.equal(flip(noise(), "none", random()), noise())


@pytest.mark.parametrize(("how", "axes"), [("horizontal", [3]), ("vertical", [2])])
def test_flip_mirrors_along_its_own_axis_or_not_at_all(how: str, axes: list[int]) -> None:
    images = noise(32)
    for before, after in zip(images, flip(images, how, random()), strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(axes[0] - 1))


@pytest.mark.parametrize("how", ["horizontal", "vertical"])
def test_flip_mirrors_about_half_of_the_images(how: str) -> None:
    images = noise(200)[:, :, ::16, ::16]
    mirrored = (flip(images, how, random()) != images).any(dim=(1, 2, 3)).sum().item()
    assert 70 < mirrored < 130


def test_flip_both_gives_all_four_ways_an_image_can_lie() -> None:
    image = noise(1)[:, :, ::16, ::16]
    seen = flip(image.expand(64, -1, -1, -1), "both", random())
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 4


def test_flip_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        flip(noise(2), "sideways", random())
