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


def run_sheet(store: Store, plan: Plan, count: int) -> bytes:
    """A PNG of 64 images of a run of `count`, evenly spread over it."""
    return contact_sheet(store, plan.format, list(map(plan.image, spread(count, IMAGES))))


def contact_sheet(store: Store, format: Format, names: list[str]) -> bytes:
    """A PNG of the images `names` of a run in 8 columns, at their own size and brightness.

    Raises:
        CommandError: 76 where one is not there, damaged or of another size.
    """
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
    (content,) = png.encode(sheet[None])
    return content


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
