"""Worker processes: started, fed, watched, replaced when they die, and never left behind.

Processes rather than threads: as fast on two cores, nothing waits for a shared interpreter lock where there are more,
and a crash in native code or a kill for memory costs one piece instead of the run. The price is a session each, in
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
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait

from jobs.dataset.shard import Shard
from jobs.dataset.state import SessionFacts
from jobs.workers.crew import POLL_SECONDS, QUEUED, Crew, Done, Order
from models.mix import Mix
from models.stopping import SIGNALS, signal_name


class _Worker:
    def __init__(self, order: Order) -> None:
        ours, theirs = socket.socketpair()
        # A child begins with these signals blocked and leaves them so: this process hears them and ends its workers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobs.workers.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={
                    "OPENBLAS_NUM_THREADS": "1",  # a worker a core: each would have NumPy's threads for all cores, idle
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
                },
            )
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.connection = Connection(ours.detach())
        self.pieces: deque[Shard] = deque()
        self.started, self.heard = False, time.monotonic()
        self.send(order)

    def take(self, piece: Shard, batch_size: int, mix: Mix | None) -> None:
        """Tell it of a piece."""
        if not self.pieces:
            self.heard = time.monotonic()
        self.pieces.append(piece)
        self.send((piece, batch_size, mix))

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died: the end of its connection will tell
            self.connection.send(message)

    def end(self) -> int:
        """Kill it; returns how it ended."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()


class WorkerPool:
    """Worker processes of one run on this machine; see `jobs.workers.crew.Pool`.

    Args:
        order: what they work with.
        count: how many.
        check: called at least every 0.2 s while waiting; what it raises ends the work.
    """

    def __init__(self, order: Order, count: int, check: Callable[[], None]) -> None:
        self._order, self._check, self._crew = order, check, Crew(order)
        self.whole_shards = order.format.is_whole
        self._workers = [_Worker(order) for _ in range(count)]

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
        """Wait for the first worker's session; see `Pool`."""
        while self._crew.facts is None:
            for _ in self._messages(deque()):
                pass
        return self._crew.facts

    def run(self, pieces: Iterable[Shard], batch_size: int, mix: Mix | None = None) -> Iterator[Done]:
        """Have pieces made; see `Pool`."""
        waiting = iter(pieces)
        again: deque[Shard] = deque()
        while True:
            self._hand_out(itertools.chain(_popped(again), waiting), batch_size, mix)
            if not any(worker.pieces for worker in self._workers):
                return
            yield from self._messages(again)

    def _hand_out(self, pieces: Iterator[Shard], batch_size: int, mix: Mix | None) -> None:
        for queued in range(QUEUED):  # one for each before a second for any
            for worker in self._workers:
                if len(worker.pieces) == queued and (piece := next(pieces, None)):
                    worker.take(piece, batch_size, mix)

    def _messages(self, again: deque[Shard]) -> Iterator[Done]:
        self._check()
        heard = wait([worker.connection for worker in self._workers], POLL_SECONDS)
        for number, worker in enumerate(self._workers):
            at = worker.pieces[0] if worker.pieces else None
            if worker.connection not in heard:
                waited = time.monotonic() - worker.heard
                if (at or not worker.started) and waited > self._order.patience(at):
                    self._replace(number, again, f"it hung: not a word in {waited:.0f} s")
                continue
            worker.heard = time.monotonic()
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._replace(number, again)
                continue
            if isinstance(message, Done):
                worker.pieces.popleft()
                yield message
            elif isinstance(message, SessionFacts):
                worker.started = True
                self._crew.agree(message)
            else:
                raise message.error()

    def _replace(self, number: int, again: deque[Shard], cause: str = "") -> None:
        """Put a new worker in the place of one that died, or that hangs; its pieces are to be made again."""
        dead = self._workers[number]
        again.extendleft(reversed(dead.pieces))
        code = dead.end()
        if not cause:
            cause = f"signal {-code}, {signal_name(-code)}" if code < 0 else f"exit code {code}"
        self._crew.died(dead.pieces[0] if dead.pieces else None, cause)
        self._workers[number] = _Worker(self._order)


def _popped(pieces: deque[Shard]) -> Iterator[Shard]:
    while pieces:
        yield pieces.popleft()
