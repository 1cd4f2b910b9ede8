"""Logistic regression on what a network that knows everyday photos sees: strong where there are few images."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan.evaluation.features import load_features
from gan.usefulness.detector import Judge, Practice
from gan.usefulness.frozen import Frozen, views
from gan.usefulness.labelled import Labelled

_NETWORK = "efficientnet-lite0"
_DECAY = 1e-2
"""Of squared weights, beside the mean loss of an image."""


class Logistic:
    """Multinomial logistic regression, ridge-penalised (Hastie et al., "The Elements of Statistical Learning", 4.4).

    The problem is convex and chance has no part in it, so the seed changes nothing: instead of being drawn, an image
    counts as often as it would be. Augmented images are a few fixed views of each.
    """

    name, needs_masks, steps = "logistic", False, 100

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """As of `gan.usefulness.detector.Detector`; `steps` bounds the iterations of L-BFGS, which see all images."""
        features = _features()
        seen = features(views(train.images, practice.augment) if practice.augment else train.images).double()
        copies = len(seen) // len(train)
        counts = torch.ones(len(train), dtype=torch.float64) if practice.weights is None else practice.weights.double()
        counts, labels = (counts / counts.sum() / copies).repeat(copies), train.labels.repeat(copies)
        mean = (counts[:, None] * seen).sum(dim=0)
        deviation = (counts[:, None] * (seen - mean).square()).sum(dim=0).sqrt().mean().clamp_min(1e-6)
        weight, bias = _fitted((seen - mean) / deviation, labels, counts, classes, practice.steps)

        def judge(images: Tensor) -> Tensor:
            logits = (features(images).double() - mean) / deviation @ weight + bias
            return logits.softmax(dim=1).float()

        return judge


@functools.cache
def _features() -> Frozen:
    return Frozen(load_features(_NETWORK))


def _fitted(seen: Tensor, labels: Tensor, counts: Tensor, classes: int, steps: int) -> tuple[Tensor, Tensor]:
    """Weights float64 `[D, classes]` and biases `[classes]`, for features `[N, D]` of which each has its share."""
    weight = torch.zeros(seen.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=steps, max_eval=25 * steps, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        losses = cross_entropy(seen @ weight + bias, labels, reduction="none")
        total = (counts * losses).sum() + _DECAY / 2 * weight.square().sum()
        torch.autograd.backward(total)
        return float(total.detach())

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # PyTorch gives it no types
    return weight.detach(), bias.detach()
