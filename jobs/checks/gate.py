"""The limits of the quality gate; read by the command line, so nothing heavy is here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """Limits. What is beyond a limit is a fault; a run, and each class in it, may have a small share of each fault.

    Attributes:
        mode: `fail`, `warn` or `off`: what a run beyond the shares means.
        min_contrast: standard deviation of an image's pixels, in gray values, under which it counts as blank.
        max_clipped: share of an image's pixels that may be 0 or 255; above it counts as saturated.
        near_duplicate: correlation of two images from which they count as near duplicates.
        max_faulty: share of images that may be constant, blank, saturated, exact duplicates, each by itself.
        max_near_duplicates: share of a sample of 512 images that may have a near duplicate in it; where there are more
            than four classes the sample of each is smaller, of 64 images at least.
    """

    mode: str = "fail"
    min_contrast: float = 1.0
    max_clipped: float = 0.5
    near_duplicate: float = 0.995
    max_faulty: float = 0.01
    max_near_duplicates: float = 0.1
