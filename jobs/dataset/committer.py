"""Commits finished shards in the background, so that workers need not wait for the disk."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from jobs.dataset import manifest, measure
from jobs.dataset.layout import manifest_name, measures_name
from jobs.dataset.shard import Shard
from jobs.stores.store import Store

_PATIENCE_SECONDS = 0.6
_Finished = tuple[Shard, bytes, bytes]


class Committer:
    """A thread that takes all shards finished meanwhile and commits them with one flush.

    Leaving the block waits until everything is committed; leaving it by an exception waits a second, and drops what is
    not committed by then.

    Args:
        store: where to.
        on_commit: called in the thread, for each shard that is committed.
        check: called while the disk lets us wait; what it raises ends the waiting.
        column_names: of the shards' manifests.
    """

    def __init__(
        self,
        store: Store,
        on_commit: Callable[[Shard], None],
        check: Callable[[], None],
        column_names: bytes = manifest.column_names(),
    ) -> None:
        self._store, self._on_commit, self._check = store, on_commit, check
        self._column_names = column_names
        self._finished: queue.Queue[_Finished | None] = queue.Queue(maxsize=64)
        self._error: Exception | None = None
        self._dropped = False
        self._let_go = store.hold()  # the folder stays this process's while a commit is under way, come what may
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Committer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self._put(None)
                while self._thread.is_alive():
                    self._thread.join(0.2)
                    self._check()
                if self._error:
                    raise self._error
        finally:
            if self._thread.is_alive():
                with contextlib.suppress(queue.Full):
                    self._finished.put(None, timeout=_PATIENCE_SECONDS)
                self._thread.join(_PATIENCE_SECONDS)
                self._dropped = True

    def commit(self, shard: Shard, manifest_lines: bytes, measures: bytes) -> None:
        """Have a shard committed whose images are written.

        Raises:
            Exception: what went wrong with an earlier one.
        """
        if self._error:
            raise self._error
        self._put((shard, manifest_lines, measures))

    def _put(self, item: _Finished | None) -> None:
        while self._thread.is_alive():
            try:
                return self._finished.put(item, timeout=0.2)
            except queue.Full:
                self._check()

    def _work(self) -> None:
        more = True
        try:
            while more:
                group = [self._finished.get()]
                while not self._finished.empty():
                    group.append(self._finished.get())
                more = None not in group and not self._dropped
                finished = [item for item in group if item is not None]
                if finished and not self._dropped:
                    self._commit(finished)
        except Exception as error:
            self._error = error
        finally:
            self._let_go()

    def _commit(self, group: list[_Finished]) -> None:
        files = {measures_name(shard.number): measure.HEADER_LINE + measures for shard, _, measures in group}
        files |= {manifest_name(shard.number): self._column_names + rows for shard, rows, _ in group}
        self._store.commit(files)
        for shard, _, _ in group:
            self._on_commit(shard)
