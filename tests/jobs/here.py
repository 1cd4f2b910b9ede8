"""Workers that are none: a run is made in the process of its test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from jobs.dataset.shard import Shard
from jobs.dataset.state import SessionFacts
from jobs.stores.opening import open_store
from jobs.workers.crew import Done, Order
from jobs.workers.piece import write_images
from jobs.workers.session import GeneratorSession
from models.mix import Mix


class Here:
    """Workers of a run in this process, which spares what a new one takes to start; see `jobs.workers.crew.Pool`."""

    size = 1

    def __init__(self, order: Order) -> None:
        self.whole_shards = order.format.is_whole
        self._order, self._session = order, GeneratorSession(order.model, "cpu")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def grow(self, count: int) -> None:
        pass

    def ready(self) -> SessionFacts:
        return self._session.facts

    def run(self, pieces: Iterable[Shard], batch_size: int, mix: Mix | None = None) -> Iterator[Done]:
        order, store = self._order, open_store(self._order.out)
        for piece in pieces:
            written = write_images(piece, self._session, store, order.seed, batch_size, order.format, mix, order.wish)
            yield written.done(piece)
