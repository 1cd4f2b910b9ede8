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
from models.pictures import COLUMNS, GAP, tiled

CELLS = 64
"""An image takes a cell, and one with a mask two: as it is, and with its mask outlined."""
_OUTLINE = (255, 0, 255)
"""A colour that few surfaces have."""
_CAPTION = 14
"""Height of a line of text, in pixels."""


def run_sheet(store: Store, plan: Plan, count: int) -> bytes:
    """A PNG of 64 images of a run of `count`, evenly spread over it; of 32 where they have masks.

    Where there are classes, some of each lie below its name and number of images: a row at least, if it has so many.
    """
    cells = CELLS // len(plan.kinds)
    if plan.mix is None:
        return indexed_sheet(store, plan, spread(count, cells))
    counts = plan.mix.counts(count)
    shown = max(1, CELLS // COLUMNS // sum(of > 0 for of in counts)) * COLUMNS // len(plan.kinds)
    parts: list[NDArray[np.uint8]] = []
    for label, of in enumerate(counts):
        if of:
            grid = _grid(store, *_names(plan, [plan.mix.image(label, at) for at in spread(of, shown)]))
            parts += [_caption(f"{plan.mix.names[label]}: {of}", *grid.shape[1:]), grid]
    (content,) = png.encode(np.concatenate(parts)[None])
    return content


def indexed_sheet(store: Store, plan: Plan, indices: Iterable[int]) -> bytes:
    """A PNG of these images of a run; see `contact_sheet`."""
    return contact_sheet(store, *_names(plan, indices))


def contact_sheet(store: Store, format: Format, names: list[str], masks: list[str] | None = None) -> bytes:
    """A PNG of the images `names` of a run in 8 columns, at their own size and brightness.

    Where there are `masks` of them, each is followed by itself with an outline around what its mask covers.

    Raises:
        CommandError: 76 where one is not there, damaged or of another size.
    """
    (content,) = png.encode(_grid(store, format, names, masks)[None])
    return content


def _names(plan: Plan, indices: Iterable[int]) -> tuple[Format, list[str], list[str] | None]:
    """What `contact_sheet` takes, of the images with these indices."""
    of = list(indices)
    return plan.format, list(map(plan.image, of)), [name for index in of if (name := plan.mask(index))] or None


def _grid(store: Store, format: Format, names: list[str], masks: list[str] | None = None) -> NDArray[np.uint8]:
    images = list(read_images(store, format, names))
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            raise _unfit(store, name, "of another size")
    if masks is not None:
        images = _pairs(images, read_images(store, format.of_masks(), masks))
    return tiled(images)


def _pairs(images: list[NDArray[np.uint8]], masks: Iterable[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Each image in colour, uint8 `[H, W, 3]` or with transparency `[H, W, 4]`, then the same with its mask outlined.

    Masks are uint8 `[H, W, 1]`. An outline is seen wherever it is, also where the image is not.
    """
    pairs = []
    for image, mask in zip(images, masks, strict=True):
        clear = image.shape[2] % 2 == 0
        colour = np.broadcast_to(image[..., :-1] if clear else image, (*image.shape[:2], 3))
        plain = np.concatenate([colour, image[..., -1:]], axis=2) if clear else colour
        outlined = plain.copy()
        outlined[_around(mask[..., 0] > 0)] = (*_OUTLINE, 255)[: plain.shape[2]]
        pairs += [plain, outlined]
    return pairs


def _around(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels outside that touch an inside, also at a corner: bool `[H, W]`. So nothing inside is painted over."""
    wider = np.pad(inside, 1)
    rows = wider[:-2] | wider[1:-1] | wider[2:]
    return (rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]) & ~inside


def _caption(text: str, width: int, channels: int) -> NDArray[np.uint8]:
    """A line of text, black on white: uint8 `[14, width, channels]`."""
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("L", (width, _CAPTION), 255)
    letters = text.encode("latin-1", "replace").decode("latin-1")  # more the font does not have
    ImageDraw.Draw(line).text((GAP, GAP), letters, fill=0, font=ImageFont.load_default_imagefont())
    caption = np.repeat(np.asarray(line, np.uint8)[:, :, None], channels, axis=2)
    if channels % 2 == 0:
        caption[..., -1] = 255  # transparency
    return caption


def read_images(store: Store, format: Format, names: Iterable[str]) -> Iterator[NDArray[np.uint8]]:
    """Images of a run, each uint8 `[H, W, C]`; see `image_of`."""
    return store.map(partial(image_of, store, format), names)


def image_of(store: Store, format: Format, name: str) -> NDArray[np.uint8]:
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
