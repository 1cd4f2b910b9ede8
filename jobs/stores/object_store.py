"""A run in an object store (S3, Google Cloud Storage, Azure), where a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, BinaryIO, cast

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from jobs.stores.lease import Lease
from jobs.stores.object_client import connect, open_object, says_not_implemented, told_of, version_of
from jobs.stores.object_logs import ObjectLogs
from jobs.stores.store import STATE, TABLE_END_BYTES, Item, Result
from jobs.stores.threads import DaemonPool
from models.errors import CommandError, ExitCode
from models.files import LOCK, PART_LOCK
from models.log import log

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion

_POOL = DaemonPool(32)
_MOST_UNDER_WAY = 64
"""Images that `write` has taken and that are not there yet."""
_PART_BYTES, _PARTS_AT_ONCE = 8 << 20, 4
"""Of an upload or download in parts: 32 MiB in memory, and files of up to 80 GB in S3's 10,000 parts."""
_CLOSE_SECONDS = 5.0


class ObjectStore:
    """Objects below a URL.

    The commit is that of a folder: images, then measures, last the shard's manifest; each waits until what comes before
    it is there. A lease (see `Lease`) stands in for the lock of a folder, and run.json is only ever written where it is
    what was read last. What needs the lease waits until it is good, and ends with 75 where another has it.

    Args:
        url: what `jobs.stores.store.place` gives, such as `s3://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        self._url, self._client = url, connect(url)
        self._under_way: deque[Future[None]] = deque()
        self._lease: Lease | None = None
        self._state: PutMode | None = None  # how run.json may be written; None where it was not looked at
        self._logs = ObjectLogs(self.read, self._put)

    def __str__(self) -> str:
        return self._url

    def close(self) -> None:
        if self._lease is None:
            return
        if self._lease.is_good:
            last = _POOL.submit(self._logs.save)  # apart: a store that does not answer must not hold up the end
            try:
                last.result(_CLOSE_SECONDS)
            except (CommandError, TimeoutError) as error:
                log.warning("the last lines of the log are lost: %s", error or "the store does not answer")
        self._lease.release()
        self._lease = None

    def hold(self) -> Callable[[], None]:
        return self._lease.hold() if self._lease else lambda: None

    def prepare(self) -> None:
        pass  # a prefix needs no making

    def lock(self, part: str | None = None) -> None:
        if self._lease is not None:
            return
        lease = Lease(self._url, LOCK if part is None else f"{LOCK}-{part}", self._client)
        lease.take()
        # Looked for with our own lease taken: of two that begin at once, one at least sees the other.
        others = [Lease(self._url, name, self._client) for name in self.names() if _excludes(name, part)]
        try:
            if any(list(_POOL.map(Lease.is_held, others))):
                raise CommandError(ExitCode.LOCKED, f"another gan-batch is writing to {self._url}")
            if part is None:
                for other in others:
                    other.remove()
        except BaseException:
            lease.release()
            raise
        self._lease = lease

    def is_locked(self) -> bool:
        """Whether there is a lease. One whose holder was killed looks the same until the next start takes it over."""
        return any(name == LOCK or PART_LOCK.fullmatch(name) for name in self.names())

    def names(self, folder: str = ".") -> list[str]:
        with told_of(self._where(folder)):
            found = self._client.list_with_delimiter(None if folder == "." else folder)
        paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        return sorted(path.rpartition("/")[2] for path in paths)

    def exists(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError), told_of(self._where(name)):
            self._client.head(name)
            return True
        return False

    def read(self, name: str) -> bytes | None:
        content: bytes | None = None
        mode: PutMode = "create"
        with contextlib.suppress(FileNotFoundError), told_of(self._where(name)):
            found = self._client.get(name)
            content = found.bytes().to_bytes()
            mode = version_of(found.meta)
        if name == STATE:
            self._state = mode
        return content

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with open_object(self._client, name, self._where(name), _PART_BYTES) as file:
            yield file

    def map(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return _POOL.map(call, items)

    def ends(self, folder: str, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        listing = iter(self._client.list(folder, chunk_size=1000))
        while True:
            with told_of(self._where(folder)):
                some = next(listing, None)
            if some is None:
                return
            files = ((meta["path"].removeprefix(f"{folder}/"), meta) for meta in some)
            yield from _POOL.map(self._end, [pair for pair in files if wanted(pair[0])])

    def check_room(self, images: int, shards: int, image_bytes: int, mask_bytes: int | None = None) -> None:
        pass  # there always is

    def make_folder(self, folder: str, is_foreign: Callable[[str], bool] | None = None) -> None:
        if is_foreign:
            self._remove(folder, list(filter(is_foreign, self.names(folder))))

    def remove(self, folder: str, names: Iterable[str]) -> None:
        self._remove(folder, sorted({*names} & {*self.names(folder)}))

    def remove_temporaries(self, folders: Iterable[str], is_temporary: Callable[[str], object]) -> None:
        pass  # a kill leaves none; of an upload in parts the store keeps what came, where no name shows it

    def write(self, name: str, content: bytes) -> None:
        while len(self._under_way) >= _MOST_UNDER_WAY:
            self._under_way.popleft().result()
        self._under_way.append(_POOL.submit(self._put, name, content))

    def version(self, name: str) -> Mapping[str, str] | None:
        with contextlib.suppress(FileNotFoundError), told_of(self._where(name)):
            return cast("dict[str, str]", version_of(self._client.head(name)))
        return None

    def write_over(self, name: str, content: bytes, version: Mapping[str, str] | None) -> None:
        mode: PutMode = cast("UpdateVersion", version) if version else "create"
        with told_of(self._where(name)):
            try:
                self._client.put(name, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                if self.read(name) != content:  # else an earlier try, whose answer was lost, or a worker's that died
                    raise CommandError(
                        ExitCode.LOCKED, f"another gan-batch has written {self._where(name)}: it stays"
                    ) from None
            except BaseError as error:
                if not says_not_implemented(error):
                    raise
                self._put(name, content)

    def settle(self) -> None:
        while self._under_way:
            self._under_way.popleft().result()

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file, by the next `flush` or `close`: an object can only be written as a whole."""
        self._logs.append(name, content)

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        self._check()
        if name == STATE and isinstance(content, bytes):
            self._replace_state(content)
        elif isinstance(content, bytes):
            self._put(name, content)
        else:
            parts = _from_another_thread(iter(content))
            with told_of(self._where(name)):
                self._client.put(name, parts, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def replace_shared(self, name: str, content: bytes) -> None:
        self.replace(name, content)

    def create(self, name: str, content: bytes) -> bool:
        self._check()
        if not self._is_conditional():
            made = not self.exists(name)
            if made:
                self._put(name, content)
            return made
        try:
            with told_of(self._where(name)):
                self._client.put(name, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def flush(self, *folders: str) -> None:
        self.settle()
        self._check()
        self._logs.save()

    def commit(self, files: Mapping[str, bytes]) -> None:
        self.settle()
        for _, group in itertools.groupby(files.items(), lambda item: item[0].rpartition("/")[0]):
            self._check()
            for _ in _POOL.map(lambda item: self._put(*item), group):
                pass
        self._logs.save_those_due()

    def _where(self, name: str) -> str:
        return self._url if name == "." else f"{self._url}/{name}"

    def _check(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def _is_conditional(self) -> bool:
        return self._lease is None or self._lease.is_conditional

    def _put(self, name: str, content: bytes) -> None:
        with told_of(self._where(name)):
            self._client.put(name, content, use_multipart=False)

    def _end(self, file: tuple[str, ObjectMeta]) -> tuple[str, bytes]:
        name, meta = file
        start = max(0, meta["size"] - TABLE_END_BYTES)
        with contextlib.suppress(FileNotFoundError), told_of(self._where(meta["path"])):
            if start:
                return name, bytes(self._client.get_range(meta["path"], start=start, length=TABLE_END_BYTES))
            return name, self._client.get(meta["path"]).bytes().to_bytes()
        return name, b""

    def _remove(self, folder: str, names: list[str]) -> None:
        self._check()
        paths = names if folder == "." else [f"{folder}/{name}" for name in names]
        with contextlib.suppress(FileNotFoundError), told_of(self._where(folder)):
            self._client.delete(paths)

    def _replace_state(self, content: bytes) -> None:
        """Write run.json where it is still what was read last.

        Raises:
            CommandError: 75 or 78 where it is not: another run began here at the same time.
        """
        if self._state is None:
            self.read(STATE)
        mode = self._state if self._is_conditional() else "overwrite"
        try:
            with told_of(self._where(STATE)):
                self._state = version_of(self._client.put(STATE, content, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            theirs = self.read(STATE)
            if theirs == content:  # our own: the answer to an earlier try was lost
                return
            same = theirs is not None and _fingerprint(theirs) == _fingerprint(content)
            raise CommandError(
                ExitCode.LOCKED if same else ExitCode.OTHER_RUN,
                f"another gan-batch has just begun {'this' if same else 'another'} run in {self._url}",
            ) from None


def _from_another_thread(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same: obstore asks for them in the middle of an upload, when its calls cannot be made in its thread."""
    while (part := _POOL.submit(next, parts, None).result()) is not None:
        yield part


def _excludes(name: str, part: str | None) -> bool:
    """Whether a taker of `part`, or without one of the whole, cannot be beside the holder of this lease."""
    match = PART_LOCK.fullmatch(name)
    if part is None:
        return match is not None
    return name == LOCK or (match is not None and match[1] != part.rpartition("-")[2])


def _fingerprint(state: bytes) -> object:
    try:
        return json.loads(state)["fingerprint"]
    except (ValueError, KeyError, TypeError):
        return None
