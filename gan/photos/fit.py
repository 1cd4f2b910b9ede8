"""A photo of any shape gets that of the images to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

FITS = ("crop", "pad", "stretch", "tile")
"""How a photo of another shape or size becomes an image; `fit_image` says what each does."""


def fit_image(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """A photo as an image of that width and height.

    - `crop`: resized until it covers the image, the centre kept.
    - `pad`: resized until it lies in the image, and the rest filled with the photo's own reflection. Repeated edge
      pixels would be stripes without grain, which no surface has and a discriminator finds, or a generator learns, at
      once; a reflection has the grain, the brightness and the contrast of the surface. Its price: what touches the
      border is seen twice, and letters are seen mirrored.
    - `stretch`: resized to that width and height, whatever its shape.
    - `tile`: the centre at its own resolution; a photo that does not cover the image is enlarged first.
    """
    from PIL import Image, ImageOps

    if fit == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    if fit == "pad":
        return _padded(image, size)
    if fit == "tile":
        image = at_least(image, size)
        left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
        return image.crop((left, top, left + size[0], top + size[1]))
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def at_least(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` itself where it has that width and height, else enlarged until it has."""
    from PIL import Image

    needed, has = max(zip(size, image.size, strict=True), key=lambda of: of[0] / of[1])
    if has >= needed:
        return image
    width, height = (max(least, round(side * needed / has)) for least, side in zip(size, image.size, strict=True))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def invented(photo: tuple[int, int], size: tuple[int, int]) -> float:
    """The share of a padded image that is the photo's reflection and not the photo, 0 to 1; of widths and heights."""
    less, more = _across(photo, size)
    return 1 - less / more


def invents_much(photo: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether more than a third of a padded image is not the photo; exact."""
    less, more = _across(photo, size)
    return 3 * (more - less) > more


def _across(photo: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """Each one's width times the other's height, the smaller first: equal where the shapes are."""
    return sorted((photo[0] * size[1], photo[1] * size[0]))


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    import numpy as np
    from PIL import Image

    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    inner = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    borders = [(top, size[1] - height - top), (left, size[0] - width - left), (0, 0)]
    return Image.fromarray(np.pad(inner, borders[: inner.ndim], mode="reflect"))


def thumbnail(image: Image.Image, side: int = 32) -> NDArray[np.float32]:
    """A photo as float32 `[side, side]`, gray, 0 to 255, whatever its shape: what `models.groups` compares."""
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), dtype=np.float32)
