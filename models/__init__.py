"""The ground floor: the bundled generator, and what all commands share. Needs NumPy and click only."""

from pathlib import Path


def path() -> Path:
    """The bundled generator of steel-strip scratches, an ONNX file (see MODEL_CARD.md beside it)."""
    return Path(__file__).with_name("steel_scratches_128.onnx")
