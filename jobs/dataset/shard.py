"""The shard: the unit of commit and of distribution, made in slices of one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jobs.dataset import png
from jobs.dataset.layout import image_name, shard_folder, tar_name
from jobs.dataset.manifest import Row
from jobs.dataset.measure import Measure, measure
from jobs.dataset.tars import pack
from jobs.stores.store import Store

if TYPE_CHECKING:  # ONNX Runtime is loaded by who has a session
    from jobs.workers.session import GeneratorSession


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop - 1`, in one folder or tar file.

    Attributes:
        replaces: the version of the tar file, see `Store.version`, in whose place that of this shard comes.
    """

    number: int
    start: int
    stop: int
    replaces: Mapping[str, str] | None = None

    @property
    def folder(self) -> str:
        """The folder's name, relative to the run's folder."""
        return shard_folder(self.number)


def plan(count: int, shard_size: int) -> Iterator[Shard]:
    """The shards of images 0 to `count - 1`; the last one may be partial."""
    for number, start in enumerate(range(0, count, shard_size)):
        yield Shard(number, start, min(start + shard_size, count))


def make_images(
    part: Shard, session: GeneratorSession, seed: int, batch_size: int, *, tarred: bool = False
) -> Iterator[tuple[Row, Measure, bytes]]:
    """The images of a shard or of a part of one, in order: a row, what the quality gate wants to know, the file.

    Args:
        part: which images.
        session: the generator.
        seed: of the latents.
        batch_size: images a batch; the last one may be smaller.
        tarred: whether the shard is a tar file.
    """
    for start in range(part.start, part.stop, batch_size):
        stop = min(start + batch_size, part.stop)
        inputs = session.inputs(seed, start, stop)
        pixels = session.pixels(inputs, batch_size)
        _, height, width, channels = pixels.shape
        mode = "L" if channels == 1 else "RGB"
        measures = measure(start, pixels, partial(session.finite, inputs))
        for index, found, content in zip(range(start, stop), measures, png.encode(pixels), strict=True):
            digest = hashlib.sha256(content).hexdigest()
            name = image_name(index, part.number, tarred=tarred)
            yield Row(index, name, seed, digest, width, height, mode, len(content)), found, content


def write_images(
    part: Shard, session: GeneratorSession, store: Store, seed: int, batch_size: int, *, tarred: bool = False
) -> tuple[list[Row], list[Measure]]:
    """Make the images of a shard or of a part of one, and write them; they count once their manifest is committed.

    A tar file is of a whole shard, and is all in memory before it is written.

    Raises:
        CommandError: 75 where the tar file is not the one that `part` replaces; what the session or the store raises.
    """
    rows, measures = [], []
    files: list[tuple[str, bytes]] = []
    for row, found, content in make_images(part, session, seed, batch_size, tarred=tarred):
        if tarred:
            files.append((row.file_name.partition("/")[2], content))
        else:
            store.write(row.file_name, content)
        rows.append(row)
        measures.append(found)
    if tarred:
        store.write_over(tar_name(part.number), pack(files), part.replaces)
    store.settle()
    return rows, measures
