"""Threads that wait for the network, many at once, and end with the process even in the middle of a request."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DaemonPool:
    """Like `ThreadPoolExecutor`, whose threads however hold up a process that ends until their requests are over.

    Args:
        size: threads; started as they are needed.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._started = 0
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()

    def submit(self, call: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        """Have `call(*arguments)` done."""
        future: Future[_Result] = Future()
        self._tasks.put((future, call, arguments))
        if self._started < self.size:
            self._started += 1
            threading.Thread(target=self._work, name="network", daemon=True).start()
        return future

    def map(self, call: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Results in the order of `items`, of which only some are taken ahead."""
        pending: deque[Future[_Result]] = deque()
        for item in items:
            pending.append(self.submit(call, item))
            if len(pending) > 2 * self.size:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _work(self) -> None:
        while True:
            future, call, arguments = self._tasks.get()
            try:
                future.set_result(call(*arguments))
            except BaseException as error:  # it belongs to whoever asks for the result
                future.set_exception(error)
