"""A piece of a shard, made with a session: what every worker does, wherever it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from jobs.dataset import manifest, png
from jobs.dataset.formats import Format
from jobs.dataset.manifest import Row
from jobs.dataset.measure import Measure, lines, measure
from jobs.dataset.shard import Shard
from jobs.stores.store import Store
from jobs.workers.crew import Done
from jobs.workers.drawing import draw
from models.mix import Mix
from models.wish import Wish

if TYPE_CHECKING:  # ONNX Runtime is loaded where there is a session
    from jobs.workers.session import GeneratorSession


class MadeImage(NamedTuple):
    """One image: its row, what the quality gate wants to know, its files, and how many candidates it took."""

    row: Row
    measure: Measure
    image: bytes
    mask: bytes | None
    candidates: int


class Written(NamedTuple):
    """Images that lie in the run: their rows and measures, and how many candidates all of them took."""

    rows: list[Row]
    measures: list[Measure]
    candidates: int

    def done(self, piece: Shard) -> Done:
        """The answer of a worker that was told to make `piece`."""
        return Done(piece, manifest.lines(self.rows), lines(self.measures), self.candidates)


def make_images(
    piece: Shard,
    session: GeneratorSession,
    seed: int,
    batch_size: int,
    format: Format,
    mix: Mix | None = None,
    wish: Wish | None = None,
) -> Iterator[MadeImage]:
    """The images of a shard or of a piece of one, in order, with masks where the generator makes them.

    Args:
        piece: which images.
        session: the generator.
        seed: of the latents.
        batch_size: images a batch; the last one may be smaller.
        format: of the run, which names the images.
        mix: of a run with classes.
        wish: of a run that has one.
    """
    of_masks = format.of_masks()
    for start in range(piece.start, piece.stop, batch_size):
        stop = min(start + batch_size, piece.stop)
        drawn = draw(session, seed, start, stop, batch_size, mix, wish)
        pixels, masks = drawn.pixels, drawn.masks
        _, height, width, channels = pixels.shape
        mode = png.MODES[channels]
        measures = measure(start, pixels, partial(session.finite, drawn.inputs))
        covers = itertools.repeat(None, stop - start) if masks is None else png.encode_masks(masks)
        made = zip(
            range(start, stop), _labels(mix, start, stop), measures, png.encode(pixels), covers, drawn.attempts,
            strict=True,
        )  # fmt: skip
        for index, label, found, content, cover, attempt in made:
            digest = hashlib.sha256(content).hexdigest()
            name = format.image(index, piece.number)
            row = Row(index, name, seed, digest, width, height, mode, len(content), *label)
            if cover is not None:
                row.mask_file_name = of_masks.image(index, piece.number)
                row.mask_sha256 = hashlib.sha256(cover).hexdigest()
            yield MadeImage(row, found, content, cover, attempt + 1)


def _labels(mix: Mix | None, start: int, stop: int) -> list[tuple[str, int]] | list[tuple[None, None]]:
    """Names and numbers of the classes of images, for their rows."""
    if mix is None:
        return [(None, None)] * (stop - start)
    return [(mix.names[label], label) for label in mix.labels(start, stop).tolist()]


def write_images(
    piece: Shard,
    session: GeneratorSession,
    store: Store,
    seed: int,
    batch_size: int,
    format: Format,
    mix: Mix | None = None,
    wish: Wish | None = None,
) -> Written:
    """Make the images of a shard or of a piece of one, with masks where the generator makes them, and write them; they
    count once their manifest is committed.

    Raises:
        CommandError: what `Format.write`, the session or the store raises.
    """
    rows, measures, candidates = list[Row](), list[Measure](), 0
    masks = list[tuple[str, bytes]]()

    def files() -> Iterator[tuple[str, bytes]]:
        nonlocal candidates
        for made in make_images(piece, session, seed, batch_size, format, mix, wish):
            rows.append(made.row)
            measures.append(made.measure)
            candidates += made.candidates
            if made.row.mask_file_name is not None and made.mask is not None:
                masks.append((made.row.mask_file_name, made.mask))
            yield made.row.file_name, made.image

    format.write(store, piece, files())
    if masks:
        format.of_masks().write(store, piece, masks)
    store.settle()
    return Written(rows, measures, candidates)
