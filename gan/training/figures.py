"""What a trained generator's images are like: measured once, kept beside its weights and in every file made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan.evaluation.places import faults, places
from gan.networks.generator import Generator
from gan.networks.pixels import to_float, to_pixels
from gan.training.collapse import ALIKE, diversity
from gan.training.monitor import sample
from models.picks import in_proportion, spread

LOOKED_AT = 500
FIRST_LATENT = 1 << 21
"""Far from the latents of the sample grids, of validation, and from those that a small dataset begins with."""
_BATCH = 50


def figures(generator: Generator, photos: Tensor, seed: int, labels: Sequence[int] = ()) -> dict[str, Any]:
    """Measure a generator beside the photos that it was trained on, as JSON takes it.

    Args:
        generator: in eval mode.
        photos: uint8 `[N, C, H, W]`.
        seed: of the latents.
        labels: of the photos, where they have classes: the images have them in the same proportions.

    Returns:
        `images` and `photos`: how many of each; `diversity`, as a share of the photos'; `places` and `places_real`, see
        `gan.evaluation.places.Places`; and `faults`, in words, for which no detector should be trained with the images.
    """
    images = made(generator, seed, FIRST_LATENT, LOOKED_AT, labels)
    some = photos[spread(len(photos), LOOKED_AT)].cpu()
    mine, theirs = places(images), places(some)
    varied = diversity(to_float(images)) / max(diversity(to_float(some)), 1e-6)
    found = [f"variety: all images look alike ({varied:.2f} of the photos')"] if varied < ALIKE else []
    return {
        "images": len(images),
        "photos": len(some),
        "diversity": round(varied, 4),
        "places": dataclasses.asdict(mine),
        "places_real": dataclasses.asdict(theirs),
        "faults": found + faults(mine, theirs),
    }


def made(generator: Generator, seed: int, first: int, count: int, like: Sequence[int] = ()) -> Tensor:
    """Images of consecutive latents: uint8 `[count, C, H, W]` on the CPU, with labels in the proportions of `like`."""
    labels = in_proportion(like, count) if like else []
    batches: list[Tensor] = []
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        inputs = generator.inputs_at(seed, first + start, first + stop, labels[start:stop])
        batches.append(to_pixels(sample(generator, inputs)))
    return torch.cat(batches).permute(0, 3, 1, 2)
