"""A photo of any shape becomes a square."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

FITS = ("crop", "pad", "stretch", "tile")
"""How an oblong or large photo becomes a square; `fit_image` says what each does."""


def fit_image(image: Image.Image, size: int, fit: str) -> Image.Image:
    """A photo as a square of `size` pixels.

    - `crop`: the shorter side is resized to `size`, the centre kept.
    - `pad`: the longer side is resized to `size`, and the rest filled with the photo's own reflection. Repeated edge
      pixels would be stripes without grain, which no surface has and a discriminator finds, or a generator learns, at
      once; a reflection has the grain, the brightness and the contrast of the surface. Its price: what touches the
      border is seen twice, and letters are seen mirrored.
    - `stretch`: resized to `size` × `size`, whatever its shape.
    - `tile`: the centre at its own resolution; a photo whose shorter side is under `size` is enlarged first.
    """
    from PIL import Image, ImageOps

    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    if fit == "pad":
        return _padded(image, size)
    if fit == "tile":
        image = at_least(image, size)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        return image.crop((left, top, left + size, top + size))
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def at_least(image: Image.Image, size: int) -> Image.Image:
    """`image` itself where its shorter side has `size` pixels, else enlarged until it has."""
    from PIL import Image

    shorter = min(image.size)
    if shorter >= size:
        return image
    width, height = (max(size, round(side * size / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def invented(width: int, height: int) -> float:
    """The share of a padded square that is the photo's reflection and not the photo, 0 to 1."""
    return 1 - min(width, height) / max(width, height)


def invents_much(width: int, height: int) -> bool:
    """Whether more than a third of a padded square is not the photo; exact."""
    shorter, longer = sorted((width, height))
    return 3 * (longer - shorter) > longer


def _padded(image: Image.Image, size: int) -> Image.Image:
    import numpy as np
    from PIL import Image

    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    inner = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    left, top = (size - width) // 2, (size - height) // 2
    borders = [(top, size - height - top), (left, size - width - left), (0, 0)]
    return Image.fromarray(np.pad(inner, borders[: inner.ndim], mode="reflect"))


def thumbnail(image: Image.Image, side: int = 32) -> NDArray[np.float32]:
    """A photo as float32 `[side, side]`, gray, 0 to 255, whatever its shape: what `models.groups` compares."""
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), dtype=np.float32)
