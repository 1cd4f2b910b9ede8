"""Images that a classifier of the photos calls by another class are drawn to their own, the others are left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.networks.pixels import to_float
from gan.training.matching import FeatureMatching
from gan.training.naming import MARGIN, Naming
from tests.gan.evaluation.conftest import plates


def clouds(count: int, seed: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Statistics of photos, those of a class around one place; far more of them than photos, and none near 0."""
    middles = 2 * torch.randn(classes, 200, generator=torch.Generator().manual_seed(9)) + 50
    labels = torch.arange(count) % classes
    return middles[labels] + torch.randn(count, 200, generator=torch.Generator().manual_seed(seed)), labels


def test_photos_are_called_by_their_class_and_such_images_lack_nothing() -> None:
    naming = Naming(*clouds(30, 1), 3)
    statistics, labels = clouds(60, 2)
    assert float(naming.shortfall(statistics, labels)) < 0.05
    assert float(naming.shortfall(statistics, (labels + 1) % 3)) > MARGIN
    between = statistics.mean(dim=0).expand(60, -1)
    assert float(naming.shortfall(between, labels)) == pytest.approx(MARGIN, abs=0.2)


def test_what_lacks_something_is_drawn_to_its_class_and_no_further() -> None:
    naming = Naming(*clouds(30, 1), 3)
    statistics, labels = clouds(60, 2)
    seen = statistics.mean(dim=0).repeat(60, 1).requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(naming.shortfall(seen, labels), seen)
        seen = (seen - 100 * gradient).detach().requires_grad_()
    assert naming.shortfall(seen, labels).item() < 0.1
    (gradient,) = torch.autograd.grad(naming.shortfall(seen, labels), seen)
    alone = [naming.shortfall(one[None], label[None]) for one, label in zip(seen, labels, strict=True)]
    done = torch.stack(alone) == 0
    assert bool(done.any())
    assert not gradient[done].any()


def test_of_a_class_without_photos_nothing_is_asked() -> None:
    statistics, labels = clouds(30, 1)
    naming = Naming(statistics, labels, 5)
    assert float(naming.shortfall(statistics, torch.full((30,), 4))) == 0
    assert float(naming.shortfall(statistics, torch.zeros(30, dtype=torch.int64))) > 0


def test_photos_that_are_all_one_and_one_class_alone_lack_nothing_that_cannot_be_had() -> None:
    statistics = torch.ones(8, 20)
    same = Naming(statistics, torch.arange(8) % 2, 2)
    assert float(same.shortfall(statistics, torch.arange(8) % 2)) == pytest.approx(MARGIN)
    assert float(Naming(statistics, torch.zeros(8).long(), 1).shortfall(statistics, torch.zeros(8).long())) == 0


def test_the_precision_of_a_step_does_not_blur_scores() -> None:
    naming = Naming(*clouds(30, 1), 3)
    statistics, labels = clouds(60, 2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = naming.shortfall(statistics, (labels + 1) % 3)
    assert torch.equal(inside, naming.shortfall(statistics, (labels + 1) % 3))


def test_feature_matching_asks_for_the_name_as_far_as_classes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = plates(40, 1).images.clone()
    photos[1::2] //= 3
    labels = torch.arange(40) % 2
    matching = FeatureMatching(photos, "none", labels)
    images, wrong = to_float(photos[:16]), 1 - labels[:16]
    with_names = [float(matching.distance(images, wrong, strength)) for strength in (0.0, 0.5, 1.0)]
    monkeypatch.setattr("gan.training.matching.NAMED", 0.0)
    without = [float(matching.distance(images, wrong, strength)) for strength in (0.0, 0.5, 1.0)]
    asked = [one - other for one, other in zip(with_names, without, strict=True)]
    assert asked[0] == 0
    assert asked[2] == pytest.approx(2 * asked[1], rel=1e-3)
    assert asked[2] > 0.3
