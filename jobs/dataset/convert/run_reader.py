"""A complete run, whatever its shards and its manifest look like: image by image, with labels and masks where it has
them.

What is read are the manifests of the shards, which are the run's commit, and CSV also where the whole run's is Parquet.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jobs.dataset import manifest
from jobs.dataset.convert.sample import Content, Sample, decoded
from jobs.dataset.formats import Folders, Format, ShardFiles
from jobs.dataset.layout import manifest_name
from jobs.dataset.plan import Plan
from jobs.dataset.state import COMPLETE, REJECTED, RunState
from jobs.stores.local_store import LocalStore
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode

MASKS = "masks"
"""The folder of masks in a run; the paths in it are those of `images`."""
LABEL, LABEL_ID, MASK, MASK_SHA256 = "label", "label_id", "mask_file_name", "mask_sha256"
Row = Mapping[str, str]


@dataclass(frozen=True)
class RunReader:
    """A complete run.

    Attributes:
        store: where it is.
        state: what its run.json says.
        classes: names of the classes of its model, in the order of their ids; empty where it has none.
        shown: those that have images.
        has_masks: whether its images have masks.
        sha256: of the manifests of all its shards.
    """

    store: Store
    state: RunState
    classes: tuple[str, ...]
    shown: frozenset[str]
    has_masks: bool
    sha256: str

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
        digest, masked = hashlib.sha256(), False
        for _, content, rows in _tables(store, state):
            digest.update(content)
            masked = masked or MASK in rows[0]
            for row in rows:
                if mix or LABEL in row:
                    shown.add(_name(store, names, row, is_known=mix is not None))
        classes = tuple(names[number] for number in sorted(names))
        return cls(store, state, classes, frozenset(shown), masked, digest.hexdigest())

    def samples(self, class_name: str) -> Iterator[Sample]:
        """Its images in order.

        Args:
            class_name: unused where the run has classes; else all are of this one.

        Raises:
            CommandError: 65 where a manifest is damaged, 76 where an image or a mask is; both also from a sample's
                contents, when they are read.
        """
        plan = Plan.of(self.state.fingerprint)
        # Every format is a dataclass, which the protocol does not say.
        masks = dataclasses.replace(plan.format, root=MASKS)  # type: ignore[type-var]
        numbers = {name: number for number, name in enumerate(self.classes or (class_name,))}
        for shard, _, rows in _tables(self.store, self.state):
            images = _Files(self.store, plan.format, shard, [row["file_name"] for row in rows])
            shapes = _Files(self.store, masks, shard, [row[MASK] for row in rows if row.get(MASK)])
            for row in rows:
                mask = shapes.content(row[MASK], row[MASK_SHA256], _is_mask) if row.get(MASK) else None
                yield Sample(
                    name=row["file_name"].rpartition("/")[2],
                    label=numbers[row.get(LABEL, class_name)],
                    width=int(row["width"]),
                    height=int(row["height"]),
                    gray=row["mode"] == "L",
                    image=images.content(row["file_name"], row["sha256"]),
                    mask=mask,
                    real=False,
                )


class _Files:
    """The images, or the masks, of a shard. Those in a folder of this machine are read when they are asked for; of a
    tar file, or an object store, a shard is read at once."""

    def __init__(self, store: Store, format: Format, shard: int, names: list[str]) -> None:
        self._store = store
        self._root = store.root if isinstance(store, LocalStore) and isinstance(format, Folders) else None
        self._found: dict[str, bytes | None] = {}
        if self._root is None and names:
            files: ShardFiles = format.open(store, shard)
            self._found = dict(zip(names, files.contents(names), strict=True))

    def content(self, name: str, sha256: str, is_right: Callable[[bytes], bool] = lambda _: True) -> Content:
        path = None if self._root is None else self._root / name
        return Content(partial(self._read, name, sha256, is_right), path)

    def _read(self, name: str, sha256: str, is_right: Callable[[bytes], bool]) -> bytes:
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
            rows: list[Row] = list(csv.DictReader(content.decode().splitlines(), strict=True))
            whole = content.startswith(manifest.HEADER.encode()) and content.endswith(b"\n")
            whole = whole and all(None not in row and None not in row.values() for row in rows)
            whole = whole and [int(row["index"]) for row in rows] == list(range(shard.start, shard.stop))
        except (ValueError, csv.Error):
            whole = False
        if not whole:
            raise manifest.damaged(store, manifest_name(shard.number))
        yield shard.number, content, rows


def _name(store: Store, names: dict[int, str], row: Row, is_known: bool) -> str:
    """The class of an image, which is added to `names` where these are not known from elsewhere."""
    label, text = row.get(LABEL, ""), row.get(LABEL_ID, "")
    number = int(text) if text.isdigit() else -1
    known = names.get(number) if is_known or number < 0 else names.setdefault(number, label)
    if known != label:
        raise CommandError(
            ExitCode.BAD_DATA, f"{store}: the label {label!r} of image {row['index']} does not fit its label_id"
        )
    return label
