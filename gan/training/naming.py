"""Generated images that a classifier of the photos calls by their class.

A few photos of a class tell a discriminator little of what makes it one, so that images of a small class show what is
in the photos of larger ones. What a frozen network sees tells classes apart from the first step, by a linear classifier
that is found at once. It asks no more of an image than to be called by its class about as surely as a photo is (the
multi-class hinge loss of Kavalerov, Czaja and Chellappa, "A Multi-Class Hinge Loss for Conditional GANs", WACV 2021, of
a classifier that does not learn): nothing pulls it to one example of its class.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

RIDGE = 0.3
"""Of the classifier, times the mean square of a photo's statistics. Any from 0.01 to 1 names photos as well."""
MARGIN = 1.0
"""How far the score of the class is to be beyond the next one; half of held-out photos reach 1.4."""


class Naming:
    """A classifier of photos by their statistics: regularised least squares, towards scores of 1 and -1.

    Args:
        statistics: float `[N, S]`, of the photos.
        labels: int64 `[N]`.
        classes: that there are; some may have no photo here.
    """

    def __init__(self, statistics: Tensor, labels: Tensor, classes: int) -> None:
        seen = statistics.double()
        middle = seen.mean(dim=0)
        seen = seen - middle
        wanted = 2 * one_hot(labels, classes).double() - 1
        offset = wanted.mean(dim=0)
        kernel = seen @ seen.T
        kernel.diagonal().add_(RIDGE * kernel.diagonal().mean().clamp_min(1e-9))  # photos may all be one
        weights = seen.T @ torch.linalg.solve(kernel, wanted - offset)
        self._weights, self._offset = weights.float(), (offset - middle @ weights).float()
        self._known = one_hot(labels, classes).any(dim=0)

    def shortfall(self, statistics: Tensor, labels: Tensor) -> Tensor:
        """How much the scores of images fall short of `MARGIN`, the mean; 0 of those whose class has no photo.

        Args:
            statistics: float `[N, S]` of images.
            labels: int64 `[N]`, what they should show.
        """
        with torch.autocast(statistics.device.type, enabled=False):  # a score is the difference of far larger numbers
            scores = statistics.float() @ self._weights + self._offset
        own = scores.gather(1, labels[:, None])[:, 0]
        next_one = scores.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
        short: Tensor = (MARGIN - own + next_one).clamp_min(0) * self._known[labels]
        return short.mean()
