"""Pictures that show the same, found without a network: by small copies of them, and by what two have in common.

All here is numpy; whoever has pictures makes the small copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Of the copies for `near_duplicates`."""
VIEW = 64
"""Of the copies for `overlapping`."""
SAME_WHOLE = 0.95
"""Correlation of the copies. Alone it takes different tiles under one lamp for the same: of the good magnetic tiles
(Huang et al., 2020) that it joins one pair in six is wrong."""
SAME_DETAIL = 0.7
"""Correlation of what is left without the lighting, asked for as well: then one pair in 25 is wrong, and few groups
grow into the next."""
STRICTER = ((SAME_WHOLE, SAME_DETAIL), (0.98, 0.85), (0.995, 0.95))
"""Where a pair of these joins more than half of the pictures, likeness is how they all look, and the next is taken."""
PEAKS = (18.0, 25.0, 32.0)
"""Height of the phase correlation at the best shift, in its standard deviations; stricter ones as above. Of 235 photos
of scratched steel, 649 of magnetic tiles and 99 of faint scratches cut to 85 % at two places, darkened and stored as
JPEG, 95 % of the pairs reach 18; of pairs that share nothing one in a thousand reaches 15."""
AHEAD = 1000
"""How many followers, in the order given, a picture is compared with for an overlap: 10 ms of a core."""
_COARSE_PEAK = 5.5
"""At half the size, where a look is six times as fast: 98 of 100 pairs that overlap reach it, one other in twenty."""
_ENOUGH = 20
"""Pictures from which on something is said of how they all look."""
_BLUR = 2.0
_ROWS = 256
_TURNS = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))
"""Quarters of a turn, and whether mirrored before; the first leaves a picture as it is."""

Thumbnails = NDArray[np.float32]
Pairs = Callable[[int], Iterable[tuple[int, NDArray[np.int64]]]]


def near_duplicates(thumbnails: Thumbnails) -> list[list[int]]:
    """Groups of pictures that are joined by pairs of which both correlations are high enough.

    Brighter, darker and resized copies are found. A picture without any structure resembles none. Memory grows with
    N, not with its square.

    Args:
        thumbnails: float32 `[N, 32, 32]`.

    Returns:
        The groups of two and more, as ascending indices, in the order of their first.
    """
    ours = looks(thumbnails)

    def pairs(level: int) -> Iterable[tuple[int, NDArray[np.int64]]]:
        for start in range(0, len(thumbnails), _ROWS):
            found = alike(ours[:, start : start + _ROWS], ours[:, start:], STRICTER[level])
            for row, others in enumerate(found, start):
                yield row, start + np.flatnonzero(others)

    return _grouped(len(thumbnails), pairs, len(STRICTER))


def overlapping(views: Thumbnails) -> list[list[int]]:
    """Groups of pictures that are joined by pairs of which a large part shows the same, shifted or not.

    By phase correlation: the grain must agree, so alike scratches at two places are none, and light does not matter.
    What all pictures have in common, such as a frame or a clamp, is taken off before. A picture is compared with the
    `AHEAD` that follow it.

    Args:
        views: float32 `[N, 64, 64]`.

    Returns:
        As `near_duplicates`.
    """
    if len(views) >= _ENOUGH:
        views = views - views.mean(axis=0)
    fine, coarse = _phases(views), _phases(views.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4)))
    heights: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
    for row in range(len(views)):
        end = row + 1 + AHEAD
        others = row + 1 + np.flatnonzero(_peaks(coarse[row], coarse[row + 1 : end], SIDE) >= _COARSE_PEAK)
        heights.append((row, others, _peaks(fine[row], fine[others], VIEW)))

    def pairs(level: int) -> Iterable[tuple[int, NDArray[np.int64]]]:
        return ((row, others[height >= PEAKS[level]]) for row, others, height in heights)

    return _grouped(len(views), pairs, len(PEAKS))


def turned(thumbnails: Thumbnails, views: Thumbnails) -> list[list[int]]:
    """Groups of pictures that are joined by pairs of which one is the other mirrored or turned by right angles.

    Alike in the small is not enough here, as one straight scratch looks like another's mirror image: the grain must
    agree as well, as of `overlapping`.

    Args:
        thumbnails: float32 `[N, 32, 32]`.
        views: float32 `[N, 64, 64]`, of the same pictures.

    Returns:
        As `near_duplicates`.
    """
    ours, phases = looks(thumbnails), _phases(views)
    found: list[list[int]] = []
    for by in _TURNS[1:]:
        theirs = looks(turn(thumbnails, *by))
        for start in range(0, len(thumbnails), _ROWS):
            for row, others in enumerate(alike(ours[:, start : start + _ROWS], theirs), start):
                those = np.flatnonzero(others)
                if len(those):
                    height = _peaks(phases[row], _phases(turn(views[those], *by)), VIEW)
                    found += [[row, other] for other in those[height >= PEAKS[0]].tolist() if other != row]
    return united(len(thumbnails), found)


def united(count: int, groups: Iterable[list[int]]) -> list[list[int]]:
    """Groups of indices below `count` that share one become one."""
    label = np.arange(count)
    for group in groups:
        label[np.isin(label, label[group])] = label[group].min()
    return groups_of(label)


def groups_of(label: NDArray[np.int64]) -> list[list[int]]:
    """Indices with the same label, groups of two and more, in the order of their first."""
    by_label: dict[int, list[int]] = {}
    for index, value in enumerate(label.tolist()):
        by_label.setdefault(value, []).append(index)
    return [group for group in by_label.values() if len(group) > 1]


def turn(thumbnails: Thumbnails, turns: int, mirrored: bool) -> Thumbnails:
    """`[N, S, S]` turned by so many right angles, and mirrored before."""
    images = thumbnails[:, :, ::-1] if mirrored else thumbnails
    return np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2)))


def looks(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """`[2, N, 1024]`: the thumbnails and what is left of them without the lighting, each as in `_unit`."""
    blur = _blur_matrix()
    return np.stack([_unit(thumbnails), _unit((thumbnails - blur @ thumbnails @ blur.T).astype(np.float32))])


def alike(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], least: tuple[float, float] = STRICTER[0]
) -> NDArray[np.bool_]:
    """`[N, M]`: whether both correlations are high enough, of what `looks` gives for N and for M pictures."""
    whole, detail = ours @ theirs.transpose(0, 2, 1)
    both: NDArray[np.bool_] = (whole >= least[0]) & (detail >= least[1])
    return both


def _grouped(count: int, pairs: Pairs, levels: int) -> list[list[int]]:
    """What the pairs of the first level join where that is at most half of all, else those of the next."""
    groups: list[list[int]] = []
    for level in range(levels):
        label = np.arange(count)
        for row, others in pairs(level):
            labels = np.unique(label[others])
            if len(labels) > 1 or (len(labels) == 1 and labels[0] != label[row]):
                label[np.isin(label, np.append(labels, label[row]))] = min(labels[0], label[row])
        groups = groups_of(label)
        if count < _ENOUGH or max(map(len, groups), default=0) <= count / 2:
            break
    return groups


def _phases(views: Thumbnails) -> NDArray[np.complex64]:
    """The spectrum of each picture with all frequencies of one strength, scaled so that noise has height 1."""
    window = np.sqrt(np.hanning(views.shape[1] + 2)[1:-1]).astype(np.float32)
    levelled = views - views.mean(axis=(1, 2), keepdims=True)
    spectrum = np.fft.rfft2(levelled * (window[:, None] * window))
    strength = np.abs(spectrum)
    flat = spectrum / (strength + 1e-3 * strength.max(axis=(1, 2), keepdims=True) + 1e-9)
    energy = np.sqrt((np.fft.irfft2(flat) ** 2).sum(axis=(1, 2), keepdims=True))
    blank = levelled.std(axis=(1, 2), keepdims=True) < 1e-2
    phases: NDArray[np.complex64] = np.where(blank, 0, flat / np.maximum(energy, 1e-9)).astype(np.complex64)
    return phases


def _peaks(one: NDArray[np.complex64], others: NDArray[np.complex64], side: int) -> NDArray[np.float32]:
    """Height of the phase correlation of one picture with each of the others at its best shift."""
    heights = [
        np.fft.irfft2(one * np.conj(others[start : start + _ROWS])).max(axis=(1, 2)) * side
        for start in range(0, len(others), _ROWS)
    ]
    return np.concatenate([*heights, np.zeros(0)]).astype(np.float32)


def _unit(images: Thumbnails) -> NDArray[np.float32]:
    """`[N, 1024]` of mean 0 and length 1, so that a product is a correlation; what has no structure stays 0."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-2)
    return unit


def _blur_matrix() -> NDArray[np.float32]:
    """`[32, 32]`: a Gaussian along one axis, its weights made to add up to 1 at the borders."""
    place = np.arange(SIDE)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * _BLUR**2))
    blur: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return blur
