"""The discriminator in two parts: what each part can see, and what it cannot."""

from __future__ import annotations

import pytest
import torch

from gan.config import IMAGE_SIZES, TrainConfig
from gan.networks.architectures import new_discriminator
from gan.networks.two_part import TwoPartDiscriminator


def drawn(channels: int = 3, image_size: int = 128, fine: int = 1) -> TwoPartDiscriminator:
    made = TwoPartDiscriminator(channels, 4, image_size, fine)
    made.initialise(torch.Generator().manual_seed(0))
    return made


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize(("bands", "channels"), [(True, 1), (True, 3), (False, 1), (False, 3)])
def test_every_size_and_kind_of_images_is_scored(size: int, bands: bool, channels: int) -> None:
    config = TrainConfig.of("shift", image_size=size, bands=bands, channels=channels, d_width=2, band_weight=1)
    made = new_discriminator(config)
    made.initialise(torch.Generator().manual_seed(0))
    seen = images(2, channels * (3 if bands else 1), size, size)
    (whole, patches), redrawn = made.look(seen)
    assert whole.shape == made(seen).shape == (2,)
    assert patches.shape == (2, (size // 8) ** 2)
    assert redrawn is None


def test_the_whole_is_judged_without_the_finest_band_and_coarsely() -> None:
    made, seen = drawn(), images(2, 3, 128, 128)
    other = seen.clone()
    other[:, 0] = 0
    assert torch.equal(made(other), made(seen))
    chess = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(64, 64)
    assert torch.allclose(made(seen + chess), made(seen), atol=1e-5)


def test_a_patch_is_judged_without_what_is_far_from_it() -> None:
    made, seen = drawn(), images(1, 3, 128, 128)
    other = seen.clone()
    other[:, :, :, 40:] = 0
    (_, before), (_, after) = made.look(seen)[0], made.look(other)[0]
    before, after = before.reshape(16, 16), after.reshape(16, 16)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 5], after[:, 5])


@pytest.mark.parametrize("option", ["d_batch_norm", "d_spectral_norm", "d_patches", "d_decoder"])
def test_what_the_other_discriminator_has_is_refused_beside_it(option: str) -> None:
    with pytest.raises(ValueError, match=f"`{option}=False`"):
        TrainConfig.of("shift", **{option: True, **({"r1_gamma": 0.0} if option == "d_batch_norm" else {})})
