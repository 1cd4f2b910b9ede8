"""What a comparison is made with unless it is told otherwise; read by the command line, so nothing heavy is here."""

from __future__ import annotations

from pathlib import Path

from models.errors import CommandError, ExitCode

FEATURES = "efficientnet-lite2"
"""The network in whose eyes images are compared."""
MATCHED = "efficientnet-lite0"
"""The one that feature matching trains with."""
LITE = {MATCHED: 224, FEATURES: 260}
"""Networks that are installed along, and the side of the squares at which they were trained; of other images they see
as many pixels, in their proportions."""
INCEPTION = "inception"
"""The network of published FID and KID, in an extra."""
COUNT, COUNTS = 1000, (10, 20_000)
"""How many fakes are looked at, and between which numbers that is."""
IMAGE_SIZE, IMAGE_SIZES = 128, (32, 1024)
"""Pixels of the side of the square at which folders of images are compared, and between which numbers a side is."""
FIT = "crop"
"""How a photo gets the shape of the images where nothing tells how the generator's did."""
STEPS = 1500
"""In which a segmenter learns from the photos."""
OUT = Path("evaluation/quality")
ATTRIBUTES_OUT = Path("evaluation/attributes")
CHANGES = True
"""Whether a detector is asked about changed images, too."""
ROBUSTNESS_OUT = Path("evaluation/robustness")
MODEL = Path("models/generator.onnx")
"""Where the fit of a run of gan-batch is looked up, if that run was made with this file."""


def refuse_features(name: str) -> None:
    """Refuse a feature network that is neither known by its name nor a file.

    Raises:
        CommandError: 66.
    """
    if name not in (*LITE, INCEPTION) and not Path(name).is_file():
        known = f"{', '.join(LITE)} and {INCEPTION}"
        raise CommandError(ExitCode.NO_INPUT, f"`features={name}`: no such file, nor a name: {known} are known")


def refuse_teacher(name: str | None) -> None:
    """Refuse to judge with the network that feature matching trains with.

    Raises:
        CommandError: 2 it is that.
    """
    if name == MATCHED:
        raise CommandError(
            ExitCode.USAGE,
            f"`features={name}` has taught this generator (feature matching), so it cannot judge it: take {FEATURES}",
        )
