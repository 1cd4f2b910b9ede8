"""Feature matching draws images towards the photos, keeps them apart from each other, and weighs what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.config import TrainConfig
from gan.networks.pixels import to_float
from gan.photos.read import ImageSet
from gan.training.augment import orientations
from gan.training.matching import FeatureMatching
from gan.training.trainer import Trainer
from tests.gan.evaluation.conftest import plates
from tests.gan.training.made import noise


@pytest.fixture(scope="module")
def photos() -> ImageSet:
    return plates(40, 1)


@pytest.fixture(scope="module")
def matching(photos: ImageSet) -> FeatureMatching:
    return FeatureMatching(photos.images, "none")


def fresh(count: int = 16, seed: int = 2) -> Tensor:
    """Photos of the same source."""
    return to_float(plates(count, seed).images)


def test_photos_of_the_source_are_nearer_than_other_images(matching: FeatureMatching) -> None:
    near = float(matching.distance(fresh()))
    grain = noise(16)[:, :, :64, :64]
    for other in (fresh() * 0.3, fresh().flip(2) - 0.5, grain, torch.zeros(16, 1, 64, 64)):
        assert float(matching.distance(other)) > near + 0.1


def test_one_photo_again_and_again_is_farther_than_as_many_photos(matching: FeatureMatching, photos: ImageSet) -> None:
    varied = to_float(photos.images[:16])
    again = [float(matching.distance(image.expand(16, -1, -1, -1))) for image in varied]
    assert min(again) > float(matching.distance(varied)) + 0.1


def test_following_the_gradient_comes_nearer(matching: FeatureMatching) -> None:
    images = noise(8)[:, :, :64, :64] * 0.1
    before = float(matching.distance(images))
    for _ in range(5):
        gradient = matching.gradient(images)
        images = images - 2 * gradient / gradient.norm()
    assert float(matching.distance(images)) < before - 0.05
    assert not images.requires_grad


def test_colour_and_any_size_are_looked_at() -> None:
    colour = plates(20, 3).images.repeat(1, 3, 4, 4)
    matching = FeatureMatching(colour, "both")
    assert matching.gradient(to_float(colour[:4])).shape == (4, 3, 256, 256)


@pytest.mark.parametrize(
    ("flip", "ways"), [("none", [()]), ("horizontal", [(), (3,)]), ("both", [(), (2,), (3,), (2, 3)])]
)
def test_photos_are_seen_in_every_way_in_which_they_are_shown(flip: str, ways: list[tuple[int, ...]]) -> None:
    assert orientations(flip) == ways


def test_no_more_photos_are_looked_at_than_take_seconds(photos: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(depth) for depth in FeatureMatching(photos.images, "vertical")._photos] == [80] * 4
    monkeypatch.setattr("gan.training.matching.LOOKED_AT", 12)
    assert [len(depth) for depth in FeatureMatching(photos.images, "both")._photos] == [12] * 4


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_pull_is_as_strong_as_its_weight_says(
    photos: ImageSet, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig.of("shift", image_size=64, g_width=2, d_width=2, batch_size=4, feature_matching=weight)
    trainer = Trainer(photos.images, config, torch.device("cpu"))
    fake = torch.zeros(4, 1, 64, 64, requires_grad=True)
    towards = torch.zeros_like(fake)
    towards[0, 0, 0, 0] = 1e-6
    pulls = trainer._pulls
    assert pulls is not None
    monkeypatch.setattr(pulls.of_images, "gradient", lambda *given: towards)
    pulls.add(fake, None, None, 1.0)
    fake[1].sum().mul(3).backward()
    assert fake.grad is not None
    assert float(fake.grad[0].norm()) == pytest.approx(weight * float(fake.grad[1].norm()), rel=1e-5)
    assert torch.equal(fake.grad[1], torch.full((1, 64, 64), 3.0))


def test_a_step_without_matching_has_no_pull(photos: ImageSet) -> None:
    sizes = {"image_size": 64, "g_width": 2, "d_width": 2, "batch_size": 4}
    first, second, without = (
        Trainer(photos.images, TrainConfig.of("shift", feature_matching=weight, **sizes), torch.device("cpu"))
        for weight in (1.0, 1.0, 0.0)
    )
    for trainer in (first, second, without):
        trainer.train_step()
    weights = [trainer.g.state_dict()["first.weight"] for trainer in (first, second, without)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.fixture(scope="module")
def by_class() -> tuple[ImageSet, FeatureMatching]:
    """Bright and dark plates, one after the other."""
    photos = plates(40, 1)
    images = photos.images.clone()
    images[1::2] //= 3
    labels = torch.arange(40) % 2
    return ImageSet(images, photos.names), FeatureMatching(images, "horizontal", labels)


def test_images_of_the_right_class_are_nearer_as_far_as_classes_count(
    by_class: tuple[ImageSet, FeatureMatching],
) -> None:
    photos, matching = by_class
    images, labels = to_float(photos.images[:16]), torch.arange(16) % 2
    right, wrong = (float(matching.distance(images, each, 1.0)) for each in (labels, 1 - labels))
    assert right < wrong - 0.1
    assert float(matching.distance(images, labels, 0.0)) == float(matching.distance(images, 1 - labels, 0.0))


def test_classes_that_do_not_count_change_nothing(by_class: tuple[ImageSet, FeatureMatching]) -> None:
    photos, matching = by_class
    images, labels = to_float(photos.images[:16]), torch.arange(16) % 2
    without = FeatureMatching(photos.images, "horizontal")
    torch.testing.assert_close(matching.gradient(images, labels, 0.0), without.gradient(images))


def test_a_class_alone_in_both_is_as_without_classes(photos: ImageSet, matching: FeatureMatching) -> None:
    told, labels = FeatureMatching(photos.images, "none", torch.zeros(40, dtype=torch.int64)), torch.zeros(16).long()
    torch.testing.assert_close(told.distance(fresh(), labels, 1.0), matching.distance(fresh()))
