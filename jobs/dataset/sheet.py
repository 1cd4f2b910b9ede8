"""The contact sheet: one picture of a whole run."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jobs.dataset import png
from jobs.dataset.formats import Format
from jobs.dataset.plan import Plan
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode
from models.picks import spread

IMAGES, COLUMNS = 64, 8
_GAP = 2
_CAPTION = 14
"""Height of a line of text, in pixels."""


def run_sheet(store: Store, plan: Plan, count: int) -> bytes:
    """A PNG of 64 images of a run of `count`, evenly spread over it.

    Where there are classes, some of each lie below its name and number of images: 8 at least, if it has so many.
    """
    if plan.mix is None:
        return contact_sheet(store, plan.format, list(map(plan.image, spread(count, IMAGES))))
    counts = plan.mix.counts(count)
    shown = max(1, IMAGES // COLUMNS // sum(of > 0 for of in counts)) * COLUMNS
    parts: list[NDArray[np.uint8]] = []
    for label, of in enumerate(counts):
        if of:
            grid = _grid(store, plan.format, [plan.image(plan.mix.image(label, at)) for at in spread(of, shown)])
            parts += [_caption(f"{plan.mix.names[label]}: {of}", *grid.shape[1:]), grid]
    (content,) = png.encode(np.concatenate(parts)[None])
    return content


def contact_sheet(store: Store, format: Format, names: list[str]) -> bytes:
    """A PNG of the images `names` of a run in 8 columns, at their own size and brightness.

    Raises:
        CommandError: 76 where one is not there, damaged or of another size.
    """
    (content,) = png.encode(_grid(store, format, names)[None])
    return content


def _grid(store: Store, format: Format, names: list[str]) -> NDArray[np.uint8]:
    images = list(read_images(store, format, names))
    height, width, channels = images[0].shape
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            raise _unfit(store, name, "of another size")
    rows = -(-len(images) // COLUMNS)
    sheet = np.full((rows * (height + _GAP) - _GAP, COLUMNS * (width + _GAP) - _GAP, channels), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // COLUMNS * (height + _GAP), place % COLUMNS * (width + _GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _caption(text: str, width: int, channels: int) -> NDArray[np.uint8]:
    """A line of text, black on white: uint8 `[14, width, channels]`."""
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("L", (width, _CAPTION), 255)
    letters = text.encode("latin-1", "replace").decode("latin-1")  # more the font does not have
    ImageDraw.Draw(line).text((_GAP, _GAP), letters, fill=0, font=ImageFont.load_default_imagefont())
    return np.repeat(np.asarray(line, np.uint8)[:, :, None], channels, axis=2)


def read_images(store: Store, format: Format, names: Iterable[str]) -> Iterator[NDArray[np.uint8]]:
    """Images of a run, each uint8 `[H, W, C]`; see `read_image`."""
    return store.map(partial(read_image, store, format), names)


def read_image(store: Store, format: Format, name: str) -> NDArray[np.uint8]:
    """An image of a run: uint8 `[H, W, C]`.

    Raises:
        CommandError: 76 where it is not there or damaged.
    """
    from PIL import Image  # here, since the workers never need it

    try:
        with Image.open(io.BytesIO(format.read(store, name) or b""), formats=("PNG",)) as file:
            image: NDArray[np.uint8] = np.asarray(file)
    except OSError:
        raise _unfit(store, name, "missing or damaged") from None
    return image.reshape(*image.shape[:2], -1)


def _unfit(store: Store, name: str, what: str) -> CommandError:
    return CommandError(
        ExitCode.CHECK_FAILED, f"{store}/{name} is {what}: `gan-batch verify {store} --repair` makes it again"
    )
