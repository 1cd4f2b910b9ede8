"""Images with their masks: a generator that makes both, and a discriminator that sees the image alone, too."""

from __future__ import annotations

import pytest
import torch

from gan.config import TrainConfig
from gan.networks.architectures import generator_of, new_discriminator, new_generator
from gan.networks.grain import GRAIN_BITS
from gan.networks.pairs import PairDiscriminator
from gan.networks.shift import SHIFT_BITS, ShiftGenerator

Z = 8 + SHIFT_BITS + GRAIN_BITS


def lively(channels: int = 1, height: int = 64, wide: int = 64, blobs: bool = True) -> ShiftGenerator:
    """A generator whose images and masks have contrast, and that draws the same whatever the shift."""
    random = torch.Generator().manual_seed(0)
    made = ShiftGenerator(Z, channels, 4, height, wide, masks=True, blobs=blobs)
    made.initialise(random)
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if weights.ndim == 4 and weights.requires_grad and len(weights) > 1:
                weights.normal_(0, 0.2, generator=random)
            if name.endswith(("gate.0.weight", "mixed.weight", "places.weight", "hidden.weight")):
                weights[:, made.content :] = 0
            if name.endswith(("amounts.weight", "grain")):
                weights.zero_()
        for norm in made.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None
        made.train()(**made.draw(32, random))
    return made.eval()


def latents(count: int) -> torch.Tensor:
    return torch.randn((count, Z), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_comes_with_a_mask_of_its_size(channels: int) -> None:
    made = lively(channels, 64, 96)
    assert made.outputs == ("images", "masks")
    with torch.no_grad():
        outputs = made.named(z=latents(3))
    assert outputs["images"].shape == (3, channels, 64, 96)
    assert outputs["masks"].shape == (3, 1, 64, 96)
    assert outputs["masks"].abs().max() <= 1
    assert outputs["masks"].std() > 0.01


@torch.no_grad()
@pytest.mark.parametrize(
    ("bit", "pixels", "blobs"),  # which stand where their latents say, but for the crop of the finished image
    [(0, 16, False), (1, 8, False), (2, 4, False), (3, 2, False), (4, 1, False), (3, 2, True), (4, 1, True)],
)
def test_a_mask_is_shifted_with_its_image(bit: int, pixels: int, blobs: bool) -> None:
    made = lively(height=160, wide=160, blobs=blobs)
    z = latents(2).repeat(2, 1)
    z[:2, made.content + 2 * bit], z[2:, made.content + 2 * bit] = -1.0, 1.0
    still, moved = made.named(z=z)["masks"].split(2)
    inner = slice(48, 96)
    assert torch.allclose(moved[:, :, inner, inner], still[:, :, 48 + pixels : 96 + pixels, inner], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("blobs", [True, False])
def test_grain_is_the_images_alone_but_where_it_makes_edges_ragged(blobs: bool) -> None:
    made, z = lively(blobs=blobs), latents(2)
    other = z.clone()
    other[:, -GRAIN_BITS:] *= -1
    one, another = made.named(z=z), made.named(z=other)
    assert not torch.equal(one["images"], another["images"])
    assert torch.equal(one["masks"], another["masks"]) is not blobs
    if made.blobs is not None:
        made.blobs.shapes.weight.view(-1, 6, made.blobs.shapes.in_features)[:, 5] = 0
        made.blobs.shapes.bias.view(-1, 6)[:, 5] = -torch.inf  # of roughness
        smooth = [made.named(z=latent) for latent in (z, other)]
        assert not torch.equal(smooth[0]["images"], smooth[1]["images"])
        assert torch.equal(smooth[0]["masks"], smooth[1]["masks"])


@torch.no_grad()
def test_a_state_tells_that_it_makes_masks_and_export_makes_the_same() -> None:
    made = lively(3)
    again = generator_of(made.state_dict())
    assert again.outputs == ("images", "masks")
    expected, folded = made.double().named(z=latents(4).double()), made.for_export()(latents(4).double())
    for name, output in zip(made.outputs, folded, strict=True):
        assert torch.allclose(output, expected[name], atol=1e-12)
    assert generator_of(ShiftGenerator(Z, 3, 4, 64, 64).state_dict()).outputs == ("images",)


def discriminator(**changes: object) -> PairDiscriminator:
    config = TrainConfig.of("shift", image_size=64, z_dim=Z, d_width=4, masks=True, **changes)
    made = new_discriminator(config)
    assert isinstance(made, PairDiscriminator)
    made.initialise(torch.Generator().manual_seed(0))
    return made


@torch.no_grad()
@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, 1])])
def test_half_of_the_scores_do_not_see_the_mask(labels: torch.Tensor | None) -> None:
    made = discriminator(class_names=() if labels is None else ("a", "b"))
    seen = torch.randn((3, 4, 64, 64), generator=torch.Generator().manual_seed(2))
    other = torch.cat([seen[:, :-1], -seen[:, -1:]], dim=1)
    pairs = list(zip(made.look(seen, labels)[0], made.look(other, labels)[0], strict=True))
    same = [torch.equal(one, another) for one, another in pairs]
    assert same == [True, True, False, False] * (1 if labels is None else 2)


@torch.no_grad()
def test_scores_of_classes_are_the_second_half() -> None:
    made = discriminator(class_names=("a", "b"))
    for embedding in (made.images.whole_classes, made.pairs.patch_classes):
        assert embedding is not None
        embedding.weight.normal_(generator=torch.Generator().manual_seed(3))
    seen = torch.randn((3, 4, 64, 64), generator=torch.Generator().manual_seed(2))
    scores = [made.look(seen, torch.tensor(labels))[0] for labels in ([0, 0, 0], [1, 1, 1])]
    same = [torch.equal(one, another) for one, another in zip(*scores, strict=True)]
    assert same == [True] * 4 + [False, True, True, False]


def test_networks_without_two_parts_have_no_masks() -> None:
    with pytest.raises(ValueError, match="`masks` need"):
        TrainConfig.of("small-data", masks=True)
    assert new_generator(TrainConfig.of("shift", z_dim=Z)).outputs == ("images",)
