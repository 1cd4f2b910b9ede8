"""The discriminator: its size, spectral norm, patches, a decoder, and how alike a batch is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan.networks.discriminator import Discriminator, MinibatchStddev
from gan.networks.stages import initialise
from tests.gan.networks.made import parameters, photos, stage_shapes, unusual


def test_default_discriminator_has_2_795_904_parameters() -> None:
    assert parameters(Discriminator()) == 2_795_904


@pytest.mark.parametrize("channels", [1, 3])
def test_discriminator_is_the_generators_mirror_image(channels: int) -> None:
    assert stage_shapes(Discriminator(channels).eval(), torch.zeros(1, channels, 128, 128)) == [
        (32, 64, 64),
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (1, 1, 1),
    ]


def test_discriminator_gives_one_logit_an_image() -> None:
    assert Discriminator(1, 2)(photos(5)).shape == (5,)


def test_spectral_norm_holds_every_convolution_near_1() -> None:
    discriminator = Discriminator(1, 2, batch_norm=False, spectral_norm=True)
    initialise(discriminator, torch.Generator().manual_seed(0))
    for _ in range(30):
        discriminator(photos(2))
    for module in discriminator.main:
        if isinstance(module, nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_spectral_norm_begins_with_the_seed_alone() -> None:
    states: list[dict[str, Tensor]] = []
    for globally in (1, 2):
        torch.manual_seed(globally)
        network = Discriminator(1, 2, batch_norm=False, spectral_norm=True)
        initialise(network, torch.Generator().manual_seed(6))
        states.append(network.state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("size", [32, 128])
def test_discriminator_scores_patches_and_redraws_on_request(size: int) -> None:
    discriminator = Discriminator(1, 2, False, True, size, patches=True, decoder=True)
    images = torch.zeros(3, 1, size, size)
    logits, redrawn = discriminator.look(images)
    assert [list(scores.shape) for scores in logits] == [[3], [3, (size // 8) ** 2 if size > 32 else 64]]
    assert redrawn is not None
    assert redrawn.shape == (3, 1, min(size, 64), min(size, 64))
    assert torch.equal(logits[0], discriminator(images))


def test_discriminator_alone_has_one_score_and_redraws_nothing() -> None:
    logits, redrawn = Discriminator(1, 2).look(photos(2))
    assert len(logits) == 1
    assert redrawn is None


def test_minibatch_stddev_is_zero_on_a_collapsed_batch() -> None:
    collapsed = photos(1).expand(8, -1, -1, -1)
    assert MinibatchStddev()(collapsed)[:, 1].max() < 1e-3


def test_minibatch_stddev_is_the_deviation_of_a_batch_that_varies() -> None:
    images = torch.stack([torch.full((1, 4, 4), value) for value in (-1.0, 1.0)])
    torch.testing.assert_close(MinibatchStddev()(images)[:, 1], torch.ones(2, 4, 4))


def test_minibatch_stddev_passes_the_images_through() -> None:
    assert torch.equal(MinibatchStddev()(photos(4, 3))[:, :3], photos(4, 3))


def test_discriminator_with_minibatch_stddev_scores_an_image_by_its_company() -> None:
    discriminator = unusual(Discriminator(1, 2, batch_norm=False, minibatch_stddev=True))
    image = photos(1)
    collapsed = discriminator(image.expand(8, -1, -1, -1))[0]
    varied = discriminator(torch.cat([image, photos(7, seed=6)]))[0]
    assert collapsed != varied


def test_discriminator_without_it_scores_an_image_by_itself() -> None:
    discriminator = unusual(Discriminator(1, 2, batch_norm=False))
    image = photos(1)
    collapsed = discriminator(image.expand(8, -1, -1, -1))[0]
    torch.testing.assert_close(discriminator(torch.cat([image, photos(7, seed=6)]))[0], collapsed)


def test_discriminator_without_batch_norm_has_biases_instead() -> None:
    names = Discriminator(1, 2, batch_norm=False).state_dict()
    assert "main.0.bias" in names
    assert not any("running" in name for name in names)
