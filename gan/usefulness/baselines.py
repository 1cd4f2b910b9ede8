"""Defects that cost no generator: what is cut out and pasted elsewhere, and what Perlin noise shapes.

Both need photos of a surface without a defect. Where no class is without defects, photos of other classes may serve:
an image then shows a defect of theirs beside the new one, and its label names the new one alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate
from torch import Tensor
from torchvision.transforms.v2 import functional

from gan.usefulness.labelled import Labelled
from models.errors import CommandError, ExitCode

Paste = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.float64]]
"""An image uint8 `[C, H, W]` to the same with a defect, floats in 0 to 255."""
_SCAR_SIDE = 256
"""Pixels of the images for which the paper tells the sides of a scar."""
_SCAR_WIDTH, _SCAR_LENGTH, _SCAR_DEGREES, _SCAR_JITTER = (2, 16), (10, 25), 45.0, 0.1
_LEAST_WIDTH = 2
"""Pixels: turned, a scar of one would have gaps."""
_TRIES = 20
"""For each image, until some of its pixels change."""
_PERLIN_OCTAVES = 6
"""Cells of the noise along a side: up to two to this power."""
_PERLIN_THRESHOLD, _PERLIN_OPACITY = 0.5, (0.1, 1.0)
_PERLIN_AREA = 1e-3
"""Of the image: a smaller mask is drawn again."""


def cutpaste_scar(good: Labelled, count: int, seed: int, label: int) -> Labelled:
    """Photos with a scar: a long thin piece of the photo, in a slightly other colour, turned, and pasted elsewhere.

    Li et al., "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization", CVPR 2021, section 3 and
    its CutPaste-Scar: 2 to 16 pixels by 10 to 25 in an image of 256, here in proportion, but 2 pixels wide at least,
    turned by up to 45° either way, brightness and contrast changed by up to 10 %.

    Args:
        good: photos of a surface without a defect.
        count: how many images.
        seed: of all that is drawn; an image depends on it and on its number, not on `count`.
        label: of the images.

    Returns:
        `count` images with masks where pixels changed, named after the photo, the method and the number.

    Raises:
        CommandError: 65 nothing that is pasted shows on a photo: it is black, say.
        ValueError: `good` is empty.
    """
    return _made(good, count, seed, label, "cutpaste-scar", lambda _: _scar)


def perlin_defects(good: Labelled, count: int, seed: int, label: int) -> Labelled:
    """Photos with a patch of another texture, whose outline is Perlin noise above a threshold.

    Zavrtanik et al., "DRAEM: A discriminatively trained reconstruction embedding for surface anomaly detection", ICCV
    2021, section 3.2. Their textures are from a public collection, which does not come along: here the texture is
    another of the photos, changed as theirs are by three out of seven operations, and mirrored or turned upside down.

    Args:
        good, count, seed, label: as of `cutpaste_scar`.

    Returns:
        As `cutpaste_scar`; it raises the same.
    """
    return _made(good, count, seed, label, "perlin", _perlin)


def _made(
    good: Labelled, count: int, seed: int, label: int, method: str, paste_for: Callable[[Labelled], Paste]
) -> Labelled:
    if not len(good):
        raise ValueError("`good` has no photos to paste onto")
    paste = paste_for(good)
    images, masks, names = [], [], []
    for number in range(count):
        random = np.random.default_rng([seed, number])
        place = int(random.integers(len(good)))
        names.append(f"{good.names[place]}+{method}-{number}")
        before = good.images[place].numpy()
        for _ in range(_TRIES):
            after = paste(before, random).round().clip(0, 255).astype(np.uint8)
            changed = (after != before).any(axis=0)
            if changed.any():
                break
        else:
            raise CommandError(ExitCode.BAD_DATA, f"{names[-1]}: the photo is so plain that no defect shows on it")
        images.append(torch.from_numpy(after))
        masks.append(torch.from_numpy(changed * np.uint8(255)))
    empty = good.images[:0]
    return Labelled(
        torch.stack(images) if images else empty,
        torch.full((count,), label),
        tuple(names),
        torch.stack(masks) if masks else empty[:, 0],
    )


def _scar(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float64]:
    sides = np.array(image.shape[1:])
    scale = sides.min() / _SCAR_SIDE
    wanted = [max(_LEAST_WIDTH, round(random.uniform(*span) * scale)) for span in (_SCAR_LENGTH, _SCAR_WIDTH)]
    scar = np.minimum(wanted if random.random() < 0.5 else wanted[::-1], sides)
    top, left = (int(random.integers(free + 1)) for free in sides - scar)
    piece = image[:, top : top + scar[0], left : left + scar[1]].astype(np.float64)
    brightness, contrast = random.uniform(1 - _SCAR_JITTER, 1 + _SCAR_JITTER, 2)
    piece = ((piece - piece.mean()) * contrast + piece.mean()) * brightness
    degrees = random.uniform(-_SCAR_DEGREES, _SCAR_DEGREES)
    piece = rotate(piece, degrees, axes=(2, 1), order=1, mode="nearest")
    shape = rotate(np.ones(scar), degrees, axes=(1, 0), order=1, mode="grid-constant") >= 0.5
    height, width = np.minimum(shape.shape, sides)
    top, left = int(random.integers(sides[0] - height + 1)), int(random.integers(sides[1] - width + 1))
    pasted = image.astype(np.float64)
    under = pasted[:, top : top + height, left : left + width]
    under[...] = np.where(shape[:height, :width], piece[:, :height, :width], under)
    return pasted


def _perlin(good: Labelled) -> Paste:
    def paste(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float64]:
        texture = _texture(good.images[int(random.integers(len(good)))], random)
        opacity = random.uniform(*_PERLIN_OPACITY)
        mask = _perlin_mask(image.shape[1], image.shape[2], random)
        mixed: NDArray[np.float64] = np.where(mask, (1 - opacity) * image + opacity * texture, image)
        return mixed

    return paste


def _perlin_mask(height: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Where a defect is, bool `[height, width]`: some of it, and not all."""
    while True:
        cells = 2 ** random.integers(0, _PERLIN_OCTAVES + 1, 2)
        noise = perlin_noise(height, width, int(cells[0]), int(cells[1]), random)
        mask: NDArray[np.bool_] = rotate(noise, random.uniform(-90, 90), reshape=False, order=1) > _PERLIN_THRESHOLD
        if _PERLIN_AREA <= mask.mean() < 1:
            return mask


def perlin_noise(height: int, width: int, down: int, right: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Gradient noise of about -1 to 1: float64 `[height, width]`, `down` by `right` cells.

    Perlin, "Improving Noise", SIGGRAPH 2002: at the corners of cells it is 0 and has a random slope, between them it is
    blended by 6t⁵ - 15t⁴ + 10t³; times √2, for which the highest possible value is 1.
    """
    angles = random.uniform(0, 2 * np.pi, (down + 1, right + 1))
    y, x = (np.linspace(0, cells, side, endpoint=False) for cells, side in ((down, height), (right, width)))
    row, column = np.ix_(y.astype(int), x.astype(int))
    y, x = np.ix_(y % 1, x % 1)

    def corner(below: int, beside: int) -> NDArray[np.float64]:
        angle = angles[row + below, column + beside]
        slope: NDArray[np.float64] = np.sin(angle) * (y - below) + np.cos(angle) * (x - beside)
        return slope

    fade_y, fade_x = (t**3 * (t * (6 * t - 15) + 10) for t in (y, x))
    above, under = ((1 - fade_x) * corner(below, 0) + fade_x * corner(below, 1) for below in (0, 1))
    blended: NDArray[np.float64] = np.sqrt(2) * ((1 - fade_y) * above + fade_y * under)
    return blended


_OPERATIONS: tuple[Callable[[Tensor, float], Tensor], ...] = (
    lambda image, much: functional.posterize(image, 3 + round(4 * much)),
    lambda image, much: functional.adjust_sharpness(image, 0.1 + 1.8 * much),
    lambda image, much: functional.solarize(image, 32 + 223 * much),
    lambda image, much: functional.equalize(image),
    lambda image, much: functional.adjust_brightness(image, 0.5 + much),
    lambda image, much: functional.adjust_contrast(image, 0.5 + much),
    lambda image, much: functional.autocontrast(image),
)
"""An image uint8 `[C, H, W]` and how much, 0 to 1, to the image changed."""


def _texture(photo: Tensor, random: np.random.Generator) -> NDArray[np.uint8]:
    """Another look of a photo uint8 `[C, H, W]`."""
    axes = [axis for axis in (1, 2) if random.random() < 0.5]
    photo = photo.flip(axes)
    for which in random.choice(len(_OPERATIONS), 3, replace=False):
        photo = _OPERATIONS[which](photo, float(random.random()))
    texture: NDArray[np.uint8] = photo.numpy()
    return texture
