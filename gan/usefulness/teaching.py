"""What the detector of one arm learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.usefulness.augmentation import classical
from gan.usefulness.design import Arm
from gan.usefulness.detector import Augment
from gan.usefulness.labelled import Labelled

_PROPORTIONAL = 1.1
"""Times by which classes may be more frequent than they should without being evened out: what rounding does."""


@dataclass(frozen=True)
class Material:
    """All images of an experiment.

    Attributes:
        photos: all real ones.
        class_names: of the labels.
        train, validation, test: places in `photos`.
        groups: of all photos.
        made: generated images: one set for all subsets, or one a subset in the order of budgets and subsets.
        subsets: by budget, places in `photos`.
        good: label of photos without a defect, or None.
    """

    photos: Labelled
    class_names: tuple[str, ...]
    train: Sequence[int]
    validation: Sequence[int]
    test: Sequence[int]
    groups: Sequence[str]
    made: tuple[Labelled, ...]
    subsets: dict[int, list[list[int]]]
    good: int | None

    def made_for(self, budget: int, subset: int) -> Labelled:
        """The generated images of a subset."""
        if len(self.made) == 1:
            return self.made[0]
        before = sum(len(self.subsets[other]) for other in list(self.subsets)[: list(self.subsets).index(budget)])
        return self.made[(before + subset) % len(self.made)]


@dataclass(frozen=True)
class Lesson:
    """What one fit is given.

    Attributes:
        images: to learn from.
        weights: float64 `[N]` or None, see `gan.usefulness.detector.Detector.fit`.
        augment: or None.
    """

    images: Labelled
    weights: Tensor | None = None
    augment: Augment | None = None


def lesson(material: Material, arm: Arm, budget: int, subset: int, seed: int, strength: float, ratio: float) -> Lesson:
    """What the detector of an arm learns from, the same for the same arguments.

    Whatever is added, classes come in the proportions of the photos, or equally often where an arm is balanced.

    Args:
        material: all images.
        arm: which.
        budget, subset: whose photos.
        seed: which extra images are drawn.
        strength: of classical augmentation.
        ratio: extra images a photo, in each class that they show, as far as there are some.
    """
    own = material.subsets[budget][subset]
    photos = material.photos.take(own)
    random = np.random.default_rng([seed, subset, 7])
    extra = _extra(material, arm.extra, budget, subset, photos, ratio, random)
    images = photos if extra is None else photos.joined(extra) if arm.real else extra
    augment = classical(strength) if arm.classical else None
    wanted = torch.bincount(photos.labels, minlength=len(material.class_names)).double()
    return Lesson(images, _weights(images.labels, torch.ones_like(wanted) if arm.balanced else wanted), augment)


def _weights(labels: Tensor, wanted: Tensor) -> Tensor | None:
    """Chances by which classes come in the wanted proportions, float64 `[N]`; None where they do so anyway.

    Where one class has more extra images than another, detectors would else learn that it is more frequent.
    """
    counts = torch.bincount(labels, minlength=len(wanted)).double()
    share = (wanted / counts)[counts > 0]
    if float(share.max()) <= _PROPORTIONAL * float(share.min()):
        return None
    return (wanted / counts.clamp_min(1))[labels]


def _extra(
    material: Material,
    kind: str,
    budget: int,
    subset: int,
    photos: Labelled,
    ratio: float,
    random: np.random.Generator,
) -> Labelled | None:
    """Images beside the photos, or None."""
    if not kind:
        return None
    if kind == "more":
        own = set(material.subsets[budget][subset])
        return _more(material, [place for place in material.train if place not in own], photos, random)
    made = material.made_for(budget, subset)
    rows = drawn(photos.labels.numpy(), made.labels.numpy(), ratio, random)
    if kind == "made":
        return made.take(rows)
    if kind == "shuffled":
        return _shuffled(made.take(rows), len(material.class_names), material.good, random)
    labels = made.labels.numpy()[rows]
    if kind == "duplicated":
        return photos.take(_copies(photos.labels.numpy(), labels, random))
    return _pasted(material, kind, photos, ratio, random)


def drawn(photos: NDArray[np.int64], made: NDArray[np.int64], ratio: float, random: np.random.Generator) -> list[int]:
    """Places of generated images: of each class `ratio` times as many as it has photos, at least one, or all that there
    are.
    """
    found: list[int] = []
    for label in np.unique(made).tolist():
        there = random.permutation(np.flatnonzero(made == label))
        found += there[: _times(ratio, int((photos == label).sum()))].tolist()
    return found


def _times(ratio: float, photos: int) -> int:
    return max(1, round(ratio * photos)) if photos else 0


def _shuffled(found: Labelled, classes: int, good: int | None, random: np.random.Generator) -> Labelled:
    """Each image with label and mask of another; of one class alone any labels, as another order changes nothing.

    Masks go with the labels, as there are detectors that look at nothing else.
    """
    alone = len(np.unique(found.labels.numpy())) == 1
    drawn_labels = random.integers(classes, size=len(found)) if alone else None
    order = random.permutation(len(found))
    labels = found.labels[order] if drawn_labels is None else torch.from_numpy(drawn_labels)
    masks = None if found.masks is None else found.masks[order]
    if masks is not None and alone:
        masks[labels == good] = 0
    return Labelled(found.images, labels, found.names, masks)


def _copies(photos: NDArray[np.int64], labels: NDArray[np.int64], random: np.random.Generator) -> list[int]:
    """Places of photos that show the same classes as `labels`, each as often as the others to within one."""
    found: list[int] = []
    for label in np.unique(labels).tolist():
        there, count = random.permutation(np.flatnonzero(photos == label)), int((labels == label).sum())
        found += np.resize(there, count if len(there) else 0).tolist()
    return found


def _more(material: Material, left: list[int], photos: Labelled, random: np.random.Generator) -> Labelled | None:
    """As many photos again of each class, as far as the budget leaves some over."""
    labels = material.photos.labels.numpy()
    there = random.permutation(np.array(left, np.int64)).tolist()
    found: list[int] = []
    for label in range(len(material.class_names)):
        own = [place for place in there if labels[place] == label]
        found += own[: int((photos.labels == label).sum())]
    return material.photos.take(found) if found else None


def _pasted(
    material: Material, kind: str, photos: Labelled, ratio: float, random: np.random.Generator
) -> Labelled | None:
    """Defects put upon photos without one, or upon those of other classes where each class is a defect."""
    from gan.usefulness.baselines import cutpaste_scar, perlin_defects

    made: Labelled | None = None
    for label in range(len(material.class_names)):
        if label == material.good:
            continue
        wanted = photos.labels != label if material.good is None else photos.labels == material.good
        good = photos.take(torch.nonzero(wanted).flatten())
        count = _times(ratio, int((photos.labels == label).sum()))
        if count == 0 or len(good) == 0:
            continue
        put = cutpaste_scar if kind == "cutpaste" else perlin_defects
        found = put(good, count, int(random.integers(2**31)), label)
        made = found if made is None else made.joined(found)
    return made
