"""Is there something at the same spot of many images: a patch of other grain, or a faint picture?

Both are asked cell by cell: how far the mean of the images is from that of the photos, in standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

ROUGH_CELLS, SHADE_CELLS = 8, 16
"""Cells in each direction."""
SURE = 5.0
"""Standard errors in one of all cells: with 33 photos, 256 cells have it by chance once in 200 times (Student's t)."""
BEYOND = 1.5
"""Times what photos differ by among themselves, as their groups do."""
MOST_ROUGH = 2.0
"""Times the photos'."""
MOST_SHADE = 2.0
"""Grey levels."""
_BLOCK = 256


@dataclass(frozen=True)
class Spot:
    """The cell in which images differ most surely from photos.

    Attributes:
        place: where it is, in words.
        images, photos: the mean there.
        errors: standard errors by which these differ.
        errors_floor: the most in any cell by which photos differ among themselves.
    """

    place: str
    images: float
    photos: float
    errors: float
    errors_floor: float

    @property
    def sure(self) -> bool:
        """Whether the difference is more than chance, and more than that of photos among themselves."""
        return self.errors > max(SURE, BEYOND * self.errors_floor)


@dataclass(frozen=True)
class Spots:
    """What is at the same spot of many images.

    Attributes:
        rough: share of an image's finest structure that is in the cell: 1/64 where it is even.
        shade: grey levels above the image's mean.
    """

    rough: Spot
    shade: Spot

    def apart(self) -> list[str]:
        """What a person should distrust, in words."""
        found = []
        rough, shade = self.rough, self.shade
        if rough.sure and rough.images > MOST_ROUGH * rough.photos:
            found.append(
                f"a patch {rough.place}: it holds {100 * rough.images:.1f} % of the finest structure, photos' "
                f"{100 * rough.photos:.1f} %"
            )
        if shade.sure and abs(shade.images - shade.photos) > MOST_SHADE:
            level = shade.images - shade.photos
            found.append(
                f"a shadow of one picture in all images: {abs(level):.0f} grey levels too "
                f"{'bright' if level > 0 else 'dark'} {shade.place}"
            )
        return found


def compare_spots(fakes: Tensor, photos: Tensor, floor: tuple[Tensor, Tensor]) -> Spots:
    """Compare images uint8 `[N, C, H, W]` with photos; `floor`: two sets of photos."""
    fake, real, one, other = (_look(images) for images in (fakes, photos, *floor))
    return Spots(*(_spot(*maps) for maps in zip(fake, real, one, other, strict=True)))


def _look(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of each image the share of its finest structure in each cell, and how much brighter than the image each is."""
    rough, shade = [], []
    for part in torch.split(images, _BLOCK):
        gray = part.float().mean(dim=1, keepdim=True)
        around = gray[..., :-2, 1:-1] + gray[..., 2:, 1:-1] + gray[..., 1:-1, :-2] + gray[..., 1:-1, 2:]
        power = adaptive_avg_pool2d((gray[..., 1:-1, 1:-1] - around / 4).square(), ROUGH_CELLS)[:, 0]
        rough.append(power / power.sum(dim=(1, 2), keepdim=True).clamp_min(1e-6))
        level = adaptive_avg_pool2d(gray, SHADE_CELLS)[:, 0]
        shade.append(level - level.mean(dim=(1, 2), keepdim=True))
    return torch.cat(rough), torch.cat(shade)


def _spot(fake: Tensor, real: Tensor, one: Tensor, other: Tensor) -> Spot:
    errors = _errors(fake, real)
    down, right = divmod(int(errors.argmax()), errors.shape[1])
    images, photos = (float(cells[:, down, right].mean()) for cells in (fake, real))
    place = _place((down + 0.5) / len(errors), (right + 0.5) / errors.shape[1])
    return Spot(place, images, photos, float(errors.max()), float(_errors(one, other).max()))


def _errors(cells: Tensor, of: Tensor) -> Tensor:
    """By how many standard errors two means differ in each cell: of `[N, cells, cells]` and `[M, cells, cells]`."""
    variance = cells.var(dim=0) / len(cells) + of.var(dim=0) / len(of)
    return (cells.mean(dim=0) - of.mean(dim=0)).abs() / variance.sqrt().clamp_min(1e-6)


def _place(down: float, right: float) -> str:
    """A place in words, by its distance from the top and from the left, as shares of the sides."""
    rows, columns = ("at the top", "", "at the bottom"), ("on the left", "", "on the right")
    words = rows[min(int(3 * down), 2)], columns[min(int(3 * right), 2)]
    return " ".join(word for word in words if word) or "in the middle"
