"""What the generators of `gan.networks` can do, known without PyTorch: options are checked before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """What those of one architecture can do.

    Attributes:
        labels: be told what to show.
        masks: make a mask with each image.
        any_sides: have any sides of `gan.sizes.SIDES`, not those of `gan.config.IMAGE_SIZES` as squares alone.
        turns: turn over what they draw.
    """

    labels: bool = False
    masks: bool = False
    any_sides: bool = False
    turns: bool = False


ABILITIES = {"dcgan": Abilities(), "shift": Abilities(labels=True, masks=True, any_sides=True, turns=True)}
"""By the names in `gan.networks.architectures.ARCHITECTURES`; others can do none of it."""
