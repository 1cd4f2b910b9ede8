"""What a trained generator's images are like: measured once, kept beside its weights and in every file made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan.evaluation.places import faults, places
from gan.networks.generator import Generator
from gan.networks.pixels import to_float, to_masks, to_pixels
from gan.training.collapse import ALIKE, least_share
from gan.training.monitor import sample
from models.info import IMAGES, MASKS
from models.picks import in_proportion, spread

LOOKED_AT = 500
FIRST_LATENT = 1 << 21
"""Far from the latents of the sample grids, of validation, and from those that a small dataset begins with."""
OF_MASKS = "masks:"
"""How a fault of masks begins."""
MOST_EMPTY = 0.3
"""By so much the share of images without a defect may be above the photos'."""
_BATCH = 50


def figures(
    generator: Generator,
    photos: Tensor,
    seed: int,
    labels: Sequence[int] = (),
    names: Sequence[str] = (),
    masks: Tensor | None = None,
) -> dict[str, Any]:
    """Measure a generator beside the photos that it was trained on, as JSON takes it.

    Args:
        generator: in eval mode.
        photos: uint8 `[N, C, H, W]`.
        seed: of the latents.
        labels: of the photos, where they have classes: the images have them in the same proportions.
        names: of these classes.
        masks: of the photos, uint8 `[N, 1, H, W]`, for a generator that makes masks.

    Returns:
        `images` and `photos`: how many of each; `diversity`, as a share of the photos', of the class that has least;
        `places` and `places_real`, see `gan.evaluation.places.Places`; with masks `masks` and `masks_real`, see
        `shares`; and `faults`, in words, for which no detector should be trained with the images.
    """
    images, of_images = made(generator, seed, FIRST_LATENT, LOOKED_AT, labels)
    looked_at = spread(len(photos), LOOKED_AT)
    some, of_some = photos[looked_at].cpu(), [labels[place] for place in looked_at] if labels else []
    mine, theirs = places(images), places(some)
    shown = in_proportion(labels, len(images)) if labels else []
    varied, label = least_share(to_float(images), shown, to_float(some), of_some)
    which = f"all images of {names[label]}" if names else "all images"
    found = [f"variety: {which} look alike ({varied:.2f} of the photos')"] if varied < ALIKE else []
    of_masks, empty = ({}, []) if of_images is None or masks is None else mask_figures(of_images, masks)
    return {
        "images": len(images),
        "photos": len(some),
        "diversity": round(varied, 4),
        "places": dataclasses.asdict(mine),
        "places_real": dataclasses.asdict(theirs),
        **of_masks,
        "faults": found + faults(mine, theirs) + empty,
    }


def mask_figures(made: Tensor, real: Tensor) -> tuple[dict[str, Any], list[str]]:
    """What masks are like beside those of photos, and their faults in words.

    Args:
        made: uint8 `[N, H, W]`.
        real: uint8 `[M, 1, H, W]`.
    """
    mine, theirs = shares(made), shares(real[:, 0])
    empty = mine["empty"] > theirs["empty"] + MOST_EMPTY
    said = [f"{OF_MASKS} {mine['empty']:.0%} of them are empty (of the photos' {theirs['empty']:.0%})"] if empty else []
    return {"masks": mine, "masks_real": theirs}, said


def shares(masks: Tensor) -> dict[str, float]:
    """Of masks uint8 `[N, H, W]`: the share of those that are `empty`, and of pixels that are `defect`."""
    defect = (masks > 0).flatten(1).float().mean(dim=1)
    return {"empty": round(float((defect == 0).float().mean()), 4), "defect": round(float(defect.mean()), 5)}


def made(
    generator: Generator, seed: int, first: int, count: int, like: Sequence[int] = ()
) -> tuple[Tensor, Tensor | None]:
    """What a generator makes of consecutive latents, on the CPU, with labels in the proportions of `like`.

    Returns:
        Images uint8 `[count, C, H, W]`, and their masks uint8 `[count, H, W]` or None.
    """
    labels = in_proportion(like, count) if like else []
    images: list[Tensor] = []
    masks: list[Tensor] = []
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        inputs = generator.inputs_at(seed, first + start, first + stop, labels[start:stop])
        outputs = sample(generator, inputs)
        images.append(to_pixels(outputs[IMAGES]))
        if MASKS in outputs:
            masks.append(to_masks(outputs[MASKS]))
    return torch.cat(images).permute(0, 3, 1, 2), torch.cat(masks) if masks else None
