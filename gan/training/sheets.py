"""How sample grids are laid out, and how a page gets pictures out of one. Nothing here waits for PyTorch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.picks import spread

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

GRID_IMAGES = 64
COLUMNS = 8
MOST_ROWS = 16
GAP = 16
"""White pixels between the photos and the images beside them."""
EDGE = 2
"""Black pixels around each."""
_WIDE, _HIGH = 530, 1100
"""Pixels at most of a picture on a page, of which two stand side by side; of rows for classes it may be higher."""


@dataclass(frozen=True)
class Side:
    """Half of a sample grid: four columns of photos, or of images.

    Attributes:
        png: the picture.
        width: of it in pixels.
        rows: of images in it.
    """

    png: bytes
    width: int
    rows: int


def sides(path: Path, size: tuple[int, int], all_rows: bool) -> tuple[Side, Side]:
    """Of a sample grid the photos, and beside them as many of the images; larger ones are made smaller.

    Args:
        path: of the grid, as a run leaves it.
        size: width and height of an image in it.
        all_rows: whether all rows are shown, as with classes, or only as many as a page has room for.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no grid of images of this size.
    """
    from PIL import Image

    width, height = (side + EDGE for side in size)
    columns = COLUMNS // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 96 images of 1024 pixels a side Pillow thinks that they are an attack
        try:
            with Image.open(path, formats=("PNG",)) as file:
                sheet = file.convert("RGB")
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None
    rows = (sheet.height - EDGE) // height
    wide, right = columns * width + EDGE, columns * width + EDGE + GAP
    if rows < 1 or sheet.width != right + COLUMNS * width + EDGE:
        raise ValueError(f"{path.name} is no grid of images of {size[0]}×{size[1]} pixels")
    times = min(1.0, _WIDE / wide)
    shown = rows if all_rows else min(rows, max(1, int(_HIGH / (times * height))))
    photos, images = (
        _side(sheet.crop((left, 0, left + wide, shown * height + EDGE)), times, shown) for left in (0, right)
    )
    return photos, images


def _side(picture: Picture, times: float, rows: int) -> Side:
    from PIL import Image

    if picture.tobytes() == picture.convert("L").convert("RGB").tobytes():
        picture = picture.convert("L")  # a third of the bytes
    if times < 1:
        size = max(1, round(times * picture.width)), max(1, round(times * picture.height))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Side(file.getvalue(), picture.width, rows)


def rows_of(classes: int) -> list[int]:
    """The label of each row of a grid: as many rows of each class as there is room for, one at least.

    Of more than `MOST_ROWS` classes some are shown, evenly spread.
    """
    shown = spread(classes, MOST_ROWS)
    return [label for label in shown for _ in range(max(1, GRID_IMAGES // COLUMNS // len(shown)))]


def of_each_class(labels: Sequence[int], classes: int, columns: int) -> list[int]:
    """Places of photos for a grid with these rows: `columns` of its class in each, again from the first where there
    are fewer, and others in the next row of the class."""
    places: list[int] = []
    rows = rows_of(classes)
    for number, label in enumerate(rows):
        own = [place for place, other in enumerate(labels) if other == label]
        row = number - rows.index(label)
        places += [own[(row * columns + column) % len(own)] for column in range(columns)]
    return places


def named(rows: Sequence[int], names: Sequence[str]) -> str:
    """What the rows of a grid show, from the top, such as `4 × pit, 4 × scratch`."""
    return ", ".join(f"{rows.count(label)} × {names[label]}" for label in dict.fromkeys(rows))
