"""What the images that are compared show: photos by folders or a table, generated ones by who made them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gan.evaluation.comparison import Sets
from gan.evaluation.runs import labels_of
from gan.photos.find import printable
from gan.photos.labels import Classes
from models.errors import CommandError, ExitCode


def labelled(sets: Sets, classes: Classes, fake: Path) -> Sets:
    """The sets with the labels of all images.

    Args:
        sets: what is compared, the training photos among it.
        classes: those of the photos.
        fake: where the generated images are from.

    Raises:
        CommandError: 65 nothing tells what the generated images show, or it is no class of the photos.
    """
    assert sets.train is not None
    of_maker = sets.fake.class_names
    shown = [of_maker[label] for label in sets.fake.labels] if of_maker else labels_of(fake, sets.fake.names)
    if strange := sorted(set(shown) - set(classes.names)):
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{fake} shows the class {printable(strange[0])}, and the photos have {', '.join(classes.names)}",
        )
    place = {name: label for label, name in enumerate(classes.names)}
    real, train = (
        dataclasses.replace(photos, labels=classes.labels(photos.names), class_names=classes.names)
        for photos in (sets.real, sets.train)
    )
    fakes = dataclasses.replace(sets.fake, labels=tuple(place[name] for name in shown), class_names=classes.names)
    return Sets(real, fakes, train)
