"""The main directions of a generator's content: what to put on sliders.

Many images are made, what they look like is brought down to its principal components, and these are regressed on the
latents (Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020, section 3.2; together a
reduced-rank regression: Izenman, Journal of Multivariate Analysis 1975). The network is asked for images only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.latents import LABEL, LATENT, Input, inputs

SLIDERS = 8
SEED = 0
FITTED, JUDGED = 384, 128
"""Images by which directions are found, and others by which they are named."""
_BATCH = 32
_CELLS = 8
"""Squares of the image along each side in which brightness and roughness are looked at: grain must not count."""
_KEPT = 32
"""Principal components: the others are noise."""
_GROUP = 64
"""Images that share all but their content, and are compared with each other: what else differs would hide it."""
_FITS = 0.4
"""Correlation from which on a direction has the name of a property."""
PROPERTIES = ("Brightness", "Contrast", "Lighter right", "Lighter below", "Roughness")

Pixels = Callable[[dict[str, NDArray[Any]]], NDArray[np.uint8]]
"""Inputs of N images to their `pixels`, uint8 `[N, H, W, C]`."""


@dataclass(frozen=True)
class Direction:
    """A direction among the content latents.

    Attributes:
        name: the property that an image's place along it goes with, or `Direction` and a number.
        values: float32 `[content]`, of length 1, at a right angle to the other directions.
        fits: correlation with that property over images that had no say in finding it; 0 where it is only numbered.
    """

    name: str
    values: NDArray[np.float32]
    fits: float


def main_directions(
    pixels: Pixels,
    needed: dict[str, Input],
    content: slice,
    count: int = SLIDERS,
    made: Callable[[int], object] | None = None,
) -> list[Direction]:
    """The directions of the content that change images most, the most first; equal runs on one machine find equal ones.

    Args:
        pixels: makes images of inputs.
        needed: the generator's inputs.
        content: where in `z` the content lies.
        count: how many at most.
        made: called with the number of images made since.
    """
    drawn = _drawn(needed, content)
    seen, properties = [], []
    for start in range(0, FITTED + JUDGED, _BATCH):
        images = pixels({name: values[start : start + _BATCH] for name, values in drawn.items()})
        seen.append(_look(images))
        properties.append(_properties(images))
        if made:
            made(len(images))
    looks, told = _within_groups(np.concatenate(seen)), _within_groups(np.concatenate(properties))
    latents = _within_groups(drawn[LATENT][:, content].astype(np.float64))
    found = _regressed(looks[:FITTED], latents[:FITTED], count)
    places, judged = latents[FITTED:] @ found.T, told[FITTED:]
    fits = np.array([[_correlation(place, of) for of in judged.T] for place in places.T])
    return _named(found, fits)


def _drawn(needed: dict[str, Input], content: slice) -> dict[str, NDArray[Any]]:
    """Inputs of the images, alike within a group but for their content."""
    plain = inputs(SEED, 0, FITTED + JUDGED, needed)
    firsts = np.arange(FITTED + JUDGED) // _GROUP * _GROUP
    drawn = {name: values[firsts] for name, values in plain.items()}
    if LABEL in drawn:
        drawn[LABEL] = firsts // _GROUP % needed[LABEL].high
    drawn[LATENT][:, content] = plain[LATENT][:, content]
    return drawn


def _within_groups(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values `[N, F]` without the mean of their group."""
    grouped = values.reshape(-1, _GROUP, values.shape[1])
    centred: NDArray[np.float64] = (grouped - grouped.mean(axis=1, keepdims=True)).reshape(values.shape)
    return centred


def _regressed(looks: NDArray[np.float64], latents: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Orthonormal directions `[count, content]` of latents `[N, content]`, by looks `[N, F]`."""
    left, strengths, _ = np.linalg.svd(looks, full_matrices=False)
    scores = left[:, :_KEPT] * strengths[:_KEPT]
    slopes, *_ = np.linalg.lstsq(latents, scores, rcond=None)
    directions, strengths, _ = np.linalg.svd(slopes, full_matrices=False)
    found: NDArray[np.float64] = directions[:, : min(count, int((strengths > 1e-9).sum()))].T
    return found


def _look(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How bright, in each channel, and how rough an image is in each of its cells: `[N, F]`, each kind as weighty."""
    count, channels = len(pixels), pixels.shape[3]
    bright = np.empty((count, _CELLS, _CELLS, channels))
    rough = np.empty((count, _CELLS, _CELLS))
    for row, rows in enumerate(np.array_split(pixels.astype(np.float64), _CELLS, axis=1)):
        for column, cell in enumerate(np.array_split(rows, _CELLS, axis=2)):
            bright[:, row, column] = cell.mean(axis=(1, 2))
            rough[:, row, column] = cell.mean(axis=3).std(axis=(1, 2))
    return np.concatenate([bright.reshape(count, -1) / np.sqrt(channels), rough.reshape(count, -1)], axis=1)


def _properties(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What of an image has a name, `[N, 5]`, in the order of `PROPERTIES`."""
    gray = pixels.astype(np.float64).mean(axis=3)
    height, width = gray.shape[1:]
    bright, contrast = gray.mean(axis=(1, 2)), gray.std(axis=(1, 2))
    right = gray[:, :, width // 2 :].mean(axis=(1, 2)) - gray[:, :, : width // 2].mean(axis=(1, 2))
    below = gray[:, height // 2 :].mean(axis=(1, 2)) - gray[:, : height // 2].mean(axis=(1, 2))
    steps = [np.abs(np.diff(gray, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    return np.stack([bright, contrast, right, below, steps[0] + steps[1]], axis=1)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0


def _named(found: NDArray[np.float64], fits: NDArray[np.float64]) -> list[Direction]:
    """Each property names the one direction that it goes with best, if it does; directions point to more of it."""
    names: dict[int, int] = {}
    free = np.abs(fits)
    while free.size and free.max() >= _FITS:
        direction, of = np.unravel_index(int(free.argmax()), free.shape)
        names[int(direction)] = int(of)
        free[direction], free[:, of] = 0, 0
    directions = []
    for number, values in enumerate(found):
        fit = float(fits[number, names[number]]) if number in names else 0.0
        largest = values[int(np.abs(values).argmax())]
        sign = np.sign(fit or largest)
        name = PROPERTIES[names[number]] if number in names else f"Direction {number + 1}"
        directions.append(Direction(name, (sign * values).astype(np.float32), abs(fit)))
    return directions
