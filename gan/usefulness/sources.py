"""Photos and generated images, read to one shape, with their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import models
from gan import sizes
from gan.evaluation import defaults
from gan.evaluation.generators import TrainedGenerator
from gan.evaluation.images import read_made
from gan.evaluation.refusals import CommonShape
from gan.evaluation.runs import file_sha256, labels_of, model_sha256
from gan.photos.find import printable
from gan.photos.fit import FITS
from gan.photos.labels import classes_in
from gan.photos.masks import Masks, masks_for
from gan.photos.read import ImageSet, load_images, to_picture
from gan.photos.traces import Traces, trace_of_image, traces
from gan.photos.which import Which
from gan.usefulness.labelled import Labelled
from models.errors import CommandError, ExitCode

MOST_MADE = 20_000
"""Generated images that are read of a run, evenly spaced."""
_GOOD = ("good", "ok", "normal", "no_defect", "defect_free", "none")
"""What the class of photos without a defect is called."""


@dataclass(frozen=True)
class Photos:
    """The real photos.

    Attributes:
        labelled: all of them.
        class_names: in the order of the labels.
        traces: of them, in their order.
    """

    labelled: Labelled
    class_names: tuple[str, ...]
    traces: Traces

    @property
    def class_of(self) -> dict[str, str]:
        """Name of a photo to that of its class."""
        labels = self.labelled.labels.tolist()
        return {name: self.class_names[label] for name, label in zip(self.labelled.names, labels, strict=True)}


@dataclass(frozen=True)
class Generated:
    """Generated images.

    Attributes:
        place: the run or folder.
        images: as uint8, with the names of their classes.
        labels: the name of each one's class.
        generator: the file that made them, where it is known.
    """

    place: Path
    images: ImageSet
    labels: tuple[str, ...]
    generator: TrainedGenerator | None

    @property
    def trained_on(self) -> Traces | None:
        """What the generator's file says of it."""
        return None if self.generator is None else self.generator.trained_on

    def labelled(self, class_names: Sequence[str]) -> Labelled:
        """With labels as those of the photos.

        Raises:
            CommandError: 65 a class that the photos do not have.
        """
        if strange := sorted({*self.labels} - {*class_names}):
            raise CommandError(
                ExitCode.BAD_DATA,
                f"{self.place} has images of the class {printable(strange[0])}, and the photos have only "
                f"{', '.join(map(printable, class_names))}",
            )
        place = {name: label for label, name in enumerate(class_names)}
        masks = None if self.images.masks is None else self.images.masks[:, 0]
        labels = torch.tensor([place[name] for name in self.labels], dtype=torch.int64)
        return Labelled(self.images.images, labels, tuple(self.images.names), masks)

    def looks(self) -> Traces:
        """Of the images themselves."""
        pairs = zip(self.images.names, self.images.images, strict=True)
        return traces(trace_of_image(name, to_picture(image)) for name, image in pairs)


def read_synthetic(
    place: Path, model: Path | None, class_name: str | None, classes: Sequence[str], count: int, shape: CommonShape
) -> tuple[Generated, CommonShape]:
    """The images of a run or folder, and the shape that is now known; `classes` are those of the photos.

    Raises:
        CommandError: 2 `model` did not make them, or they show another class than `class_name`; 65 unusable images, or
            nothing tells their classes; 66 none there.
    """
    generator = _maker(place, model)
    fit = shape.fit or (generator.fit if generator is not None and generator.fit in FITS else defaults.FIT)
    images, _ = read_made(place, min(count, MOST_MADE), shape.channels, shape.image_size, fit)
    labels = _labels(place, images.names, class_name, classes)
    _, channels, height, width = images.images.shape
    known = CommonShape(int(channels), sizes.told(width, height), fit)
    return Generated(place, images, labels, generator), known


def _labels(place: Path, names: Sequence[str], class_name: str | None, classes: Sequence[str]) -> tuple[str, ...]:
    """The class of each image. A run may call its class otherwise than the photos do, but not by another of theirs."""
    try:
        told = labels_of(place, names)
    except CommandError as error:
        if class_name is None:
            raise CommandError(error.exit_code, f"{error}; `class_name` says it of all images") from None
        return (class_name,) * len(names)
    if class_name is None:
        return tuple(told)
    for name, label in zip(names, told, strict=True):
        if label in classes and label != class_name:
            raise CommandError(
                ExitCode.USAGE, f"`class_name={class_name}`, and {place / name} shows {printable(label)}: leave "
                "`class_name` out"
            )  # fmt: skip
    return (class_name,) * len(names)


def read_photos(
    real: Path,
    which: Which,
    shape: CommonShape,
    good: str | None = None,
) -> Photos:
    """The real photos with their classes, of which `good`, those without a defect, come first.

    Raises:
        CommandError: 65, 66 as of `load_images`, `classes_in` and `masks_for`.
    """
    fitting: Masks | None = None
    if which.masks is not None:
        fitting = masks_for([real], which.masks, which.missing_masks, which.skip_bad_files, which.only, which.without)
    within = None if fitting is None else fitting.pairing.within
    known = classes_in(real, None, which.labels, which.only, which.without, within)
    assert shape.channels is not None
    assert shape.image_size is not None
    assert shape.fit is not None
    images = load_images(
        real, shape.channels, shape.image_size, which.skip_bad_files, fit=shape.fit, only=which.only,
        without=which.without, masks=fitting, classed=True, blind=True,
    )  # fmt: skip
    assert images.traces is not None
    found = None if images.masks is None else images.masks[:, 0]
    names = tuple(sorted(known.names, key=lambda name: name != good))
    told = torch.tensor([names.index(known.class_of[photo]) for photo in images.names], dtype=torch.int64)
    return Photos(Labelled(images.images, told, tuple(images.names), found), names, images.traces)


def find_good(names: Sequence[str], asked: str | None) -> str | None:
    """The class of photos without a defect: that which was named, else one that is called so; or None.

    Raises:
        CommandError: 2 there is no class of that name.
    """
    if asked is not None and asked not in names:
        raise CommandError(ExitCode.USAGE, f"`good_class={asked}` is none of {', '.join(map(printable, names))}")
    return asked or next((name for name in names if name.lower().replace("-", "_") in _GOOD), None)


def _maker(place: Path, model: Path | None) -> TrainedGenerator | None:
    """The generator that made a run; of a bare folder the one that is named, if any.

    Raises:
        CommandError: 2 it did not make the run.
    """
    made_by = model_sha256(place)
    if model is not None:
        found = TrainedGenerator.open(model)
        if made_by and file_sha256(model) != made_by:
            raise CommandError(
                ExitCode.USAGE, f"`model={model}` did not make {place}, whose run.json names the sha256 {made_by[:12]}…"
            )
        return found
    known = (path for path in (defaults.MODEL, models.path()) if made_by and file_sha256(path) == made_by)
    path = next(known, None)
    return None if path is None else TrainedGenerator.open(path)
