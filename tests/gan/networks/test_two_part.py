"""The discriminator in two parts: what each part can see, and what it cannot."""

from __future__ import annotations

import pytest
import torch

from gan.config import IMAGE_SIZES, TrainConfig
from gan.networks.architectures import new_discriminator
from gan.networks.two_part import TwoPartDiscriminator
from gan.sizes import sides


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


@pytest.mark.parametrize(
    ("size", "seen", "left"),
    [
        ("96", (64, 64), (4, 4)),
        ("1024", (64, 64), (4, 4)),
        ("64x32", (32, 64), (2, 4)),
        ("96x64", (48, 80), (3, 5)),
        ("320x128", (48, 96), (3, 6)),
        ("32x1024", (368, 16), (23, 1)),
    ],
)
def test_the_whole_of_a_rectangle_is_seen_in_its_proportions_and_scored_once(
    size: str, seen: tuple[int, int], left: tuple[int, int]
) -> None:
    width, height = sides(size)
    made = TwoPartDiscriminator(3, 2, size)
    made.initialise(torch.Generator().manual_seed(0))
    last = made.whole[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert (made.seen, last.kernel_size) == (seen, left)
    (whole, patches), _ = made.look(images(2, 3, height, width))
    assert (whole.shape, patches.shape) == ((2,), (2, height // 8 * (width // 8)))


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


def test_classes_are_scored_on_top_of_what_is_scored_without_them() -> None:
    made = TwoPartDiscriminator(3, 4, 64, classes=2)
    made.initialise(torch.Generator().manual_seed(0))
    seen, labels = images(4, 3, 64, 64), torch.tensor([0, 1, 1, 0])
    plain, _ = made.look(seen)
    begun, _ = made.look(seen, labels)
    assert [score.shape for score in begun] == [score.shape for score in plain * 2]
    for score, other in zip(begun, plain * 2, strict=True):  # at first it says of a class what it says of all
        assert torch.equal(score, other)
    for seed, embedding in enumerate((made.whole_classes, made.patch_classes), 1):
        assert embedding is not None
        torch.nn.init.normal_(embedding.weight, generator=torch.Generator().manual_seed(seed))
    of_these, of_others = made.look(seen, labels)[0], made.look(seen, 1 - labels)[0]
    for score, other in zip(of_these[:2], of_others[:2], strict=True):
        assert torch.equal(score, other)
    for score, other in zip(of_these[2:], of_others[2:], strict=True):
        assert not torch.allclose(score, other, atol=1e-3)


def test_without_classes_there_is_nothing_for_them() -> None:
    assert drawn().state_dict().keys() == TwoPartDiscriminator(3, 4, 128, classes=2).state_dict().keys() - {
        "whole_classes.weight",
        "patch_classes.weight",
    }
