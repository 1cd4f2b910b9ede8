"""Workers on a Ray cluster, as `jobs.workers.pool` has them on this machine.

Ray places them, tells of their end, and limits nothing else: each has at most two pieces of work, and one that dies is
replaced by a new actor rather than by Ray's own `max_restarts` and `max_task_retries`, which retry in silence: it must
be told at which shard how many died.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from jobs.dataset import png
from jobs.dataset.layout import STATE
from jobs.dataset.shard import Shard
from jobs.dataset.state import SessionFacts
from jobs.stores.opening import open_store
from jobs.stores.place import place
from jobs.workers.crew import POLL_SECONDS, QUEUED, Crew, Done, Failed, Order
from jobs.workers.ray_cluster import cluster
from jobs.workers.ray_worker import Maker, Opened
from models.errors import CommandError, ExitCode
from models.files import temporary_name
from models.log import log
from models.mix import Mix

_PLACED_WITHIN_SECONDS = 30.0
"""After which it is said that the cluster has no room for any worker."""


class _Worker:
    """An actor, and the calls that it has not answered, in order: where it is, its session, its pieces of work."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.calls: deque[Any] = deque([actor.where.remote(), actor.open.remote()])
        self.pieces: deque[Shard] = deque()
        self.node = ""
        self.is_open = False
        self.heard = time.monotonic()

    def take(self, piece: Shard, batch_size: int, token: str | None, mix: Mix | None) -> None:
        """Tell it of a piece of work."""
        if not self.pieces:
            self.heard = time.monotonic()
        self.pieces.append(piece)
        self.calls.append(self.actor.make.remote(piece, batch_size, token, mix))

    @property
    def at(self) -> Shard | None:
        """What it works at; None before the first."""
        return self.pieces[0] if self.pieces else None


class RayPool:
    """Workers of one run on a Ray cluster; see `jobs.workers.crew.Pool`.

    Args:
        order: what they work with.
        address: of a running cluster, see `cluster`; None to start one here.
        gpus: a worker's share, which may be a part of one; None: 1 where the cluster has GPUs and they may be used.
        count: how many; None: as many as the cluster has room for.
        most: how many could find something to do.
        cores: of a cluster that is started here.
        check: called at least every 0.2 s while waiting; what it raises ends the work.

    Raises:
        CommandError: 66 where the model cannot be read; see `cluster`.
    """

    whole_shards = True

    def __init__(
        self,
        order: Order,
        address: str | None,
        gpus: float | None,
        count: int | None,
        most: int,
        cores: int,
        check: Callable[[], None],
    ) -> None:
        from jobs.workers.session import read_model  # here, since it loads ONNX Runtime

        model = read_model(order.model)
        out = place(order.out)
        self._is_folder = isinstance(out, Path)
        self._order = replace(order, out=str(out.absolute())) if isinstance(out, Path) else order
        self._check, self._crew = check, Crew(order)
        self._end = contextlib.ExitStack()
        with contextlib.ExitStack() as on_error:
            self._ray = on_error.enter_context(cluster(address, cores, len(model)))
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            has_gpus = any(node.get("GPU") for node in nodes)
            self._gpus = gpus if gpus is not None else float(has_gpus and order.device != "cpu")
            if address is None and self._gpus > sum(node.get("GPU", 0) for node in nodes):
                raise CommandError(
                    ExitCode.NO_DEVICE, f"a worker is to have {self._gpus:g} GPUs, which this machine has not"
                )
            self._model = self._ray.put(model)
            self._remote = self._ray.remote(Maker)
            room = sum(_fit(node, self._gpus) for node in nodes)
            check()
            self._workers = [self._start() for _ in range(min(count or max(room, 1), most))]
            self._end = on_error.pop_all()
        self._asked = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._end.close()

    @property
    def size(self) -> int:
        """How many workers there are, or will be once the cluster has room for them."""
        return len(self._workers)

    def grow(self, count: int) -> None:
        """Nothing: all were asked for at the start, and this machine's cores say nothing about the cluster's."""

    def ready(self) -> SessionFacts:
        """Wait for the first worker's session; see `Pool`."""
        while self._crew.facts is None:
            for _ in self._messages(deque()):
                pass
        return self._crew.facts

    def run(self, pieces: Iterable[Shard], batch_size: int, mix: Mix | None = None) -> Iterator[Done]:
        """Have pieces made; see `Pool`.

        Raises:
            CommandError: 73, too, where `out` is a folder that is another one, or none, on a worker's machine.
        """
        waiting = iter(pieces)
        again: deque[Shard] = deque()
        with self._token() as token:
            while True:
                self._hand_out(again, waiting, batch_size, token, mix)
                is_open = any(worker.is_open for worker in self._workers)
                if is_open and not any(worker.pieces for worker in self._workers):
                    return
                yield from self._messages(again)

    def _start(self) -> _Worker:
        return _Worker(self._remote.options(num_cpus=1, num_gpus=self._gpus).remote(self._order, self._model))

    @contextlib.contextmanager
    def _token(self) -> Iterator[str | None]:
        """A file in the run's folder by which other machines know it; what a kill leaves of it is a temporary file."""
        if not self._is_folder:
            yield None
            return
        store = open_store(self._order.out)
        name = temporary_name(Path(f"{STATE}.{secrets.token_hex(8)}")).name
        store.write(name, b"")
        try:
            yield name
        finally:
            with contextlib.suppress(OSError):  # what goes wrong there met the work, too
                store.remove(".", [name])

    def _hand_out(
        self, again: deque[Shard], waiting: Iterator[Shard], batch_size: int, token: str | None, mix: Mix | None
    ) -> None:
        for queued in range(QUEUED):  # one for each before a second for any
            for worker in self._workers:
                if worker.is_open and len(worker.pieces) == queued:
                    piece = again.popleft() if again else next(waiting, None)
                    if piece:
                        worker.take(piece, batch_size, token, mix)

    def _messages(self, again: deque[Shard]) -> Iterator[Done]:
        self._check()
        calls = {worker.calls[0]: worker for worker in self._workers if worker.calls}
        heard, silent = self._ray.wait(list(calls), timeout=POLL_SECONDS)
        for call in heard:
            yield from self._hear(calls[call], again)
        for call in silent:
            worker = calls[call]
            waited = time.monotonic() - worker.heard
            if worker.node and waited > self._order.patience(worker.at):
                self._replace(worker, again, f"it hung: not a word in {waited:.0f} s")
        self._tell_of_waiting()

    def _hear(self, worker: _Worker, again: deque[Shard]) -> Iterator[Done]:
        worker.heard = time.monotonic()
        try:
            message = self._ray.get(worker.calls.popleft())
        except self._ray.exceptions.RayTaskError:
            raise  # a bug: what goes wrong in a worker is an answer
        except self._ray.exceptions.RayError as error:
            if "error raised in its creation task" in str(error):  # which does nothing but load this package
                raise CommandError(
                    ExitCode.NO_DEVICE,
                    "a node of the cluster cannot load this package; install it there, in the same version: "
                    f"{_lines(error)[-1]}",
                ) from None
            self._replace(worker, again, _cause(error))
            return
        if isinstance(message, Done):
            worker.pieces.popleft()
            yield message
        elif isinstance(message, Opened):
            worker.is_open = True
            self._agree(message, worker.node)
        elif isinstance(message, Failed):
            raise message.error()
        else:
            worker.node = message

    def _agree(self, opened: Opened, node: str) -> None:
        self._crew.agree(opened.facts, node)
        if opened.encoder != png.ENCODER:
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"the encoder here is {png.ENCODER}, on {node} {opened.encoder}: install the same zlib-ng everywhere",
            )

    def _replace(self, dead: _Worker, again: deque[Shard], cause: str) -> None:
        """Put a new worker in the place of one that died, or that hangs; its pieces are to be made again."""
        self._ray.kill(dead.actor)
        again.extendleft(reversed(dead.pieces))
        self._crew.died(dead.at, cause, dead.node)
        self._workers[self._workers.index(dead)] = self._start()

    def _tell_of_waiting(self) -> None:
        if any(worker.node for worker in self._workers):
            self._asked = time.monotonic()
        elif time.monotonic() - self._asked > _PLACED_WITHIN_SECONDS:
            log.warning("the cluster has no room yet for a worker of 1 CPU and %g GPUs; waiting", self._gpus)
            self._asked = time.monotonic()


def _fit(resources: dict[str, float], gpus: float) -> int:
    """How many workers a node has room for, when it has nothing else to do."""
    cpus = int(resources.get("CPU", 0))
    return min(cpus, int(resources.get("GPU", 0) / gpus)) if gpus else cpus


def _cause(error: Exception) -> str:
    """Why an actor ended, in a few words of Ray's many."""
    if type(error).__name__ == "ActorUnavailableError":
        return "it or its node was killed, or is out of reach"
    text = " ".join(_lines(error))
    because = re.search(r"(?:Worker exit type:|The actor(?: is dead| died) because|Task was killed) [^.]*", text)
    return because[0] if because else text[:100]


def _lines(error: Exception) -> list[str]:
    """What an error says, without colours and empty lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()
    return [line.strip() for line in lines if line.strip()] or [type(error).__name__]
