"""The run's manifest in one of its two forms: one CSV file, or a set of Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import ModuleType

from jobs.dataset import layout, manifest
from jobs.dataset.manifest import Difference
from jobs.extras import extra
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode

CSV, PARQUET = "csv", "parquet"
_MOST = 20
"""Differences that are told of."""


def form_of(store: Store, wanted: str | None = None) -> str:
    """`wanted`, else the form that a run has, else CSV.

    Raises:
        CommandError: 2 where it is Parquet, whose package is not installed.
    """
    form = wanted or (PARQUET if _parts(store) else CSV)
    if form == PARQUET:
        _parquet()
    return form


def name_of(form: str) -> str:
    """The file or folder of the manifest in this form."""
    return layout.PARQUET if form == PARQUET else layout.MANIFEST


def is_there(store: Store, form: str) -> bool:
    """Whether there is a manifest of this form, and none of the other."""
    return store.exists(layout.MANIFEST) == (form == CSV) and bool(_parts(store)) == (form == PARQUET)


def write(store: Store, shards: int, form: str) -> None:
    """Write the manifest of a run of so many shards in this form, then remove it in the other.

    Raises:
        CommandError: 65 where a shard's manifest is missing or damaged.
    """
    if form == PARQUET:
        _parquet().write(store, shards)
        store.remove(".", [layout.MANIFEST])
    else:
        store.replace(layout.MANIFEST, manifest.assemble(store, shards))
        store.remove(layout.PARQUET, _parts(store))


def differences(store: Store, shards: int) -> Iterator[Difference]:
    """Where the run's manifest is not the rows of its shards' manifests: the first of them.

    Returns:
        The index of the image whose row differs, or None where it is about more than one row, and words for people.

    Raises:
        CommandError: 2 as from `form_of`.
    """
    compare = manifest.differences if form_of(store) == CSV else _parquet().differences
    try:
        yield from itertools.islice(compare(store, shards), _MOST)
    except CommandError as error:
        if error.exit_code is not ExitCode.BAD_DATA:
            raise  # a store that does not answer says nothing about the files
        yield None, "it cannot be compared, since the manifest of a shard is missing or damaged"


def is_right(store: Store, shards: int) -> bool:
    """Whether the run's manifest is there, and holds the rows of the shards' manifests, and no others.

    Raises:
        CommandError: 2 as from `form_of`.
    """
    return next(differences(store, shards), None) is None


def _parts(store: Store) -> list[str]:
    return list(filter(layout.PARQUET_PART.fullmatch, store.names(layout.PARQUET)))


def _parquet() -> ModuleType:
    with extra("parquet", "pyarrow", "a manifest in Parquet needs"):
        from jobs.dataset import parquet
    return parquet
