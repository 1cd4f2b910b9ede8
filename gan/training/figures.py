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
from gan.training.collapse import ALIKE, least_share
from gan.training.monitor import sample
from models.picks import in_proportion, spread

LOOKED_AT = 500
FIRST_LATENT = 1 << 21
"""Far from the latents of the sample grids, of validation, and from those that a small dataset begins with."""
_BATCH = 50


def figures(
    generator: Generator, photos: Tensor, seed: int, labels: Sequence[int] = (), names: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure a generator beside the photos that it was trained on, as JSON takes it.

    Args:
        generator: in eval mode.
        photos: uint8 `[N, C, H, W]`.
        seed: of the latents.
        labels: of the photos, where they have classes: the images have them in the same proportions.
        names: of these classes.

    Returns:
        `images` and `photos`: how many of each; `diversity`, as a share of the photos', of the class that has least;
        `places` and `places_real`, see
        `gan.evaluation.places.Places`; and `faults`, in words, for which no detector should be trained with the images.
    """
    images = made(generator, seed, FIRST_LATENT, LOOKED_AT, labels)
    looked_at = spread(len(photos), LOOKED_AT)
    some, of_some = photos[looked_at].cpu(), [labels[place] for place in looked_at] if labels else []
    mine, theirs = places(images), places(some)
    shown = in_proportion(labels, len(images)) if labels else []
    varied, label = least_share(to_float(images), shown, to_float(some), of_some)
    which = f"all images of {names[label]}" if names else "all images"
    found = [f"variety: {which} look alike ({varied:.2f} of the photos')"] if varied < ALIKE else []
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
