"""What a proof of use is made with unless it is told otherwise; read by the command line, so nothing heavy is here."""

from __future__ import annotations

from pathlib import Path

from models.errors import ExitCode

OUT = Path("evaluation/usefulness")
DETECTOR = "small-cnn"
DETECTORS = ("small-cnn", "logistic", "fine-tuned", "unet")
METRICS = ("balanced-accuracy", "macro-f1", "average-precision")
SUBSETS, SEEDS, QUICK_SEEDS = 3, 10, 3
STEPS = 300
"""Of a detector that has no usual number."""
BATCH_SIZE = 32
EXIT_WITHOUT_VERDICT = ExitCode.STOPPED
