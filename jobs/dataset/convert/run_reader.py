"""A complete run, whatever its shards and its manifest look like: image by image, with labels and masks where it has
them.

What is read are the manifests of the shards, which are the run's commit, and CSV also where the whole run's is Parquet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from jobs.dataset import manifest
from jobs.dataset.convert.sample import Content, Sample, decoded
from jobs.dataset.formats import Folders
from jobs.dataset.kind import Kind
from jobs.dataset.layout import manifest_name
from jobs.dataset.manifest import Row
from jobs.dataset.plan import Plan
from jobs.dataset.state import COMPLETE, REJECTED, RunState
from jobs.stores.local_store import LocalStore
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode


@dataclass(frozen=True)
class RunReader:
    """A complete run.

    Attributes:
        store: where it is.
        state: what its run.json says.
        classes: names of the classes of its model, in the order of their ids; empty where it has none.
        shown: those that have images.
        sha256: of the manifests of all its shards.
    """

    store: Store
    state: RunState
    classes: tuple[str, ...]
    shown: frozenset[str]
    sha256: str

    @property
    def has_masks(self) -> bool:
        """Whether its images have masks."""
        return self.plan.has_masks

    @cached_property
    def plan(self) -> Plan:
        """Which images it has, and where."""
        return Plan.of(self.state.fingerprint)

    @classmethod
    def of(cls, run: Path | str) -> RunReader:
        """The run in a folder or object store.

        Raises:
            CommandError: 66 where there is no run or it is not complete, 65 where it is damaged, 76 where the quality
                gate rejected it.
        """
        store = open_store(run)
        state = RunState.of(store)
        if state.state == REJECTED:
            raise CommandError(
                ExitCode.CHECK_FAILED, f"{run} is {REJECTED}: look at quality_offenders.png in it before it is used"
            )
        if state.state != COMPLETE:
            raise CommandError(
                ExitCode.NO_INPUT, f"{run} is {state.state}, not complete: `gan-batch status {run}` says how far it is"
            )
        mix = state.mix
        names = dict(enumerate(mix.names)) if mix else {}
        shown: set[str] = set()
        digest = hashlib.sha256()
        for _, content, rows in _tables(store, state):
            digest.update(content)
            for row in rows:
                if mix or row.label is not None:
                    shown.add(_name(store, names, row, is_known=mix is not None))
        classes = tuple(names[number] for number in sorted(names))
        return cls(store, state, classes, frozenset(shown), digest.hexdigest())

    def samples(self, class_name: str) -> Iterator[Sample]:
        """Its images in order.

        Args:
            class_name: unused where the run has classes; else all are of this one.

        Raises:
            CommandError: 65 where a manifest is damaged, 76 where an image or a mask is; both also from a sample's
                contents, when they are read.
        """
        numbers = {name: number for number, name in enumerate(self.classes or (class_name,))}
        for shard, _, rows in _tables(self.store, self.state):
            images, *masks = (_Files(self.store, kind, shard, rows) for kind in self.plan.kinds)
            for row in rows:
                yield Sample(
                    name=row.file_name.rpartition("/")[2],
                    label=numbers[class_name if row.label is None else row.label],
                    width=row.width,
                    height=row.height,
                    gray=row.mode in ("L", "LA"),
                    image=images.content(row),
                    mask=masks[0].content(row, _is_mask) if masks else None,
                    real=False,
                )


class _Files:
    """The images, or the masks, of a shard. Those in a folder of this machine are read when they are asked for; of a
    tar file, or an object store, a shard is read at once."""

    def __init__(self, store: Store, kind: Kind, shard: int, rows: list[Row]) -> None:
        self._store, self._kind = store, kind
        self._root = store.root if isinstance(store, LocalStore) and isinstance(kind.format, Folders) else None
        self._found: dict[str, bytes | None] = {}
        if self._root is None:
            names = list(map(kind.name, rows))
            self._found = dict(zip(names, kind.format.open(store, shard).contents(names), strict=True))

    def content(self, row: Row, is_right: Callable[[bytes], bool] = lambda _: True) -> Content:
        name = self._kind.name(row)
        path = None if self._root is None else self._root / name
        return Content(partial(self._read, name, self._kind.sha256(row), is_right), path)

    def _read(self, name: str, sha256: str | None, is_right: Callable[[bytes], bool]) -> bytes:
        try:
            content = self._store.read(name) if self._root else self._found[name]
        except OSError:
            content = None
        if content is None or hashlib.sha256(content).hexdigest() != sha256 or not is_right(content):
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{self._store}/{name} is missing or damaged: `gan-batch verify {self._store} --repair` makes it again",
            )
        return content


def _is_mask(content: bytes) -> bool:
    pixels = decoded(content)
    return pixels.ndim == 2 and bool(((pixels == 0) | (pixels == 255)).all())


def _tables(store: Store, state: RunState) -> Iterator[tuple[int, bytes, list[Row]]]:
    """Of each shard its number, its manifest, and the rows of that by column."""
    plan = Plan.of(state.fingerprint)
    names = map(manifest_name, range(plan.shards(state.count)))
    for shard, content in zip(plan.all(state.count), store.map(store.read, names), strict=True):
        content = content or b""
        try:
            rows = manifest.from_csv(content)
        except ValueError:
            raise manifest.damaged(store, manifest_name(shard.number)) from None
        indices = [row.index for row in rows]
        if indices != list(range(shard.start, shard.stop)) or (rows[0].mask_sha256 is not None) != plan.has_masks:
            raise manifest.damaged(store, manifest_name(shard.number))
        yield shard.number, content, rows


def _name(store: Store, names: dict[int, str], row: Row, is_known: bool) -> str:
    """The class of an image, which is added to `names` where these are not known from elsewhere."""
    label, number = row.label or "", -1 if row.label_id is None else row.label_id
    known = names.get(number) if is_known or number < 0 else names.setdefault(number, label)
    if known != label:
        raise CommandError(
            ExitCode.BAD_DATA, f"{store}: the label {label!r} of image {row.index} does not fit its label_id"
        )
    return label
