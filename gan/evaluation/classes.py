"""Generated images compared with photos a class at a time, and whether they show what their labels say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.evaluation.fidelity import Classifier, Confusion
from gan.evaluation.metrics import kid, kid_interval, manifold

LEAST = 10
"""Images of a class, of each kind, below which it is not compared."""


@dataclass(frozen=True)
class OfClass:
    """One class. "Floor": what training photos of it score. None where there are fewer than `LEAST` of a kind.

    Attributes:
        name: of the class.
        n_real, n_fake, n_train: photos held out, generated images, and photos trained on.
        kid_x1000, kid_x1000_interval: KID × 1000 of its images, and its 95 % bootstrap interval.
        precision, coverage: of its images among its photos.
        named_right, named_right_real: the share of its images, and of its held-out photos, that a classifier of the
            training photos names so.
    """

    name: str
    n_real: int
    n_fake: int
    n_train: int
    kid_x1000: float | None
    kid_x1000_interval: tuple[float, float] | None
    kid_x1000_floor: float | None
    kid_x1000_floor_interval: tuple[float, float] | None
    precision: float | None
    precision_floor: float | None
    coverage: float | None
    coverage_floor: float | None
    named_right: float | None
    named_right_real: float | None


@dataclass(frozen=True)
class Classwise:
    """All classes.

    Attributes:
        classes: in the order of their labels.
        accuracy, accuracy_real: the mean over classes of the shares that are named right, of the images and of the
            held-out photos.
        confusion, confusion_real: how often images of each class, and photos, were named what.
    """

    classes: tuple[OfClass, ...]
    accuracy: float
    accuracy_real: float
    confusion: Confusion
    confusion_real: Confusion

    @property
    def names(self) -> list[str]:
        """Of the classes."""
        return [each.name for each in self.classes]


@dataclass(frozen=True)
class LabelledFeatures:
    """Features `[N, D]` of images, and their labels."""

    features: Tensor
    labels: Sequence[int]

    def of(self, label: int) -> Tensor:
        """The features of one class."""
        return self.features[torch.tensor(self.labels) == label]


def by_class(
    names: Sequence[str], real: LabelledFeatures, fake: LabelledFeatures, train: LabelledFeatures, seed: int
) -> Classwise:
    """Compare class by class.

    Args:
        names: of the classes, in the order of the labels.
        real: photos that were not trained on.
        fake: generated images.
        train: photos that were trained on: they teach the classifier, and against them photos are compared for the
            floors.
        seed: of the bootstrap.
    """
    classifier = Classifier(train.features, train.labels, len(names))
    confusion, of_real = (
        Confusion.of(images.labels, classifier.named(images.features), len(names)) for images in (fake, real)
    )
    classes = tuple(
        _of_class(name, (real.of(label), fake.of(label), train.of(label)), seed, confusion.right(label),
                  of_real.right(label))
        for label, name in enumerate(names)
    )  # fmt: skip
    return Classwise(classes, confusion.accuracy, of_real.accuracy, confusion, of_real)


def _of_class(
    name: str, features: tuple[Tensor, Tensor, Tensor], seed: int, right: float | None, right_real: float | None
) -> OfClass:
    real, fake, train = features
    distance, interval, precision, coverage = _compared(real, fake, seed)
    floor, floor_interval, precision_floor, coverage_floor = _compared(real, train, seed)
    return OfClass(
        name,
        n_real=len(real),
        n_fake=len(fake),
        n_train=len(train),
        kid_x1000=distance,
        kid_x1000_interval=interval,
        kid_x1000_floor=floor,
        kid_x1000_floor_interval=floor_interval,
        precision=precision,
        precision_floor=precision_floor,
        coverage=coverage,
        coverage_floor=coverage_floor,
        named_right=right,
        named_right_real=right_real,
    )


def _compared(
    real: Tensor, other: Tensor, seed: int
) -> tuple[float | None, tuple[float, float] | None, float | None, float | None]:
    """KID × 1000, its interval, precision and coverage."""
    if min(len(real), len(other)) < LEAST:
        return None, None, None, None
    low, high = kid_interval(real, other, seed=seed)
    among = manifold(real, other)
    return 1000 * kid(real, other), (1000 * low, 1000 * high), among.precision, among.coverage
