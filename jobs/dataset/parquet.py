"""The run's manifest as a set of Parquet files, for runs whose one CSV would be too large to load.

The manifests of the shards stay what counts: this is made from them, a few shards in memory at a time.
"""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from jobs.dataset import manifest
from jobs.dataset.layout import PARQUET, PARQUET_PART, parquet_part
from jobs.dataset.manifest import Difference
from jobs.stores.store import Store

SHARDS_A_PART = 1000
_ROWS_A_GROUP = 100_000
"""At least, but for the last one of a part."""
_COLUMNS = pyarrow.schema(
    [
        ("index", pyarrow.int64()),
        ("file_name", pyarrow.string()),
        ("seed", pyarrow.uint64()),
        ("sha256", pyarrow.string()),
        ("width", pyarrow.int32()),
        ("height", pyarrow.int32()),
        ("mode", pyarrow.string()),
        ("bytes", pyarrow.int64()),
        ("label", pyarrow.string()),
        ("label_id", pyarrow.int32()),
        ("mask_file_name", pyarrow.string()),
        ("mask_sha256", pyarrow.string()),
    ]
)
_FEW_VALUES = ["seed", "width", "height", "mode", "label", "label_id"]


class _Pipe(io.RawIOBase):
    """A file to write to, whose content is taken out as it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, content: Any) -> int:
        self._parts.append(bytes(content))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def take(self) -> bytes:
        """What was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def write(store: Store, shards: int) -> None:
    """Write the set, each file whole.

    Raises:
        CommandError: 65 where a shard's manifest is missing or damaged.
    """
    store.make_folder(PARQUET)
    header, rows = manifest.header_line(store), manifest.shard_rows(store, shards)
    parts = range(-(-shards // SHARDS_A_PART))
    for part in parts:
        store.replace(parquet_part(part), _file(header, itertools.islice(rows, SHARDS_A_PART)))
    known = {parquet_part(part).rpartition("/")[2] for part in parts}
    store.remove(PARQUET, [name for name in store.names(PARQUET) if PARQUET_PART.fullmatch(name) and name not in known])


def differences(store: Store, shards: int) -> Iterator[Difference]:
    """Where the set has not the rows of the shards' manifests; see `jobs.dataset.table.differences`.

    Raises:
        CommandError: 65 where a shard's manifest is missing or damaged.
    """
    header, rows = manifest.header_line(store), manifest.shard_rows(store, shards)
    parts = range(-(-shards // SHARDS_A_PART))
    found = [name for name in store.names(PARQUET) if PARQUET_PART.fullmatch(name)]
    if len(found) != len(parts) or any(
        parquet_part(part) != f"{PARQUET}/{name}" for part, name in zip(parts, found, strict=True)
    ):
        yield None, f"it is not {len(parts)} files, part-00000.parquet and so on"
        return
    for part in parts:
        yield from _differences(store, parquet_part(part), header, itertools.islice(rows, SHARDS_A_PART))


def schema_of(header: bytes) -> Any:
    """The columns of a manifest with this first line."""
    return pyarrow.schema([_COLUMNS.field(name) for name in header.decode().strip().split(",")])


def _file(header: bytes, rows: Iterable[bytes]) -> Iterator[bytes]:
    pipe, schema = _Pipe(), schema_of(header)
    few = [name for name in _FEW_VALUES if name in schema.names]
    with pyarrow.parquet.ParquetWriter(pipe, schema, compression="zstd", use_dictionary=few) as writer:
        for table in _tables(header, rows):
            writer.write_table(table)
            yield pipe.take()
    yield pipe.take()


def _differences(store: Store, name: str, header: bytes, rows: Iterable[bytes]) -> Iterator[Difference]:
    """Of one file; all of `rows` are taken."""
    tables, schema = _tables(header, rows), schema_of(header)
    try:
        with store.open(name) as content, pyarrow.parquet.ParquetFile(content) as file:
            groups = iter(range(file.num_row_groups))
            same = file.schema_arrow.equals(schema)
            for table in tables:
                group = next(groups, None)
                found = file.read_row_group(group) if same and group is not None else None
                if found is None or found.num_rows != table.num_rows:
                    same = False
                elif not found.equals(table):
                    yield from _other_rows(found, table)
            if not same or next(groups, None) is not None:
                yield None, f"{name} has not the rows of its shards' manifests"
    except (pyarrow.ArrowException, OSError, ValueError):  # the last one also from text that is no UTF-8
        yield None, f"{name} cannot be read"
    deque(tables, maxlen=0)


def _other_rows(found: Any, table: Any) -> Iterator[Difference]:
    for one, other in zip(found.to_pylist(), table.to_pylist(), strict=True):
        if one != other:
            yield manifest.other_row(other["index"])


def _tables(header: bytes, rows: Iterable[bytes]) -> Iterator[Any]:
    """Rows of shards as tables, each a row group."""
    lines: list[bytes] = []
    count = 0
    for shard in rows:
        lines.append(shard)
        count += shard.count(b"\n")
        if count >= _ROWS_A_GROUP:
            yield _table(header, lines)
            lines, count = [], 0
    if lines:
        yield _table(header, lines)


def _table(header: bytes, lines: list[bytes]) -> Any:
    content = header + b"".join(lines)
    return pyarrow.csv.read_csv(
        io.BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(content) + 1),
        convert_options=pyarrow.csv.ConvertOptions(column_types=schema_of(header), strings_can_be_null=False),
    )
