"""The run's manifest in one of its two forms: one CSV file, or a set of Parquet files."""

from __future__ import annotations

from types import ModuleType

from jobs.dataset import layout, manifest
from jobs.extras import extra
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode

CSV, PARQUET = "csv", "parquet"


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


def is_right(store: Store, shards: int) -> bool:
    """Whether the run's manifest is there, and holds the rows of the shards' manifests.

    Raises:
        CommandError: 2 as from `form_of`.
    """
    if form_of(store) == CSV:
        return manifest.is_assembled(store, shards)
    try:
        same: bool = _parquet().is_written(store, shards)
    except CommandError as error:
        if error.exit_code is not ExitCode.BAD_DATA:
            raise  # a store that does not answer says nothing about the files
        return False
    return same


def _parts(store: Store) -> list[str]:
    return list(filter(layout.PARQUET_PART.fullmatch, store.names(layout.PARQUET)))


def _parquet() -> ModuleType:
    with extra("parquet", "pyarrow", "a manifest in Parquet needs"):
        from jobs.dataset import parquet
    return parquet
