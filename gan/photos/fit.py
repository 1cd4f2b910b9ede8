"""A photo of any shape gets that of the images to train on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

FITS = ("crop", "pad", "stretch", "tile")
"""How a photo of another shape or size becomes an image; `fit_image` says what each does."""


CENTRE = (0.5, 0.5)
RIM = 16
"""The rim of a window is its side divided by this."""
COVERED = 64
"""Of 255: the part of a pixel of a smaller mask, a quarter, that a defect must cover; half would lose thin cracks."""


def fit_image(
    image: Image.Image, size: tuple[int, int], fit: str, place: tuple[float, float] = CENTRE, mask: bool = False
) -> Image.Image:
    """A photo as an image of that width and height, or the mask of one.

    - `crop`: resized until it covers the image, the centre kept, or what `place` says.
    - `pad`: resized until it lies in the image, and the rest filled with the photo's own reflection. Repeated edge
      pixels would be stripes without grain, which no surface has and a discriminator finds, or a generator learns, at
      once; a reflection has the grain, the brightness and the contrast of the surface. Its price: what touches the
      border is seen twice, and letters are seen mirrored.
    - `stretch`: resized to that width and height, whatever its shape.
    - `tile`: the centre, or what `place` says, at its own resolution; a photo that does not cover the image is enlarged
      first.

    Args:
        image: of mode L or RGB; a mask of mode L, 0 and 255.
        size: width and height in pixels.
        fit: one of `FITS`.
        place: of what is kept by `crop` and `tile`: the shares, 0 to 1, of what is cut off that lie left of it and
            above; `fullest` finds one.
        mask: it is a mask, and so is what comes out: 255 where the defect covers a quarter of a pixel.
    """
    from PIL import Image

    if mask:
        return _covered(_fitted(image, size, fit, place, Image.Resampling.BOX))
    return _fitted(image, size, fit, place, Image.Resampling.LANCZOS)


def _fitted(
    image: Image.Image, size: tuple[int, int], fit: str, place: tuple[float, float], method: Image.Resampling
) -> Image.Image:
    from PIL import ImageOps

    if fit == "stretch":
        return image.resize(size, method)
    if fit == "pad":
        return _padded(image, size, method)
    if fit == "tile":
        image = at_least(image, size)
        left, top = (int(share * (has - kept) + 1e-9) for share, has, kept in zip(place, image.size, size, strict=True))
        return image.crop((left, top, left + size[0], top + size[1]))
    return ImageOps.fit(image, size, method, centering=place)


def at_least(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` itself where it has that width and height, else enlarged until it has."""
    from PIL import Image

    needed, has = max(zip(size, image.size, strict=True), key=lambda of: of[0] / of[1])
    if has >= needed:
        return image
    width, height = (max(least, round(side * needed / has)) for least, side in zip(size, image.size, strict=True))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def enlarged_with(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask, mode L, 0 and 255, at the size to which `at_least` has enlarged its photo."""
    from PIL import Image

    return mask if mask.size == size else _covered(mask.resize(size, Image.Resampling.BOX))


def scale_of(photo: tuple[int, int], size: tuple[int, int], fit: str) -> float:
    """How long in an image of that width and height is what is one pixel long in a photo; the two sides' mean."""
    across, down = size[0] / photo[0], size[1] / photo[1]
    if fit == "stretch":
        return math.sqrt(across * down)
    return max(1.0, across, down) if fit == "tile" else min(across, down) if fit == "pad" else max(across, down)


def fullest(mask: NDArray[np.uint8], size: tuple[int, int], fit: str) -> tuple[float, float]:
    """The `place` for `fit_image` that keeps most pixels of a defect.

    Of equal ones it is that which has most of them away from its rim, and then that nearest the centre: by the centre
    alone, defects that lie further out would all touch the rim of their images.

    Args:
        mask: uint8 `[H, W]`, 0 where there is no defect; of `tile` at least of that size.
        size: of the image: width and height in pixels.
        fit: one of `FITS`; `pad` and `stretch` keep all, so that the place has no meaning.
    """
    import numpy as np

    height, width = mask.shape
    if fit == "tile":
        kept = size
    elif fit == "crop":
        scale = max(size[0] / width, size[1] / height)
        kept = (min(width, round(size[0] / scale)), min(height, round(size[1] / scale)))
    else:
        return CENTRE
    held = window_sums(mask, kept).astype(np.int64)
    rows, columns = held.shape
    across, down = (side // RIM if free > 1 else 0 for side, free in zip(kept, (columns, rows), strict=True))
    inner = window_sums(mask, (kept[0] - 2 * across, kept[1] - 2 * down))
    inner = inner[down : down + rows, across : across + columns]
    held = held * (int(inner.max()) + 1) + inner
    if held[(rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1].min() == held.max():
        return CENTRE
    best = np.argwhere(held == held.max())
    top, left = best[((best - (np.array(held.shape) - 1) / 2) ** 2).sum(axis=1).argmin()].tolist()
    return (left / (columns - 1) if columns > 1 else 0.5, top / (rows - 1) if rows > 1 else 0.5)


def window_sums(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.int32]:
    """How many pixels of a mask each window holds: int32 `[H - height + 1, W - width + 1]`, by its top and left.

    Args:
        mask: uint8 `[H, W]`, 0 where there is no defect.
        size: of the windows: width and height in pixels.
    """
    import numpy as np

    width, height = size
    table = np.pad((mask > 0).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32), ((1, 0), (1, 0)))
    sums: NDArray[np.int32] = (
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    )
    return sums


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


def _covered(mask: Image.Image) -> Image.Image:
    return mask.point([255 * (value >= COVERED) for value in range(256)])


def _padded(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    import numpy as np
    from PIL import Image

    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    inner = np.asarray(image.resize((width, height), method))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    borders = [(top, size[1] - height - top), (left, size[0] - width - left), (0, 0)]
    return Image.fromarray(np.pad(inner, borders[: inner.ndim], mode="reflect"))


def thumbnail(image: Image.Image, side: int = 32) -> NDArray[np.float32]:
    """A photo as float32 `[side, side]`, gray, 0 to 255, whatever its shape: what `models.groups` compares."""
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), dtype=np.float32)
