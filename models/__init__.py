"""The ground floor: the bundled generator, and what all commands share. Needs NumPy and click only."""

import os
from pathlib import Path

__version__ = "0.1.0"

# ONNX Runtime's telemetry is off before anything can import ONNX Runtime, in this process and in those that it starts:
# it writes below the home folder and asks a name server. A user who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def path() -> Path:
    """The bundled generator of steel-strip scratches, an ONNX file (see MODEL_CARD.md beside it)."""
    return Path(__file__).with_name("steel_scratches_128.onnx")
