"""The place that a user names, as a store."""

from __future__ import annotations

from pathlib import Path

from jobs.extras import extra
from jobs.stores.local_store import LocalStore
from jobs.stores.place import place
from jobs.stores.store import Store


def open_store(out: Path | str) -> Store:
    """The store that `out` names, a folder or the URL of an object store.

    Raises:
        CommandError: 2 where it is no URL to write to, or the package for it is not installed.
    """
    where = place(out)
    if isinstance(where, Path):
        return LocalStore(where)
    with extra("objects", "obstore", f"{where}: object stores need"):
        from jobs.stores.object_store import ObjectStore
    return ObjectStore(where)
