"""Do defects stand at any place, or on the generator's own grid; and is the grain of each image its own?

A generator that draws on a fixed grid puts the same structure at the same few places of all its images. No photo does,
and a detector trained on such images learns the places. Features of a classification network hardly see it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

PERIODS = (8, 16, 32)
"""Pixels between two places of the grids that doublings of the size leave."""
LAGS = (8, 16, 32, 64)
MOST_ECHO, LOUD_ECHO = 0.01, 0.2
"""Beyond the photos': what is said, and what is a fault (transposed convolutions on a grid gave 0.27)."""
COMMONEST = 3
CHANCE = 3.0
"""A resultant of this over √n comes about by chance once in eight thousand times: exp(-9), Rayleigh's test."""
MOST_COMMON_GRAIN = 0.005
MOST_SAME = 2.0
"""Times the photos'."""
_SURE = 3.0
"""Standard errors of a difference that is no chance."""
_SIGMA, _KERNEL = 2.0, 13
_BLOCK = 256


@dataclass(frozen=True)
class Places:
    """Where the sharpest lines of a set of images stand, and what all of them share.

    Attributes:
        grids: `columns, 8 px` and so on to the resultant length of the strongest column's, or row's, position at that
            period: 0 where they stand anywhere, 1 where all stand at one place of a grid (Mardia and Jupp, "Directional
            Statistics", section 2.3). Images count for that axis on which something stands out most; the sharpest row
            of an upright scratch is anywhere, or where the plate's border is.
        grid_errors: the standard errors of these lengths.
        chances: the lengths that so many lines at any place hardly exceed; infinite for fewer than two lines.
        commonest: share of the images whose strongest column, or row, is one of the three commonest.
        same, same_errors: `columns` and `rows` to the share of pairs of images whose strongest is at the very same
            place, which does not depend on the number of images; and its standard error.
        echoes: `columns, 8 px` and so on to the mean autocorrelation of an image's columns, or rows, at that distance,
            less that at distances a quarter shorter and longer: how much pairs of lines prefer this very distance.
        echo_errors: the standard errors of these means.
        common_grain: energy of the mean of the images' fine structure, of each brought to energy 1; what chance makes
            of so many images is taken off, so that it may be a little below 0.
    """

    grids: dict[str, float]
    grid_errors: dict[str, float]
    chances: dict[str, float]
    commonest: float
    same: dict[str, float]
    same_errors: dict[str, float]
    echoes: dict[str, float]
    echo_errors: dict[str, float]
    common_grain: float


def places(images: Tensor) -> Places:
    """Measure a set of images.

    Args:
        images: uint8 `[N, C, H, W]`.
    """
    columns, rows, grain = zip(*(_look(part) for part in torch.split(images, _BLOCK)), strict=True)
    sharpness = {"columns": torch.cat(columns), "rows": torch.cat(rows)}
    strongest = {axis: profiles.argmax(dim=1) for axis, profiles in sharpness.items()}
    upright, lying = (profiles.amax(dim=1) - profiles.median(dim=1).values for profiles in sharpness.values())
    runs = {"columns": upright >= lying, "rows": lying > upright}
    on_grid = {f"{axis}, {p} px": _resultant(at[runs[axis]], p) for axis, at in strongest.items() for p in PERIODS}
    echoes = {
        f"{axis}, {lag} px": _echo(profiles, lag)
        for axis, profiles in sharpness.items()
        for lag in LAGS
        if 5 * lag // 4 < profiles.shape[1]
    }
    same = {axis: _same(at) for axis, at in strongest.items()}
    count = len(images)
    common = float((torch.stack(grain).sum(dim=0) / count).square().mean()) - 1 / count
    return Places(
        grids={grid: length for grid, (length, _, _) in on_grid.items()},
        grid_errors={grid: error for grid, (_, error, _) in on_grid.items()},
        chances={grid: chance for grid, (_, _, chance) in on_grid.items()},
        commonest=max(_commonest(at) for at in strongest.values()),
        same={axis: share for axis, (share, _) in same.items()},
        same_errors={axis: error for axis, (_, error) in same.items()},
        echoes={name: float(echo.mean()) for name, echo in echoes.items()},
        echo_errors={name: float(echo.std()) / count**0.5 for name, echo in echoes.items()},
        common_grain=common,
    )


def strongest(images: Tensor) -> dict[str, Tensor]:
    """The sharpest column and row of each image uint8 `[N, C, H, W]`: `columns` and `rows` to `[N]`."""
    columns, rows, _ = zip(*(_look(part) for part in torch.split(images, _BLOCK)), strict=True)
    return {"columns": torch.cat(columns).argmax(dim=1), "rows": torch.cat(rows).argmax(dim=1)}


def beyond_grid(fakes: Places, photos: Places, grid: str) -> float:
    """How far the fakes' resultant exceeds both chance and the photos', whose own value is the less sure the fewer."""
    error = math.hypot(fakes.grid_errors[grid], photos.grid_errors[grid])
    return fakes.grids[grid] - max(fakes.chances[grid], photos.grids[grid] + _SURE * error)


def worst_grid(fakes: Places, photos: Places) -> str:
    """Of `Places.grids` the one that the lines of the fakes keep to beyond what the photos and chance explain."""
    return max(fakes.grids, key=lambda grid: beyond_grid(fakes, photos, grid))


def on_a_grid(fakes: Places, photos: Places) -> bool:
    """Whether the lines of the fakes keep to a grid more than the photos' own and chance would explain."""
    return beyond_grid(fakes, photos, worst_grid(fakes, photos)) > 0


def loudest_echo(fakes: Places, photos: Places) -> str:
    """Of `Places.echoes` the one in which the fakes exceed the photos most."""
    return max(fakes.echoes, key=lambda name: fakes.echoes[name] - photos.echoes[name])


def echoes_itself(fakes: Places, photos: Places, most: float = MOST_ECHO) -> bool:
    """Whether pairs of lines in the fakes prefer a distance by more than `most` beyond the photos, not by chance."""
    name = loudest_echo(fakes, photos)
    error = math.hypot(fakes.echo_errors[name], photos.echo_errors[name])
    return fakes.echoes[name] - photos.echoes[name] > max(most, _SURE * error)


def at_few_places(fakes: Places, photos: Places) -> str:
    """The axis on which lines of the fakes stand at fewer places than the photos', not by chance; empty for none."""

    def excess(axis: str) -> float:
        error = math.hypot(fakes.same_errors[axis], photos.same_errors[axis])
        return fakes.same[axis] - MOST_SAME * photos.same[axis] - _SURE * error

    axis = max(fakes.same, key=excess)
    return axis if excess(axis) > 0 else ""


def shares_grain(fakes: Places, photos: Places) -> bool:
    """Whether the fakes share fine structure that the photos do not."""
    return fakes.common_grain > max(0.0, photos.common_grain) + MOST_COMMON_GRAIN


def faults(fakes: Places, photos: Places) -> list[str]:
    """What the fakes have that no photo has and a detector would learn, in words."""
    found = []
    if on_a_grid(fakes, photos):
        grid = worst_grid(fakes, photos)
        found.append(
            f"places: lines stand on a grid ({grid}: {fakes.grids[grid]:.2f}, photos {photos.grids[grid]:.2f})"
        )
    elif axis := at_few_places(fakes, photos):
        found.append(
            f"places: {100 * fakes.same[axis]:.0f} % of all pairs of images have their sharpest line in the same of "
            f"the {axis}, photos {100 * photos.same[axis]:.0f} %"
        )
    if echoes_itself(fakes, photos, LOUD_ECHO):
        found.append(f"pairs: lines come again at one distance ({loudest_echo(fakes, photos)})")
    if shares_grain(fakes, photos):
        found.append(f"grain: {100 * fakes.common_grain:.1f} % of it is the same in all images")
    return found


def _look(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sharpness of each column `[N, W]` and row `[N, H]`, and the sum of the fine structures `[H - 2, W - 2]`."""
    gray = images.float().mean(dim=1, keepdim=True)
    sharp = (gray - _blurred(gray))[:, 0].abs()
    gray = gray[:, 0]
    around = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    fine = gray[:, 1:-1, 1:-1] - around / 4
    fine = fine / fine.std(dim=(1, 2), correction=0, keepdim=True).clamp_min(1e-6)
    return sharp.mean(dim=1), sharp.mean(dim=2), fine.sum(dim=0)


def _blurred(gray: Tensor) -> Tensor:
    """`[N, 1, H, W]` under a Gaussian, mirrored at its edges."""
    half = _KERNEL // 2
    bell = torch.exp(-0.5 * (torch.linspace(-half, half, _KERNEL, device=gray.device) / _SIGMA).pow(2))
    bell = bell / bell.sum()
    return conv2d(pad(gray, [half] * 4, mode="reflect"), torch.outer(bell, bell)[None, None])


def _echo(profiles: Tensor, lag: int) -> Tensor:
    """How far the autocorrelation of each of `[N, L]` rises at a distance above that a quarter nearer and farther."""
    profiles = profiles - profiles.mean(dim=1, keepdim=True)
    at, nearer, farther = (
        (profiles[:, far:] * profiles[:, :-far]).mean(dim=1) for far in (lag, 3 * lag // 4, 5 * lag // 4)
    )
    return (at - (nearer + farther) / 2) / profiles.square().mean(dim=1).clamp_min(1e-9)


def _resultant(at: Tensor, period: int) -> tuple[float, float, float]:
    """The resultant length of positions `[N]`, its standard error, and what chance hardly exceeds."""
    count = len(at)
    if count < 2:
        return 0.0, 0.0, math.inf
    angles = at.double() * (2 * torch.pi / period)
    mean = torch.atan2(angles.sin().mean(), angles.cos().mean())
    along = (angles - mean).cos()
    return float(along.mean()), float(along.std()) / count**0.5, CHANCE / count**0.5


def _same(at: Tensor) -> tuple[float, float]:
    """The share of pairs at one place, and its standard error, as a U-statistic's (Hoeffding, 1948)."""
    counts = at.bincount().double()
    count = counts.sum()
    shares = counts / count
    pairs = float((counts * (counts - 1)).sum() / (count * (count - 1)).clamp_min(1))
    twice = shares.square().sum()
    spread = 4 * ((shares**3).sum() - twice.square()).clamp_min(0) / count
    return pairs, float((spread + 2 * twice / count.square()).sqrt())


def _commonest(at: Tensor) -> float:
    counts = at.bincount().sort(descending=True).values
    return float(counts[:COMMONEST].sum() / len(at))
