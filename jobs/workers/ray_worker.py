"""A worker on a Ray cluster: an actor with a session of its own. Its machine needs this package and Ray, no file."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jobs.dataset import png
from jobs.dataset.shard import Shard
from jobs.dataset.state import SessionFacts
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from jobs.workers.crew import Done, Failed, Order
from jobs.workers.piece import write_images
from models.errors import CommandError, ExitCode
from models.mix import Mix

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

Answer = TypeVar("Answer")
_SEEN_WITHIN_SECONDS = 10.0
"""Until a file that one machine made is there for another one that shares the folder."""


@dataclass(frozen=True)
class Opened:
    """A session that a worker opened, and the encoder that it will use."""

    facts: SessionFacts
    encoder: str


class Maker:
    """Makes pieces of shards, one call each. What goes wrong is an answer, too, so that Ray wraps no error of ours.

    Args:
        order: what it works with; the file of the model is somewhere else.
        model: that file's content.
    """

    def __init__(self, order: Order, model: bytes) -> None:
        self._order, self._model = order, model
        self._node = socket.gethostname()
        self._session: GeneratorSession | None = None
        self._store: Store | None = None

    def where(self) -> str:
        """The machine's name."""
        return self._node

    def open(self) -> Opened | Failed:
        """Open the session, before anything is made."""
        return self._answer(self._open)

    def make(self, piece: Shard, batch_size: int, token: str | None, mix: Mix | None = None) -> Done | Failed:
        """Make a piece and flush it, since the commit comes from another machine.

        Args:
            piece: what is missing of a shard.
            batch_size: images a batch.
            token: a file that this machine must see in the run's folder; None where it is no folder.
            mix: of a run with classes.
        """
        return self._answer(lambda: self._make(piece, batch_size, token, mix))

    def _answer(self, work: Callable[[], Answer]) -> Answer | Failed:
        try:
            return work()
        except Exception as error:
            return Failed.of(error, self._node)

    def _open(self) -> Opened:
        from jobs.workers.session import GeneratorSession  # here, so that an error of its import is answered, too

        with tempfile.TemporaryDirectory(prefix="gan-batch-") as folder:
            path = Path(folder, self._order.model.name)
            path.write_bytes(self._model)
            try:
                self._session = GeneratorSession(path, self._order.device)
            except CommandError as error:
                named = str(error).replace(str(path), str(self._order.model))
                raise CommandError(error.exit_code, named) from None
        self._session.path = self._order.model
        return Opened(self._session.facts, png.ENCODER)

    def _make(self, piece: Shard, batch_size: int, token: str | None, mix: Mix | None) -> Done:
        assert self._session, "`open` comes first"
        if self._store is None:
            store = open_store(self._order.out)
            if token:
                self._check_shared(store, token)
            self._store = store
        order = self._order
        written = write_images(piece, self._session, self._store, order.seed, batch_size, order.format, mix, order.wish)
        formats = [order.format, *([order.format.of_masks()] if self._session.info.has_masks else [])]
        self._store.flush(*(format.holder(piece.number) for format in formats))
        return written.done(piece)

    def _check_shared(self, store: Store, token: str) -> None:
        start = time.monotonic()
        while not store.exists(token):
            if time.monotonic() - start > _SEEN_WITHIN_SECONDS:
                raise CommandError(
                    ExitCode.CANNOT_WRITE,
                    f"{store} is not the folder that the run is in: `out` must be on a file system that all nodes of "
                    "the cluster share, or in an object store",
                )
            time.sleep(0.2)
