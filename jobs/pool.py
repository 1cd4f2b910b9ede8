"""Worker processes: started, fed, watched, replaced when they die, and never left behind.

Processes rather than threads: as fast on two cores, nothing waits for a shared interpreter lock where there are more,
and a crash in native code or a kill for memory costs one slice instead of the run. The price is a session each, in
memory (BENCHMARKS.md).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from jobs.shard import Shard
from jobs.state import SessionFacts
from models.console import CommandError, ExitCode, log

TRIES = 3
"""Workers that may die at one shard before the run gives up."""
_QUEUED = 2
"""Slices that a worker has been told of, so that it never waits for the next."""
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Order:
    """What a worker works with; the first message to it."""

    model: Path
    device: str
    out: str
    seed: int


@dataclass(frozen=True)
class Done:
    """A slice that is written: its lines of the shard's manifest, and of the shard's measures."""

    part: Shard
    manifest: bytes
    measures: bytes


@dataclass(frozen=True)
class Failed:
    """Why a worker ended: a line for the user with its exit code, and the traceback where it is a bug."""

    exit_code: ExitCode
    message: str
    traceback: str = ""


class _Worker:
    def __init__(self, order: Order) -> None:
        ours, theirs = socket.socketpair()
        # A child begins with these signals blocked and leaves them so: this process hears them and ends its workers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobs.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            )
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.connection = Connection(ours.detach())
        self.parts: deque[Shard] = deque()
        self.send(order)

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died: the end of its connection will tell
            self.connection.send(message)

    def end(self) -> int:
        """Kill it; returns how it ended."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()


class WorkerPool:
    """Worker processes of one run. They end with the block, and with this process however it ends.

    Args:
        order: what they work with.
        count: how many.
        check: called at least every 0.2 s while waiting; what it raises ends the work.
    """

    def __init__(self, order: Order, count: int, check: Callable[[], None]) -> None:
        self._order, self._check = order, check
        self._deaths: Counter[int | None] = Counter()
        self._workers = [_Worker(order) for _ in range(count)]
        self._facts: SessionFacts | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.end()

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    def grow(self, count: int) -> None:
        """Have `count` workers, where there are fewer."""
        self._workers += [_Worker(self._order) for _ in range(count - len(self._workers))]

    def ready(self) -> SessionFacts:
        """Wait for the first worker's session.

        Raises:
            CommandError: what the session raised (see `GeneratorSession`).
        """
        while self._facts is None:
            for _ in self._messages(deque()):
                pass
        return self._facts

    def run(self, parts: Iterable[Shard], batch_size: int) -> Iterator[Done]:
        """Have slices made; yields them as they are done, which may be in another order.

        Args:
            parts: slices of at most `batch_size` images; taken from as workers come free.
            batch_size: images a batch.

        Raises:
            CommandError: what a worker raised; 1 where workers died `TRIES` times at one shard.
        """
        waiting = iter(parts)
        again: deque[Shard] = deque()
        while True:
            self._hand_out(itertools.chain(_popped(again), waiting), batch_size)
            if not any(worker.parts for worker in self._workers):
                return
            yield from self._messages(again)

    def _hand_out(self, parts: Iterator[Shard], batch_size: int) -> None:
        for queued in range(_QUEUED):  # one for each before a second for any
            for worker in self._workers:
                if len(worker.parts) == queued and (part := next(parts, None)):
                    worker.parts.append(part)
                    worker.send((part, batch_size))

    def _messages(self, again: deque[Shard]) -> Iterator[Done]:
        self._check()
        heard = wait([worker.connection for worker in self._workers], _POLL_SECONDS)
        for number, worker in enumerate(self._workers):
            if worker.connection not in heard:
                continue
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                again.extendleft(reversed(worker.parts))
                self._workers[number] = self._replace(worker)
                continue
            if isinstance(message, Done):
                worker.parts.popleft()
                yield message
            elif isinstance(message, SessionFacts):
                self._agree(message)
            else:
                self._fail(message)

    def _replace(self, dead: _Worker) -> _Worker:
        at = dead.parts[0].number if dead.parts else None
        code = dead.end()
        cause = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        where = "while it started" if at is None else f"at shard {at:05d}"
        self._deaths[at] += 1
        if self._deaths[at] >= TRIES:
            raise CommandError(
                ExitCode.BUG,
                f"workers died {TRIES} times {where} ({cause}); where memory is short, "
                "give fewer --workers or a smaller --batch-size, and run the same command again",
            )
        log.warning("a worker died %s (%s); what it had in hand is done again", where, cause)
        return _Worker(self._order)

    def _agree(self, facts: SessionFacts) -> None:
        self._deaths.pop(None, None)
        if self._facts is None:
            self._facts = facts
        elif facts.provider != self._facts.provider:
            raise CommandError(
                ExitCode.NO_DEVICE,
                f"one worker got {self._facts.provider}, another {facts.provider} ({facts.reason}): fewer --workers",
            )
        elif facts != self._facts:
            raise CommandError(ExitCode.OTHER_RUN, f"{self._order.model} changed while the run was at work")

    def _fail(self, failed: Failed) -> None:
        if failed.exit_code is ExitCode.BUG:
            bug = RuntimeError(f"in a worker: {failed.message}")
            bug.add_note(failed.traceback)
            raise bug
        raise CommandError(failed.exit_code, failed.message)


def _popped(parts: deque[Shard]) -> Iterator[Shard]:
    while parts:
        yield parts.popleft()
