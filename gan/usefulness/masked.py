"""What a detector that learns from masks needs: masks, two classes, and masks that agree with the classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gan.photos.find import printable
from gan.photos.which import Which
from gan.usefulness.detector import Detector
from gan.usefulness.labelled import Labelled
from models.errors import CommandError, ExitCode


def refuse_unfit(chosen: Detector, asked: str, which: Which, classes: Sequence[str], good: str | None) -> None:
    """Refuse, before any image is read, what such a detector cannot learn from.

    Args:
        chosen: the detector; nothing is refused for one that needs no masks.
        asked: what it was called.
        which: what is told of the photos.
        classes: of the photos.
        good: the class without a defect, or None.

    Raises:
        CommandError: 2 no masks, or no class is known to be without a defect; 65 other than two classes.
    """
    if not chosen.needs_masks:
        return
    if which.masks is None:
        raise CommandError(
            ExitCode.USAGE, f"`detector={asked}` learns from masks: give `masks`, and a run of a generator with masks"
        )
    told = ", ".join(map(printable, classes))
    if len(classes) != 2:
        raise CommandError(
            ExitCode.BAD_DATA, f"`detector={asked}` tells two classes, good and defect, and there are {told}"
        )
    if good is None:
        raise CommandError(
            ExitCode.USAGE,
            f"`detector={asked}` has to know which of {told} is without a defect: `good_class` names it",
        )


def disagreements(of: Labelled, classes: Sequence[str], place: str) -> list[str]:
    """What masks say otherwise than classes, of which the first is without a defect; a sentence a class.

    Raises:
        CommandError: 65 there are no masks, or those of a class say it of most of its images.
    """
    if of.masks is None:
        raise CommandError(
            ExitCode.BAD_DATA, f"the images in {place} have no masks, and the detector learns from them: it needs a "
            "run of a generator with masks"
        )  # fmt: skip
    shown = of.masks.flatten(1).amax(dim=1) > 0
    found = []
    for label, name in enumerate(classes):
        own = of.labels == label
        wrong = own & (shown if label == 0 else ~shown)
        if not wrong.any():
            continue
        first = of.names[int(torch.nonzero(wrong)[0])]
        what = "a defect" if label == 0 else "no defect"
        said = (
            f"the masks of {int(wrong.sum())} of {int(own.sum())} images of the class {printable(name)} in {place} "
            f"show {what}, such as that of {printable(first)}"
        )
        if 2 * int(wrong.sum()) > int(own.sum()):
            hint = "is `good_class` another?" if label == 0 else "their masks are missing, or of other images"
            raise CommandError(ExitCode.BAD_DATA, f"{said}: {hint}")
        found.append(f"{said}; the detector learns what the mask shows")
    return found
