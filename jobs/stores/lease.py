"""The right to write to a place in an object store, which can lock nothing: an object that its holder rewrites."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from jobs.stores.object_client import PATIENCE_SECONDS, Client, connect, says_not_implemented, told_of, version_of
from models.errors import CommandError, ExitCode
from models.log import log

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion

TTL_SECONDS = 15.0
"""For so long a lease is good after it was rewritten; a third of it is the time between."""
_MARGIN = 1 + 1 / 15
"""How much longer a watcher waits for a lease than its holder trusts it."""


class Lease:
    """An object with a random holder's name and a counter in it, so that its e_tag changes whenever it is rewritten.

    Every write is conditional on what was there, and no two machines' clocks are compared: a run that finds a lease
    watches whether it changes for longer than it can be good. A process that is stopped between the check of its lease
    and a write could still write late; it would write the bytes that the next holder writes, since image and manifest
    are functions of the fingerprint, and run.json is conditional itself.

    Args:
        url: of the place.
        name: of the object in it.
        patient: the client for what may wait, which is all but to keep a lease that is held; None: one of its own.
    """

    def __init__(self, url: str, name: str, patient: Client | None = None) -> None:
        self._url, self._name, self._where = url, name, f"{url}/{name}"
        self._patient, self._quick = patient or connect(url), connect(url, TTL_SECONDS / 3)
        self._holder, self._counter = uuid.uuid4().hex, itertools.count()
        self._version: UpdateVersion = {}
        self._good_until, self._lost = float("-inf"), False
        self._uses, self._uses_lock = 1, threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self.is_conditional = True

    def take(self) -> None:
        """Take the lease, and keep it until `release`; waits some seconds where one is there already.

        A store that does not answer for a while is waited for, as it is later. Where it ignores conditional writes
        there is no lease, which is warned of.

        Raises:
            CommandError: 75 where its holder is alive; see `told_of`.
        """
        mode: PutMode = "create"
        try:
            with told_of(self._where):
                while not self._put(mode, self._patient):
                    found = self._found()
                    if found is None:  # given back meanwhile, or the store spoke of a conflict without one
                        mode = "create"
                    elif self._changes(found):
                        raise CommandError(ExitCode.LOCKED, f"another gan-batch is writing to {self._url}")
                    else:
                        mode = found
                self.is_conditional = self._is_honoured()
        except NotImplementedError:
            self.is_conditional = False
        if self.is_conditional:
            self._thread.start()
        else:
            log.warning(
                "%s: the store makes no conditional writes, so nothing holds off a second gan-batch there: start one "
                "at a time",
                self._url,
            )

    @property
    def is_good(self) -> bool:
        """Whether nobody else can have it."""
        return not self.is_conditional or (not self._lost and time.monotonic() < self._good_until)

    def is_held(self) -> bool:
        """Whether another holds it; waits as `take` does."""
        with told_of(self._where):
            found = self._found()
            return found is not None and self._changes(found)

    def check(self) -> None:
        """Return where the lease is good; a store that did not answer for a while is waited for.

        Raises:
            CommandError: 75 where another has it, or where it could not be renewed for minutes.
        """
        patience = time.monotonic() + PATIENCE_SECONDS
        while not self.is_good:
            if self._lost:
                raise CommandError(ExitCode.LOCKED, f"another gan-batch has begun to write to {self._url}")
            if time.monotonic() > patience:
                raise CommandError(
                    ExitCode.LOCKED,
                    f"{self._where} could not be renewed, so another gan-batch may write there now; run the same "
                    "command again to continue",
                )
            time.sleep(TTL_SECONDS / 150)

    def hold(self) -> Callable[[], None]:
        """Let it be good for one more user; returns a `release` for that one."""
        with self._uses_lock:
            self._uses += 1
        return self.release

    def release(self) -> None:
        """For the last user: give it back, if it is still this process's.

        What fails here costs the next start some seconds.
        """
        with self._uses_lock:
            self._uses -= 1
            if self._uses:
                return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(TTL_SECONDS / 3)
        if self.is_good:
            with contextlib.suppress(BaseError, OSError):
                if self._own(self._quick):
                    self._quick.delete(self._name)

    def remove(self) -> None:
        """Remove the object of a holder who is known to be dead."""
        with told_of(self._where), contextlib.suppress(FileNotFoundError):
            self._patient.delete(self._name)

    def _put(self, mode: PutMode, client: Client) -> bool:
        """Write the object; False where the condition does not hold."""
        start = time.monotonic()  # what counts for others begins later
        try:
            self._version = version_of(client.put(self._name, self._content(), mode=mode))
        except (AlreadyExistsError, PreconditionError):
            own = self._own(client)  # an earlier try whose answer was lost
            return own is not None and self._put(own, client)
        except BaseError as error:
            if says_not_implemented(error):
                raise NotImplementedError from None
            raise
        self._good_until = start + TTL_SECONDS
        return True

    def _content(self) -> bytes:
        return f"{self._holder} {next(self._counter)}\n".encode()

    def _own(self, client: Client) -> UpdateVersion | None:
        """The version that is there, where this object wrote it."""
        try:
            found = client.get(self._name)
        except FileNotFoundError:
            return None
        ours = found.bytes().to_bytes().startswith(self._holder.encode())
        return version_of(found.meta) if ours else None

    def _found(self) -> UpdateVersion | None:
        try:
            return version_of(self._patient.head(self._name))
        except FileNotFoundError:
            return None

    def _changes(self, found: UpdateVersion) -> bool:
        log.info("%s: a lease is there; whether its holder is alive shows within %.0f s", self._url, TTL_SECONDS)
        end = time.monotonic() + TTL_SECONDS * _MARGIN
        asked = float("-inf")
        while asked < end:  # not the time of the answer: a slow one tells of how it was before
            time.sleep(TTL_SECONDS / 15)
            asked = time.monotonic()
            now = self._found()
            if now != found:
                return now is not None
        return False

    def _is_honoured(self) -> bool:
        """Whether the store minds conditions that do not hold."""
        never: UpdateVersion = {"e_tag": '"0"', "version": "1"}
        for mode in ("create", never):
            try:
                self._patient.put(self._name, self._content(), mode=mode)
                return False
            except (AlreadyExistsError, PreconditionError):
                pass
        return True

    def _renew(self) -> None:
        pause = TTL_SECONDS / 3
        while not self._stop.wait(pause):
            try:
                self._lost = not self._put(self._version, self._quick)
                pause = TTL_SECONDS / 3
            except Exception:  # whatever it is: `check` tells when it lasts too long
                pause = TTL_SECONDS / 15
            if self._lost:
                return
