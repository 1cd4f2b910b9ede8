"""From which probability on a photo counts as one with a defect."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""Where nothing else is asked for."""


def threshold_of(
    clean: NDArray[np.float64], threshold: float | None = None, false_alarms: float | None = None
) -> tuple[float, str]:
    """The threshold, and in words where it comes from.

    Args:
        clean: scores `[N]` of photos without a defect.
        threshold: as asked; None: `THRESHOLD`, or by `false_alarms`.
        false_alarms: the share of `clean` that may reach the threshold, at most: it is the lowest that lets no more.
    """
    if false_alarms is None:
        return (THRESHOLD, "the usual one") if threshold is None else (threshold, "as asked")
    allowed = math.floor(false_alarms * len(clean) + 1e-9)
    said = f"at most {100 * false_alarms:g} % false alarms among {len(clean)} photos without a defect"
    if allowed >= len(clean):
        return 0.0, said
    # Just above the highest score that must not be an alarm.
    return float(np.nextafter(np.sort(clean)[::-1][allowed], math.inf)), said
