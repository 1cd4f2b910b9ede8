"""The usual PyTorch DCGAN, written out: it reads our state dicts and we read its, and both give the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from tests.gan.networks.made import latents, photos, unusual


class ClassicGenerator(nn.Module):
    """The usual PyTorch DCGAN generator with a sixth stage, written out."""

    def __init__(self, nz: int, ngf: int, nc: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 16, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 16),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 16, ngf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.main(z)
        return images


class ClassicDiscriminator(nn.Module):
    """The usual PyTorch DCGAN discriminator with a sixth stage, written out; it gives probabilities."""

    def __init__(self, nc: int, ndf: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 8, ndf * 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 16, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.main(images)
        return probabilities.view(-1)


@pytest.mark.parametrize("channels", [1, 3])
def test_generator_reads_a_classic_state_dict_and_gives_its_images(channels: int) -> None:
    classic, z = unusual(ClassicGenerator(8, 2, channels)), latents(4, 8)
    ours = DCGAN.from_state_dict(classic.state_dict())
    assert torch.equal(ours(z), classic(z.reshape(4, 8, 1, 1)))


@pytest.mark.parametrize("channels", [1, 3])
def test_classic_generator_reads_our_state_dict_and_gives_our_images(channels: int) -> None:
    ours, z = unusual(DCGAN(8, channels, 2)), latents(4, 8)
    classic = ClassicGenerator(8, 2, channels).eval()
    classic.load_state_dict(ours.state_dict())
    assert torch.equal(classic(z.reshape(4, 8, 1, 1)), ours(z))


@pytest.mark.parametrize("channels", [1, 3])
def test_discriminator_reads_a_classic_state_dict_and_gives_its_probabilities(channels: int) -> None:
    classic, ours = unusual(ClassicDiscriminator(channels, 2)), Discriminator(channels, 2).eval()
    ours.load_state_dict(classic.state_dict())
    assert torch.equal(ours(photos(3, channels)).sigmoid(), classic(photos(3, channels)))


@pytest.mark.parametrize("channels", [1, 3])
def test_classic_discriminator_reads_our_state_dict_and_gives_our_probabilities(channels: int) -> None:
    ours, classic = unusual(Discriminator(channels, 2)), ClassicDiscriminator(channels, 2).eval()
    classic.load_state_dict(ours.state_dict())
    assert torch.equal(classic(photos(3, channels)), ours(photos(3, channels)).sigmoid())
