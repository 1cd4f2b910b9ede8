"""The search for copies: the verdict by itself, and copies that are hidden in mirrors and under noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from gan.evaluation.copying import MIRRORS, find_copies, in_every_orientation, judge_copying
from gan.evaluation.features import FeatureNetwork
from gan.photos.read import ImageSet
from tests.gan.evaluation.conftest import SMALL, compared, of, plates


def distances_of(count: int, seed: int, factor: float = 1.0) -> Tensor:
    return factor * (5 + torch.randn(count, generator=torch.Generator().manual_seed(seed)).double())


def test_fresh_images_are_not_taken_for_copies_however_few_are_held_out() -> None:
    for held_out in (10, 30, 200):
        verdicts = [
            judge_copying(distances_of(300, 2 * n), distances_of(held_out, 2 * n + 1)).verdict for n in range(100)
        ]
        assert verdicts.count("copies") <= 1  # one in 1000 is what chance gives
        assert verdicts.count("suspected") <= 12


def test_copies_are_found_among_fresh_images() -> None:
    held_out = distances_of(100, 1)
    some = torch.cat([torch.zeros(20).double(), distances_of(80, 2)])
    found = judge_copying(some, held_out)
    assert found.verdict == "copies"
    assert found.below_1st == pytest.approx(0.20, abs=0.03)
    few = torch.cat([torch.zeros(6).double(), distances_of(94, 2)])
    assert judge_copying(few, held_out).verdict == "suspected"


def test_images_systematically_nearer_are_suspected_and_ones_further_away_are_not() -> None:
    nearer = judge_copying(distances_of(300, 1, 0.7), distances_of(300, 2))
    assert nearer.ratio == pytest.approx(0.7, rel=0.05)
    assert nearer.verdict != "none found"
    assert judge_copying(torch.full((50,), 3.9).double(), torch.linspace(1, 9, 50).double()).verdict == "suspected"
    assert judge_copying(distances_of(300, 1, 1.5), distances_of(300, 2)).verdict == "none found"


def test_limits_rise_where_few_photos_are_held_out() -> None:
    few, many = (
        judge_copying(distances_of(50, 1), distances_of(10, 2)),
        judge_copying(distances_of(50, 1), distances_of(500, 2)),
    )
    assert (many.copies_above, many.suspected_above) == (0.10, 0.03)
    assert few.copies_above == pytest.approx(1 - (0.001 / 3) ** 0.1)
    assert few.suspected_above == pytest.approx(1 - (0.05 / 3) ** 0.1)


def test_copying_needs_distances_of_both() -> None:
    with pytest.raises(ValueError, match="distances of both"):
        judge_copying(torch.zeros(0), torch.zeros(5))


@pytest.mark.parametrize("mirror", MIRRORS)
def test_copies_of_training_images_are_found_in_every_orientation(train: ImageSet, mirror: str) -> None:
    noise = torch.randint(0, 3, train.images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    copies = (train.images.clamp(0, 250) + noise).flip(MIRRORS[mirror])
    real, fake = plates(60, 1), of(torch.cat([plates(60, 3).images, copies]))
    known = torch.cat([SMALL(images) for images in in_every_orientation(train.images)])
    found = find_copies(fake, real, train, (SMALL(fake.images), SMALL(real.images), known))
    assert (found.verdict, found.by_features.verdict) == ("copies", "copies")
    assert found.by_features.below_1st == pytest.approx(0.5, abs=0.05)
    assert found.by_pixels.below_1st > 0.4
    assert len(found.pairs) == 16
    for pair in found.pairs:
        assert pair.mirror == mirror
        assert int(pair.fake_name[5:-4]) - 60 == int(pair.train_name[2:-4])
        assert int((pair.fake.int() - pair.train.int()).abs().max()) <= 8  # shown as they match, side by side


def test_copies_that_features_take_for_others_are_found_by_pixels(train: ImageSet) -> None:
    grain = FeatureNetwork("grain", lambda images: adaptive_avg_pool2d(images[:, :1].diff().abs(), 8).flatten(1))
    noise = torch.randn(train.images.shape, generator=torch.Generator().manual_seed(1)) * 8
    noisy = (train.images.float() + noise).round().clamp(0, 255).to(torch.uint8)
    found, pairs = compared(of(noisy), train, grain)
    assert found.copying is not None
    assert (found.copying.verdict, found.copying_verdict) == ("none found", "copies")
    for pair in pairs:  # those that are nearest by pixels
        assert int(pair.fake_name[5:-4]) == int(pair.train_name[2:-4])


def shifted(train: ImageSet, down: int, right: int, mirror: str) -> ImageSet:
    """Copies whose content lies elsewhere."""
    wide = pad(train.images.float(), (16, 16, 16, 16), mode="reflect").to(torch.uint8)
    return of(wide[:, :, 16 + down : 80 + down, 16 + right : 80 + right].flip(MIRRORS[mirror]))


@pytest.mark.parametrize(
    ("down", "right", "mirror"), list(zip([16, -7, 0, -16], [-16, 13, 9, 5], MIRRORS, strict=True))
)
def test_copies_that_were_shifted_are_found(train: ImageSet, down: int, right: int, mirror: str) -> None:
    real, copies = plates(60, 1), shifted(train, down, right, mirror)
    known = torch.cat([SMALL(images) for images in in_every_orientation(train.images)])
    found = find_copies(copies, real, train, (SMALL(copies.images), SMALL(real.images), known))
    assert found.by_shifted_pixels.verdict == found.verdict == "copies"
    assert sum(pair.fake_name[5:-4] == pair.train_name[2:-4] for pair in found.pairs) > 12


def test_a_comparison_tells_of_copies_that_were_shifted(train: ImageSet) -> None:
    found, pairs = compared(shifted(train, 16, -16, "as it is"), train)
    assert found.shifted_copying is not None
    assert found.shifted_copying.verdict == found.copying_verdict == "copies"
    assert sum(pair.fake_name[5:-4] == pair.train_name[2:-4] for pair in pairs) > 12


def test_fresh_photos_are_no_shifted_copies(train: ImageSet) -> None:
    known = torch.cat([SMALL(images) for images in in_every_orientation(train.images)])
    verdicts = []
    for seed in range(10, 16):
        fake, real = plates(300, seed), plates(60, seed + 10)
        features = SMALL(fake.images), SMALL(real.images), known
        verdicts.append(find_copies(fake, real, train, features).by_shifted_pixels.verdict)
    assert "copies" not in verdicts
    assert verdicts.count("suspected") <= 2  # one in 20 is what chance gives


def test_even_plates_are_no_shifted_copies(train: ImageSet) -> None:
    found, _ = compared(of(torch.full((60, 1, 64, 64), 90, dtype=torch.uint8)), train)
    assert found.shifted_copying is not None
    assert found.shifted_copying.below_1st == 0
