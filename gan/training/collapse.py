"""Collapse, noticed while it happens: the discriminator has won, or all samples look alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

WON = 0.02
"""D(G(z)), and how far D(x) is from its target, or a hinge loss: a discriminator that tells all apart."""
WON_ROWS = 4
"""Rows of statistics in a row: one lucky batch is no collapse."""
ALIKE = 0.1
"""Diversity, as a share of the photos', under which samples are all the same picture."""
ALIKE_GRIDS = 3
FIRST_KIMG = 10.0
"""Before this a healthy generator, too, may still give even gray."""
REMEDY = (
    "try `recipe=shift`; with it, more photos, a higher `r1_gamma` or another `seed`; "
    "docs/training.md, When training collapses"
)


def diversity(images: Tensor) -> float:
    """How much images differ from each other: the standard deviation over the images, averaged over 8×8 cells.

    Noise that differs from image to image averages out in a cell; where the marks are does not.

    Args:
        images: float `[N, C, H, W]`, N ≥ 2.
    """
    return float(adaptive_avg_pool2d(images.float(), 8).std(dim=0).mean())


def least_share(images: Tensor, labels: Sequence[int], photos: Tensor, of_photos: Sequence[int]) -> tuple[float, int]:
    """The diversity of images as a share of the photos': that of the class with the smallest, and its label.

    Classes differ from each other even where all images of each are one: conditional generators collapse like that.

    Args:
        images, photos: float `[N, C, H, W]`.
        labels, of_photos: theirs, or nothing where they have none: then it is of all, and the label is 0.
    """
    ours, theirs = _by_label(labels, len(images)), _by_label(of_photos, len(photos))
    found = [
        (diversity(images[ours[label]]) / max(diversity(photos[theirs[label]]), 1e-6), label)
        for label in ours.keys() & theirs.keys()
    ]
    return min(found, default=(1.0, 0))


def _by_label(labels: Sequence[int], count: int) -> dict[int, list[int]]:
    """Places of the images of each label that has two at least."""
    if not labels:
        return {0: list(range(count))}
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return {label: found for label, found in places.items() if len(found) > 1}


class CollapseWatch:
    """Looks at every row of statistics; says in one sentence what has happened, once.

    Args:
        photos: float `[N, C, H, W]`, some of the training images: the diversity to be reached.
        label_smoothing: how far from 1 the discriminator's target for photos is.
        rows: those of the run that is resumed; what they showed counts, and is said again.
        bounded: whether the discriminator's loss pushes no further than a margin: then 0 is as won as certainty.
        labels: of these photos, where they have classes.
    """

    def __init__(
        self,
        photos: Tensor,
        label_smoothing: float = 0.0,
        rows: Sequence[Mapping[str, float]] = (),
        bounded: bool = False,
        labels: Sequence[int] = (),
    ) -> None:
        self._photos, self._labels = photos, labels
        self._target, self._bounded = 1 - label_smoothing, bounded
        self._won: list[float] = []  # kimg of the latest rows in a row in which it has
        self._alike: list[float] = []  # and of the latest sample grids that look alike
        self._said = False
        for row in rows:
            self._count(row)

    def share(self, samples: Tensor, labels: Sequence[int] = ()) -> float:
        """The diversity of generated images, float `[N, C, H, W]`, as a share of the photos': see `least_share`."""
        return least_share(samples, labels, self._photos, self._labels)[0]

    def look(self, row: Mapping[str, float]) -> str:
        """What is wrong, or nothing.

        A row has `D(x)` and `D(G(z)) before` (the losses may hold more than what tells photos from fakes), `Loss_D`,
        `Loss_G`, `kimg`, and `diversity` where samples were made.
        """
        self._count(row)
        if self._said:
            return ""
        if len(self._won) >= WON_ROWS:
            self._said = True
            return (
                f"the discriminator has won (D(x) {row['D(x)']:.3f}, D(G(z)) {row['D(G(z)) before']:.3f}, Loss_G "
                f"{row['Loss_G']:.1f}): the generator learns nothing more; {REMEDY}"
            )
        if len(self._alike) >= ALIKE_GRIDS:
            self._said = True
            which = "all samples of a class" if self._labels else "all samples"
            return f"{which} look alike (diversity under {ALIKE} of the photos'): {REMEDY}"
        return ""

    @property
    def collapsed_at(self) -> float | None:
        """Thousands of images after which the collapse began that still lasts; None where there is none."""
        lasting = [
            rows[0] for rows, enough in ((self._won, WON_ROWS), (self._alike, ALIKE_GRIDS)) if len(rows) >= enough
        ]
        return min(lasting, default=None)

    def _count(self, row: Mapping[str, float]) -> None:
        won = row["D(x)"] > (1 - WON) * self._target and row["D(G(z)) before"] < WON
        won = won or (self._bounded and row["Loss_D"] < WON)
        self._won = [*self._won, row["kimg"]] if won else []
        share = row.get("diversity", math.nan)
        if share < ALIKE and row["kimg"] >= FIRST_KIMG:
            self._alike.append(row["kimg"])
        elif share >= ALIKE:
            self._alike = []
