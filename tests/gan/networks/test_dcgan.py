"""The generator of a DCGAN: parameters, shapes and sizes, and what it makes of latents."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan.config import IMAGE_SIZES
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from tests.gan.networks.made import latents, parameters, stage_shapes, unusual


def test_default_generator_has_3_606_976_parameters() -> None:
    assert parameters(DCGAN()) == 3_606_976


@pytest.mark.parametrize("channels", [1, 3])
def test_generator_doubles_the_side_at_each_stage_from_4_to_128(channels: int) -> None:
    assert stage_shapes(DCGAN(channels=channels).eval(), torch.zeros(1, 100, 1, 1)) == [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (32, 64, 64),
        (channels, 128, 128),
    ]


@pytest.mark.parametrize("network", [DCGAN(), Discriminator()])
def test_no_convolution_under_batch_norm_has_a_bias(network: nn.Module) -> None:
    assert all(
        module.bias is None for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    )


def test_both_forms_of_a_latent_give_equal_images() -> None:
    generator, z = unusual(DCGAN(8, 1, 2)), latents(3, 8)
    assert torch.equal(generator(z), generator(z.reshape(3, 8, 1, 1)))


def test_generated_images_stay_within_minus_one_and_one() -> None:
    images = unusual(DCGAN(8, 1, 2))(100 * latents(8, 8))
    assert images.abs().max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_every_size_makes_images_of_it_and_is_read_from_its_state_dict(size: int, channels: int) -> None:
    read = DCGAN.from_state_dict(DCGAN(8, channels, 1, size).state_dict())
    assert (read.height, read.width, read.channels) == (size, size, channels)
    images = read(latents(2, 8))
    assert images.shape == (2, channels, size, size)
    assert Discriminator(channels, 1, image_size=size)(images).shape == (2,)


@pytest.mark.parametrize("size", [0, 16, 100, 1024])
def test_a_size_that_is_no_power_of_two_from_32_to_512_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="not one of 32, 64, 128, 256, 512"):
        DCGAN(8, 1, 1, size)


def test_stages_beyond_128_grow_no_wider() -> None:
    shapes = stage_shapes(DCGAN(8, 1, 2, 512).eval(), latents(1, 8))
    assert [shape[0] for shape in shapes] == [32, 32, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize("shape", [(4, 7), (2, 16), (8,), (2, 8, 2, 2)])
def test_latents_of_another_shape_are_refused_and_not_rearranged(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[N, 8\]"):
        DCGAN(8, 1, 2)(torch.zeros(shape))
