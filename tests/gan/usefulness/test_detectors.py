"""Every detector learns what it is shown, the same with the same seed, and uses what it is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gan.evaluation import features
from gan.evaluation.features import FeatureNetwork
from gan.usefulness import fine_tuned, frozen, logistic
from gan.usefulness.augmentation import classical
from gan.usefulness.detector import Practice
from gan.usefulness.detectors import DETECTORS, Judge, detector
from gan.usefulness.frozen import Frozen
from gan.usefulness.labelled import Labelled
from gan.usefulness.learning import Chance, draws
from models.errors import CommandError, ExitCode
from tests.gan.usefulness.surfaces import accuracy, surfaces

ENOUGH = {"small-cnn": 40, "logistic": 50, "fine-tuned": 8, "unet": 80}
"""Steps in which each learns what a line is."""
EACH = pytest.mark.parametrize("name", ENOUGH)
SEEN, UNSEEN = surfaces(32, 1), surfaces(40, 2)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """The feature network sees few pixels, and one augmented view of each image."""
    caches = logistic._features, fine_tuned._frozen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "_AUGMENTED", 1)
        patch.setattr(fine_tuned, "_SIDE", 48)
        patch.setitem(features.LITE, "efficientnet-lite0", 48)
        for each in caches:
            each.cache_clear()
        yield
    for each in caches:
        each.cache_clear()


def fitted(name: str, train: Labelled = SEEN, classes: int = 2, seed: int = 3, **options: Any) -> Judge:
    options = {"steps": 2, "batch_size": 16, **options}
    return detector(name).fit(train, classes, Practice(seed=seed, **options))


def test_all_are_there() -> None:
    assert {name: each.needs_masks for name, each in DETECTORS.items()} == {
        "small-cnn": False,
        "logistic": False,
        "fine-tuned": False,
        "unet": True,
    }
    assert all(each.steps for each in DETECTORS.values())


@EACH
def test_lines_are_told_from_grain_on_images_not_seen(name: str) -> None:
    judge = fitted(name, steps=ENOUGH[name])
    assert accuracy(judge, UNSEEN) >= 0.8
    likely = judge(UNSEEN.images)
    assert (likely.shape, likely.dtype) == ((40, 2), torch.float32)
    assert torch.allclose(likely.sum(dim=1), torch.ones(40), atol=1e-5)


@EACH
def test_same_seed_gives_the_same_judge_whatever_chance_did_before(name: str) -> None:
    one = fitted(name, augment=classical(1))(UNSEEN.images[:8])
    torch.rand(5)
    assert torch.equal(one, fitted(name, augment=classical(1))(UNSEEN.images[:8]))
    changed = fitted(name, augment=classical(1), seed=4)(UNSEEN.images[:8])
    assert torch.equal(one, changed) == (name == "logistic")  # a convex problem


@EACH
def test_augmentation_is_asked_and_changes_what_is_learned(name: str) -> None:
    asked: list[tuple[int, ...]] = []

    def augment(images: Tensor, random: torch.Generator) -> Tensor:
        asked.append(tuple(images.shape))
        return classical(1)(images, random)

    changed = fitted(name, augment=augment)(UNSEEN.images[:8])
    assert {shape[1] for shape in asked} == {2 if name == "unet" else 1}
    assert not torch.equal(changed, fitted(name)(UNSEEN.images[:8]))


@EACH
def test_image_of_weight_nothing_teaches_nothing(name: str) -> None:
    """What would mislead is never drawn."""
    assert SEEN.masks is not None
    noise = dataclasses.replace(surfaces(32, 9), labels=1 - SEEN.labels, masks=255 - SEEN.masks)
    weights = torch.cat([torch.ones(32), torch.zeros(32)]).double()
    without = fitted(name, SEEN.joined(noise), weights=weights, steps=ENOUGH[name])
    assert accuracy(without, UNSEEN) >= 0.8


@pytest.mark.parametrize("name", ["small-cnn", "logistic", "fine-tuned"])
def test_colour_of_odd_sides_and_three_classes(name: str) -> None:
    judge = fitted(name, surfaces(6, 1, side=45, channels=3), classes=3)
    assert judge(surfaces(4, 2, side=45, channels=3).images).shape == (4, 3)


def test_unet_refuses_what_it_cannot_learn_from() -> None:
    for train, classes, said in ((dataclasses.replace(SEEN, masks=None), 2, "masks"), (SEEN, 3, "two classes")):
        with pytest.raises(CommandError, match=said) as caught:
            fitted("unet", train, classes)
        assert caught.value.exit_code == ExitCode.BAD_DATA


def test_steps_are_honoured_however_many_images_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *more: made.append(1) or step(self, *more))
    for count in (3, 32):
        for name in ("small-cnn", "fine-tuned", "unet"):
            made.clear()
            fitted(name, SEEN.take(range(count)), steps=3, batch_size=4)
            assert len(made) == 3


def test_draws_follow_the_weights_and_equal_ones_show_each_image_once_a_round() -> None:
    random = torch.Generator().manual_seed(0)
    rounds = torch.cat([*draws(10, None, 5, 4, random)])
    assert sorted(rounds[:10].tolist()) == sorted(rounds[10:].tolist()) == [*range(10)]
    labels = torch.tensor([0] * 9 + [1])
    weights = 1 / labels.bincount().double()[labels]
    places = torch.cat([*draws(10, weights, 25, 40, random)])
    assert len(places) == 1000
    assert labels[places].sum() == pytest.approx(500, abs=5)
    assert len(set(places.tolist())) == 10


def test_augmenting_changes_no_order() -> None:
    one, other = Chance.of(5), Chance.of(5)
    torch.rand(9, generator=one.changes)
    assert torch.equal(*(next(draws(20, None, 20, 1, chance.order)) for chance in (one, other)))


def test_features_of_an_image_are_calculated_once_over_all_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def forward(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images.mean(dim=1).flatten(1)

    kept = Frozen(FeatureNetwork("pixels", forward))
    monkeypatch.setattr(logistic, "_features", lambda: kept)
    fitted("logistic")(UNSEEN.images)
    fitted("logistic", SEEN.take([3, 4, 5, 6]).joined(UNSEEN), seed=8)
    assert seen == [1] * (len(SEEN) + len(UNSEEN))
    fitted("logistic", augment=classical(1))
    fitted("logistic", SEEN.take(range(16)), augment=classical(1), seed=9)
    assert len(seen) == 2 * len(SEEN) + len(UNSEEN)
    monkeypatch.setattr(frozen, "_MOST_BYTES", 0)
    assert torch.equal(kept(UNSEEN.images), Frozen(kept._network)(UNSEEN.images))
