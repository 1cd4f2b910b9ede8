"""Whether images show what their labels say, in the eyes of a small classifier that was trained on real photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_DECAY = 1e-3
"""Weight of the squared weights beside the mean loss: some hundred photos have more features than that."""
_LEAST_DEVIATION = 1e-3
_STEPS = 200


class Classifier:
    """Multinomial logistic regression on features of a frozen network, each class with the same weight in all.

    It is a convex problem that begins at 0: the same photos give the same classifier.

    Args:
        features: of photos, `[N, D]`.
        labels: N of them, 0 to `classes - 1`, each there at least once.
        classes: how many there are.
    """

    def __init__(self, features: Tensor, labels: Sequence[int], classes: int) -> None:
        known, target = features.double(), torch.tensor(labels)
        self._mean, self._deviation = known.mean(dim=0), known.std(dim=0).clamp_min(_LEAST_DEVIATION)
        seen = self._seen(known)
        counts = target.bincount(minlength=classes)
        weights = (len(target) / (classes * counts.clamp_min(1))).double()
        self._weights = torch.zeros(seen.shape[1], classes, dtype=torch.float64, requires_grad=True)
        self._offsets = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
        parameters = [self._weights, self._offsets]
        optimiser = torch.optim.LBFGS(parameters, max_iter=_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            wrong = F.cross_entropy(seen @ self._weights + self._offsets, target, weight=weights)
            total = wrong + _DECAY * self._weights.square().sum()
            torch.autograd.backward(total)
            return total

        optimiser.step(loss)  # type: ignore[no-untyped-call]  # PyTorch gives it no types

    @torch.no_grad()
    def named(self, features: Tensor) -> list[int]:
        """The likeliest label of each image, from its features `[N, D]`."""
        logits = self._seen(features.double()) @ self._weights + self._offsets
        found: list[int] = logits.argmax(dim=1).tolist()
        return found

    def _seen(self, features: Tensor) -> Tensor:
        """Of mean 0 and deviation 1, over the root of how many they are, so that their products are of order 1."""
        scaled: Tensor = (features - self._mean) / self._deviation / features.shape[1] ** 0.5
        return scaled


@dataclass(frozen=True)
class Confusion:
    """How often images of each label were named what.

    Attributes:
        counts: a row for each label, a column for each name that was given, both in the order of the labels.
    """

    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: Sequence[int], named: Sequence[int], classes: int) -> Confusion:
        """Of images with labels, and what each was named."""
        counts = torch.zeros(classes, classes, dtype=torch.long)
        for label, name in zip(labels, named, strict=True):
            counts[label, name] += 1
        return cls(tuple(tuple(row) for row in counts.tolist()))

    def right(self, label: int) -> float | None:
        """The share of the images of a label that was named so; None where there are none."""
        total = sum(self.counts[label])
        return self.counts[label][label] / total if total else None

    @property
    def accuracy(self) -> float:
        """The mean of these shares: every class counts alike, however many images it has."""
        shares = [share for label in range(len(self.counts)) if (share := self.right(label)) is not None]
        return sum(shares) / len(shares)
