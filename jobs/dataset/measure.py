"""What the quality gate needs to know of each image, taken when it is made.

The measures of a shard lie in `_quality/`, so that a run that was cut off, or another machine, need not look again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.formats import Format
from jobs.dataset.layout import measures_name
from jobs.dataset.manifest import Row
from jobs.dataset.sheet import image_of
from jobs.stores.store import Store

SUSPECT = 0.02
"""Share of clipped pixels from which an image is looked at again: what is not finite becomes black or white."""
_LINES = re.compile(rb"(?:\d+,\d+\.\d+,\d+\.\d+,[01]\n)+")
Finite = Callable[[], NDArray[np.bool_]]


@dataclass(frozen=True)
class Measure:
    """What the gate keeps of one image; the fields are the columns.

    Attributes:
        index: of the image.
        contrast: standard deviation of a fifth of its pixels, in gray values, in the channel that has most; 0 only
            where all pixels are equal.
        clipped: share of its values that are 0 or 255.
        finite: 1, or 0 where the generator gave values that are no numbers.
    """

    index: int
    contrast: float
    clipped: float
    finite: int = 1


HEADER = ",".join(field.name for field in fields(Measure))
HEADER_LINE = f"{HEADER}\n".encode()


def measure(start: int, pixels: NDArray[np.uint8], finite: Finite) -> list[Measure]:
    """Measure a batch.

    Args:
        start: index of its first image.
        pixels: uint8 `[N, H, W, C]`.
        finite: asked for bool `[N]` where an image is suspect.
    """
    pixels = pixels[..., : pixels.shape[-1] - (pixels.shape[-1] + 1) % 2]  # without transparency
    n, _, width, channels = pixels.shape
    planes = pixels.transpose(0, 3, 1, 2).reshape(n * channels, -1)
    # Every fifth value is enough for the contrast, or seventh, so that no column is left out.
    values = planes[:, :: 7 if width % 5 == 0 else 5].astype(np.float64)  # in it these sums are exact
    used = values.shape[1]
    variance = np.einsum("ij,ij->i", values, values) / used - (values.sum(axis=1) / used) ** 2
    low, high = planes.min(axis=1), planes.max(axis=1)
    contrast = np.where(low == high, 0.0, np.sqrt(variance.clip(1e-4))).reshape(n, channels).max(axis=1)
    clipped = np.zeros(len(planes))
    ends = (low == 0) | (high == 255)
    clipped[ends] = np.count_nonzero((planes[ends] == 0) | (planes[ends] == 255), axis=1) / planes.shape[1]
    clipped = clipped.reshape(n, channels).mean(axis=1)
    suspect = clipped >= SUSPECT
    whole = finite() | ~suspect if suspect.any() else ~suspect
    return [
        Measure(start + i, round(float(contrast[i]), 2), round(float(clipped[i]), 4), int(whole[i])) for i in range(n)
    ]


def lines(measures: Sequence[Measure]) -> bytes:
    """Measures as lines of CSV."""
    return "".join(f"{m.index},{m.contrast},{m.clipped},{m.finite}\n" for m in measures).encode()


def shard_lines(
    store: Store, number: int, rows: Sequence[Row], format: Format, finite: Callable[[int], NDArray[np.bool_]]
) -> bytes:
    """The measures of a shard's images, as lines; where they are not there, the images are looked at again.

    Args:
        store: where the run is.
        number: of the shard.
        rows: of its images; there may be fewer than there are measures.
        format: of the run.
        finite: what `measure` asks, of an image by its index: bool `[1]`.

    Raises:
        CommandError: 76 where an image is not there or damaged.
    """
    if not rows:
        return b""
    content = store.read(measures_name(number)) or b""
    known = content.removeprefix(HEADER_LINE).splitlines(keepends=True)[: len(rows)]
    whole = [line.split(b",")[0] for line in known] == [b"%d" % row.index for row in rows]
    if content.startswith(HEADER_LINE) and whole and is_table(b"".join(known)):
        return b"".join(known)
    images = ((row.index, image_of(store, format, row.file_name)[None]) for row in rows)
    return lines([found for index, image in images for found in measure(index, image, partial(finite, index))])


def is_table(content: bytes) -> bool:
    """Whether these are lines as `lines` writes them."""
    return _LINES.fullmatch(content) is not None


def as_array(content: bytes) -> NDArray[np.float64]:
    """Lines of measures as float64 `[N, 4]`; an index is exact in it."""
    return np.array([line.split(b",") for line in content.splitlines()], np.float64)
