"""What a camera, a lamp and a line do to images, at graded strengths: a defect that was found must stay found.

Light that is weaker, stronger or uneven is what MVTec AD 2 varies (Heckler-Kram, Neudeck, Scheler, König and Steger,
"The MVTec AD 2 Dataset", 2025); blur, noise, contrast and JPEG follow Hendrycks and Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", ICLR 2019, section 3. Strengths are in units that one can
measure on a line, and strength 0 changes nothing.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Randoms = Sequence[np.random.Generator]


@dataclass(frozen=True)
class Change:
    """A way in which images change.

    Attributes:
        name: such as `defocus`.
        unit: of the strengths, such as `px`.
        meaning: what it stands for.
        strengths: at which recall is measured, ascending, all above 0.
        apply: images uint8 `[N, H, W, C]`, a strength and a generator of random numbers for each to changed images.
    """

    name: str
    unit: str
    meaning: str
    strengths: tuple[float, ...]
    apply: Callable[[Images, float, Randoms], Images]

    def __call__(self, images: Images, strength: float, places: Sequence[int]) -> Images:
        """Images uint8 `[N, H, W, C]`, changed; what is drawn at random depends on `places` alone, one an image.

        Every strength so has the same directions and the same grain, and differs in nothing but strength.
        """
        if strength == 0:
            return images
        key = zlib.crc32(self.name.encode())
        return self.apply(images, strength, [np.random.default_rng((key, place)) for place in places])


def _rounded(values: NDArray[np.floating]) -> Images:
    rounded: Images = np.rint(values.clip(0, 255)).astype(np.uint8)
    return rounded


def _darker(images: Images, strength: float, randoms: Randoms) -> Images:
    return _rounded(images * (1 - strength / 100))


def _brighter(images: Images, strength: float, randoms: Randoms) -> Images:
    return _rounded(images * (1 + strength / 100))


def _gradient(images: Images, strength: float, randoms: Randoms) -> Images:
    """Light from a side, another in each image: `strength` % more there, as much less on the other."""
    down, right = (np.linspace(-1, 1, side) for side in images.shape[1:3])
    angles = np.array([random.uniform(0, 2 * np.pi) for random in randoms])[:, None, None]
    slope = np.cos(angles) * right[None, None, :] + np.sin(angles) * down[None, :, None]
    slope /= np.abs(slope).max((1, 2), keepdims=True)
    return _rounded(images * (1 + strength / 100 * slope)[..., None])


def _contrast(images: Images, strength: float, randoms: Randoms) -> Images:
    middle = images.mean((1, 2), keepdims=True)
    return _rounded(middle + (images - middle) * (1 - strength / 100))


def _gamma(images: Images, strength: float, randoms: Randoms) -> Images:
    return _rounded(255 * (images / 255) ** (1 + strength))


def _defocus(images: Images, strength: float, randoms: Randoms) -> Images:
    """The image of a point is a disk of this radius."""
    return _filtered(images, np.stack([_disk(strength)] * len(images)))


def _motion(images: Images, strength: float, randoms: Randoms) -> Images:
    """The image of a point is a line of this length, in another direction in each image."""
    return _filtered(images, np.stack([_line(strength, random.uniform(0, np.pi)) for random in randoms]))


def _gaussian(images: Images, strength: float, randoms: Randoms) -> Images:
    noise = np.stack([random.standard_normal(images.shape[1:], np.float32) for random in randoms])
    return _rounded(images + strength * noise)


def _shot(images: Images, strength: float, randoms: Randoms) -> Images:
    """Photons are counted: white is so many that their number varies by `strength` %."""
    a_photon = 255 * (strength / 100) ** 2
    return _rounded(
        np.stack([random.poisson(image / a_photon) for image, random in zip(images, randoms, strict=True)]) * a_photon
    )


def _shifted(images: Images, strength: float, randoms: Randoms) -> Images:
    """To one of four sides, by whole pixels; what comes into sight is a reflection."""
    by = round(strength)
    moved = []
    for image, random in zip(images, randoms, strict=True):
        down, right = ((by, 0), (-by, 0), (0, by), (0, -by))[random.integers(4)]
        padded = np.pad(image, ((by, by), (by, by), (0, 0)), "reflect")
        height, width = image.shape[:2]
        moved.append(padded[by - down : by - down + height, by - right : by - right + width])
    return np.stack(moved)


def _rotated(images: Images, strength: float, randoms: Randoms) -> Images:
    """To the left or to the right, about the centre; what comes into sight is a reflection."""
    from scipy.ndimage import rotate

    return np.stack(
        [
            _rounded(rotate(image.astype(np.float32), strength * random.choice((-1, 1)), reshape=False, order=1,
                            mode="reflect"))
            for image, random in zip(images, randoms, strict=True)
        ]
    )  # fmt: skip


def _jpeg(images: Images, strength: float, randoms: Randoms) -> Images:
    from PIL import Image

    stored = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(
            file, "jpeg", quality=100 - round(strength)
        )
        stored.append(np.asarray(Image.open(file)).reshape(image.shape))
    return np.stack(stored)


def _filtered(images: Images, kernels: NDArray[np.float64]) -> Images:
    """Each image convolved with its kernel `[N, K, K]`, K odd; at the border the image is reflected."""
    import torch
    from torch.nn.functional import conv2d, pad

    count, height, width = images.shape[:3]
    side = kernels.shape[1]
    planes = torch.from_numpy(images.astype(np.float32)).permute(3, 0, 1, 2)  # [C, N, H, W]
    margin = min(side // 2, height - 1, width - 1)
    cut = side // 2 - margin
    weights = torch.from_numpy(kernels[:, cut : side - cut, cut : side - cut].astype(np.float32))[:, None]
    weights = weights / weights.sum((2, 3), keepdim=True)
    found = conv2d(pad(planes, (margin,) * 4, "reflect"), weights, groups=count)
    return _rounded(found.permute(1, 2, 3, 0).numpy())


def _disk(radius: float) -> NDArray[np.float64]:
    """What part of each pixel a disk covers, by 8 × 8 places in it."""
    reach = int(np.ceil(radius))
    side, fine = 2 * reach + 1, 8
    at = (np.arange(side * fine) + 0.5) / fine - side / 2
    inside = at[:, None] ** 2 + at**2 <= max(radius, 0.5) ** 2
    covered: NDArray[np.float64] = inside.reshape(side, fine, side, fine).mean((1, 3))
    return covered


def _line(length: float, angle: float) -> NDArray[np.float64]:
    """A line through the middle, one pixel broad, by many points on it that are each shared among four pixels."""
    reach = int(np.ceil(length / 2)) + 1
    along = np.linspace(-length / 2, length / 2, 8 * reach + 1)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for x, y in zip(along * np.cos(angle) + reach, along * np.sin(angle) + reach, strict=True):
        left, top = int(x), int(y)
        for column, right in ((left, 1 - (x - left)), (left + 1, x - left)):
            for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
                if right * down > 0:
                    kernel[row, column] += right * down
    return kernel


CHANGES = (
    Change("darker", "%", "less light: under-exposed", (20, 40, 60), _darker),
    Change("brighter", "%", "more light: over-exposed, what is white is lost", (25, 50, 100), _brighter),
    Change("gradient", "%", "light from one side", (20, 40, 60), _gradient),
    Change("contrast", "% less", "haze, stray light", (20, 40, 60), _contrast),
    Change("gamma", "more than 1", "another tone curve of the camera", (0.25, 0.5, 1), _gamma),
    Change("defocus", "px radius", "the surface is out of focus", (1, 2, 3), _defocus),
    Change("motion", "px", "the strip moves while the shutter is open", (3, 6, 12), _motion),
    Change("gaussian noise", "gray levels", "noise of the electronics", (5, 10, 20), _gaussian),
    Change("shot noise", "% at white", "few photons: short exposure", (3, 6, 12), _shot),
    Change("shift", "px", "the part lies elsewhere", (2, 4, 8), _shifted),
    Change("rotation", "degrees", "the part lies askew", (2, 5, 10), _rotated),
    Change("jpeg", "of 100 quality lost", "compressed files", (20, 50, 80), _jpeg),
)
"""In the order in which they are shown."""
