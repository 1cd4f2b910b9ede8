"""Colours by three axes: how bright a pixel is, and two of how its colour differs from gray.

Surfaces are mostly of one colour, lit more or less: their red, green and blue rise and fall together, and how they
differ is faint. What draws each by itself draws tints and coloured grain that no photo has, and what looks at each by
itself hardly sees them. The axes are those of Ohta et al., "Color Information for Region Segmentation", Computer
Graphics and Image Processing 1980, section 4, made orthonormal.
"""

from __future__ import annotations

import torch
from torch import Tensor

_AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))
"""Bright to dark, red to blue, green to purple."""
FAINT = 0.25
"""How much of a colour is drawn to begin with, beside how bright it is, and seen beside it."""


def axes(channels: int) -> Tensor:
    """Float `[channels, channels]`: a row for each axis, of length 1. Gray is its own."""
    if channels != len(_AXES):
        return torch.eye(channels)
    return torch.nn.functional.normalize(torch.tensor(_AXES))


def weights(channels: int) -> Tensor:
    """How much each axis counts beside the first, `[channels]`."""
    return torch.tensor([1.0] + [FAINT] * (channels - 1))
