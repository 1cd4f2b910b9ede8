"""The workers of a run, wherever they are: what they are told, what they answer, and how often they may die."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from jobs.dataset.formats import Format
from jobs.dataset.shard import Shard
from jobs.dataset.state import SessionFacts
from models.errors import CommandError, ExitCode, writing_error
from models.log import log
from models.mix import Mix
from models.wish import Wish

TRIES = 3
"""Workers that may die at one shard before the run gives up."""
QUEUED = 2
"""Pieces of work that a worker has been told of, so that it never waits for the next."""
POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 600.0, 1.0
"""How long a worker may say nothing unless told otherwise, and for each candidate of its piece."""


@dataclass(frozen=True)
class Order:
    """What a worker works with; the first message to it.

    Attributes:
        model: the ONNX file.
        device: `auto`, `cuda` or `cpu`.
        out: the store, as `open_store` takes it.
        seed: of the latents.
        timeout: seconds that a piece of work, or the start, may take; None: 600 and 1 for each image,
            or where there is a wish for each of the candidates that it takes.
        format: of the run.
        wish: of a run that has one.
    """

    model: Path
    device: str
    out: str
    seed: int
    format: Format
    timeout: float | None = None
    wish: Wish | None = None

    def patience(self, piece: Shard | None) -> float:
        """Seconds after which a worker that is silent about `piece`, or about its start, is taken to hang."""
        base, per_image = _PATIENCE_SECONDS
        return self.timeout or base + per_image * (piece.images * piece.candidates if piece else 0)


@dataclass(frozen=True)
class Done:
    """A piece that is written: its lines of the shard's manifest and of the shard's measures, and how many candidates
    its images took."""

    piece: Shard
    manifest: bytes
    measures: bytes
    candidates: int


@dataclass(frozen=True)
class Failed:
    """Why a worker ended: a line for the user with its exit code, and the traceback where it is a bug."""

    exit_code: int
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, error: Exception, node: str = "") -> Failed:
        """What a worker tells of an exception; `node` is the machine, where that is not the one of the run."""
        if isinstance(error, OSError):
            error = writing_error(error)
        at = f"on {node}: " if node else ""
        if isinstance(error, CommandError):
            return cls(error.exit_code, f"{at}{error}")
        # The last net: what lands here is a bug, and who started the worker says so.
        return cls(ExitCode.BUG, f"{at}{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))

    def error(self) -> Exception:
        """It as an exception of this process."""
        if self.exit_code != ExitCode.BUG:
            return CommandError(self.exit_code, self.message)
        bug = RuntimeError(f"in a worker: {self.message}")
        bug.add_note(self.traceback)
        return bug


class Pool(Protocol):
    """Workers of one run. They end with the block, and with this process however it ends.

    Attributes:
        whole_shards: whether a piece of work is to be all that is missing of a shard, rather than a batch.
    """

    whole_shards: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    @property
    def size(self) -> int:
        """How many workers there are."""

    def grow(self, count: int) -> None:
        """Have `count` workers, where there are fewer and that depends on this machine."""

    def ready(self) -> SessionFacts:
        """Wait for the first worker's session.

        Raises:
            CommandError: what the session raised (see `GeneratorSession`).
        """

    def run(self, pieces: Iterable[Shard], batch_size: int, mix: Mix | None = None) -> Iterator[Done]:
        """Have pieces made; yields them as they are done, which may be in another order.

        Args:
            pieces: taken from as workers come free.
            batch_size: images a batch.
            mix: of a run with classes. It goes with the work and not with the order, since the classes are those that
                the first session finds in the model.

        Raises:
            CommandError: what a worker raised; 1 where workers died `TRIES` times at one shard.
        """


class Crew:
    """What is known of a run's workers.

    Args:
        order: what they work with.

    Attributes:
        facts: what the first session turned out to be.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._deaths: Counter[int | None] = Counter()
        self.facts: SessionFacts | None = None

    def agree(self, facts: SessionFacts, node: str = "") -> None:
        """Take in a session of a worker, on the machine `node` where that is not this one.

        Raises:
            CommandError: 69, 78 where it is another than the ones before.
        """
        self._deaths.pop(None, None)
        if self.facts is None:
            self.facts = facts
            return
        at = f" on {node}" if node else ""
        if facts.provider != self.facts.provider:
            raise CommandError(
                ExitCode.NO_DEVICE,
                f"one worker got {self.facts.provider}, another{at} {facts.provider} ({facts.reason}): "
                + ("give `device`" if node else "fewer `workers`"),
            )
        if facts.onnxruntime != self.facts.onnxruntime:
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"one worker has ONNX Runtime {self.facts.onnxruntime}, another{at} {facts.onnxruntime}: "
                "install the same",
            )
        if facts != self.facts:
            raise CommandError(ExitCode.OTHER_RUN, f"{self._order.model} changed while the run was at work")

    def died(self, piece: Shard | None, cause: str, node: str = "") -> None:
        """Take in that a worker died at `piece`, or while it started.

        Raises:
            CommandError: 1 where that was once too often.
        """
        at = piece.number if piece else None
        where = ("while it started" if at is None else f"at shard {at:05d}") + (f" on {node}" if node else "")
        self._deaths[at] += 1
        if self._deaths[at] >= TRIES:
            raise CommandError(
                ExitCode.BUG,
                f"workers died {TRIES} times {where} ({cause}); where memory is short, "
                "give fewer `workers` or a smaller `batch_size`, and run the same command again",
            )
        log.warning("a worker died %s (%s); what it had in hand is done again", where, cause)
