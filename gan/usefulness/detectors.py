"""Which detectors there are: four that run offline on a processor, and the user's own."""

from __future__ import annotations

from gan.usefulness.detector import Augment, Detector, Judge
from gan.usefulness.fine_tuned import FineTuned
from gan.usefulness.logistic import Logistic
from gan.usefulness.own import OwnDetector
from gan.usefulness.small_cnn import SmallCNN
from gan.usefulness.unet import UNetDetector
from models.errors import CommandError, ExitCode

__all__ = ["DETECTORS", "Augment", "Detector", "Judge", "detector"]

_ALL: tuple[Detector, ...] = (SmallCNN(), Logistic(), FineTuned(), UNetDetector())
DETECTORS = {each.name: each for each in _ALL}
"""By name."""


def detector(name: str) -> Detector:
    """One of `DETECTORS`, or the user's own.

    Args:
        name: of one of them, or `module:function`, see `gan.usefulness.own.OwnDetector`.

    Raises:
        CommandError: 66 no such detector, module or function; 65 the module cannot be imported.
    """
    if name in DETECTORS:
        return DETECTORS[name]
    if not all(name.partition(":")):
        raise CommandError(
            ExitCode.NO_INPUT,
            f"`detector={name}`: neither one of {', '.join(DETECTORS)}, nor your own as module:function",
        )
    return OwnDetector(name)
