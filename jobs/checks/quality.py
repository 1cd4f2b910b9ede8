"""The quality gate: is this run fit to be used? Whatever the number of images, in constant memory.

Each image is measured when it is made (`jobs.dataset.measure`); the end of a run judges them all, each class by itself
where there are classes: a rare one that has collapsed would not be noticed among the others. Masks are judged together:
a class of good parts may have none but empty ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.checks.gate import Gate
from jobs.dataset import png
from jobs.dataset.formats import Format
from jobs.dataset.manifest import Row
from jobs.dataset.measure import as_array
from jobs.dataset.sheet import read_images
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode
from models.log import log
from models.mix import Mix
from models.picks import spread
from models.wish import Wish

SAMPLE = 512
"""Images of a run, or of a class, that are compared with each other."""
SAMPLES, LEAST_SAMPLE = 2048, 64
"""Of all classes together, and of each at least."""
_SIDE = 32
_HASHES = 2**20
_SHOWN = 16
_EMPTY, _FULL = "without anything in their masks", "wholly covered by their masks"
_MOST_ALIKE = 0.99
"""Share of images whose masks may be empty, or full: defects may be rare, and crops of large ones wholly covered; but a
run of nothing else teaches none."""
_ROUNDING = 1e-6
"""Of a correlation in float32: equal images have a little less than 1."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault that the gate looks for, and how much of it a run has.

    Attributes:
        kind: its name.
        count: images that have it.
        of: images looked at.
        allowed: the share that may have it.
        indices: some of them; a duplicate beside what it repeats.
        label: the class that these images show; None where there are no classes.
    """

    kind: str
    count: int
    of: int
    allowed: float
    indices: list[int]
    label: str | None = None

    @property
    def too_many(self) -> bool:
        """Whether the run is beyond the limit."""
        return self.count > self.allowed * self.of

    def __str__(self) -> str:
        of_class = "" if self.label is None else f" of class {self.label}"
        return f"{self.count} of {self.of} images{of_class} are {self.kind} (allowed {self.allowed:.1%})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if name != "label" or value is not None}


def judge(
    store: Store,
    format: Format,
    shards: Iterable[tuple[Sequence[Row], bytes]],
    gate: Gate,
    count: int,
    mix: Mix | None = None,
    wish: Wish | None = None,
) -> list[Finding]:
    """Judge a run.

    Args:
        store: where it is.
        format: of it.
        shards: the rows of its shards and their measures as lines, in order.
        gate: the limits.
        count: images in all.
        mix: of a run with classes, each of which is judged by itself.
        wish: of a run that has one; masks may all be empty where it is for clean surfaces.

    Returns:
        Every kind of fault with its number, which may be 0; one class after the other.
    """
    masks = _Masks(gate, may_be_empty=wish is not None and wish.is_of_clean)
    groups = [_Group(gate, None, count, spread(count, SAMPLE), _HASHES)] if mix is None else _classes(gate, mix, count)
    for rows, measures in shards:
        values = as_array(measures)
        labels = np.array([row.label_id or 0 for row in rows])
        masks.add(rows)
        for label, group in enumerate(groups):
            group.add([row for row in rows if mix is None or row.label_id == label], values[labels == label])
    found = [finding for group in groups if group.count for finding in group.findings(store, format)]
    return found + masks.findings()


def _classes(gate: Gate, mix: Mix, count: int) -> list[_Group]:
    """A group for each class, in the order of their labels; together they need no more memory than a run without."""
    counts = mix.counts(count)
    size = min(SAMPLE, max(LEAST_SAMPLE, SAMPLES // len(counts)))
    sampled = [[mix.image(label, number) for number in spread(of, size)] for label, of in enumerate(counts)]
    return [_Group(gate, *group, _HASHES // len(counts)) for group in zip(mix.names, counts, sampled, strict=True)]


def refuse_generator(gate: Gate, faults: Sequence[str] | None) -> None:
    """Refuse a generator by what its file says of it, before anything is made.

    Args:
        gate: its mode alone counts.
        faults: of the generator; None where the file does not say.

    Raises:
        CommandError: 76 it has faults, and the mode is `fail`.
    """
    if gate.mode == "off" or (faults is not None and not faults):
        return
    if faults is None:
        log.warning("the model's file does not say what its images are like: look at them, or ask gan-eval quality")
        return
    message = f"quality gate: a detector would learn the model's faults: {'; '.join(faults)}"
    if gate.mode == "fail":
        raise CommandError(
            ExitCode.CHECK_FAILED, f"{message}; nothing is made: `quality_gate=warn` makes images all the same"
        )
    log.warning("%s", message)


def report(gate: Gate, findings: Sequence[Finding]) -> bytes:
    """What was found, as JSON."""
    content = {"gate": dataclasses.asdict(gate), "found": [finding.to_dict() for finding in findings]}
    return (json.dumps(content, indent=2) + "\n").encode()


class _Group:
    """Images that are judged together: all, or those of a class.

    Args:
        gate: the limits.
        label: the name of the class; None for all.
        count: images in all.
        sampled: indices of those that are compared with each other.
        hashes: different ones that are kept.
    """

    def __init__(self, gate: Gate, label: str | None, count: int, sampled: Sequence[int], hashes: int) -> None:
        self.count = count
        self._gate, self._label, self._sampled = gate, label, set(sampled)
        self._kinds = {kind: _Found() for kind in ("not finite", "constant", "blank", "saturated")}
        self._duplicates = _Duplicates(hashes)
        self._names: dict[int, str] = {}

    def add(self, rows: Sequence[Row], measures: NDArray[np.float64]) -> None:
        """Take in images: their rows and their measures, see `jobs.dataset.measure.as_array`."""
        gate, kinds = self._gate, self._kinds
        index, contrast, clipped, finite = measures.T
        blank, constant = contrast < gate.min_contrast, contrast == 0
        kinds["not finite"].add(index[finite == 0])
        kinds["constant"].add(index[constant])
        kinds["blank"].add(index[blank & ~constant])
        kinds["saturated"].add(index[(clipped > gate.max_clipped) & ~constant])
        self._duplicates.add(index.astype(np.int64), np.array([int(row.sha256[:16], 16) for row in rows], np.uint64))
        self._names |= {row.index: row.file_name for row in rows if row.index in self._sampled}

    def findings(self, store: Store, format: Format) -> list[Finding]:
        """Every kind of fault; the images of the sample are read."""
        gate = self._gate
        allowed = dict.fromkeys(self._kinds, gate.max_faulty) | {"not finite": 0.0}
        found = [Finding(kind, f.count, self.count, allowed[kind], f.first) for kind, f in self._kinds.items()]
        found.append(self._duplicates.finding(gate.max_faulty))
        pictures = map(_descriptor, read_images(store, format, self._names.values()))
        found.append(_near_duplicates(dict(zip(self._names, pictures, strict=True)), gate))
        return [dataclasses.replace(finding, label=self._label) for finding in found]


class _Masks:
    """Masks that cover nothing or everything. They are known by their files, so that none is read."""

    def __init__(self, gate: Gate, *, may_be_empty: bool) -> None:
        self._allowed = dict.fromkeys((_EMPTY, _FULL), max(_MOST_ALIKE, gate.max_faulty))
        if may_be_empty:
            self._allowed[_EMPTY] = 1.0
        self._kinds = {kind: _Found() for kind in self._allowed}
        self._hashes: dict[str, str] = {}
        self._count = 0

    def add(self, rows: Sequence[Row]) -> None:
        if not rows or rows[0].mask_sha256 is None:
            return
        self._count += len(rows)
        if not self._hashes:
            sizes = rows[0].height, rows[0].width
            files = png.encode_masks(np.stack([np.full(sizes, value, np.uint8) for value in (0, 255)]))
            self._hashes = {
                kind: hashlib.sha256(file).hexdigest() for kind, file in zip(self._kinds, files, strict=True)
            }
        for kind, found in self._kinds.items():
            found.add(np.array([row.index for row in rows if row.mask_sha256 == self._hashes[kind]], np.float64))

    def findings(self) -> list[Finding]:
        found = self._kinds.items() if self._count else ()
        return [Finding(kind, f.count, self._count, self._allowed[kind], f.first) for kind, f in found]


class _Found:
    """How many, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[int] = []

    def add(self, indices: NDArray[np.float64]) -> None:
        self.count += len(indices)
        self.first += [int(index) for index in indices[: _SHOWN - len(self.first)]]


_Hashes = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]
"""Different hashes, the image in which each came first, and how often each came."""


class _Duplicates:
    """Images whose file an earlier one has, too: exact to a million different files, and an estimate above that.

    Kept is each different hash that ends in `level` zero bits, with how often it came (distinct sampling, Gibbons, VLDB
    2001). Two things tell of repetitions then: those among the kept ones, and that there are fewer different ones than
    images, which also finds a file that came very often and is not kept.

    Args:
        most: different hashes that are kept; by default a million.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or _HASHES
        self._images = self._level = 0
        self._kept: _Hashes = np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0)
        self._new: list[_Hashes] = []
        self._shown: list[int] = []

    def add(self, indices: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
        self._images += len(hashes)
        self._new.append((hashes, indices, np.ones(len(hashes))))
        if sum(len(new[0]) for new in self._new) > self._most // 8:
            self._fold()

    def _fold(self) -> None:
        hashes, indices, times = (np.concatenate(parts) for parts in zip(self._kept, *self._new, strict=True))
        self._new.clear()
        different, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        again = np.delete(np.arange(len(hashes)), first)[:_SHOWN]
        pairs = np.stack([indices[first[which[again]]], indices[again]], axis=1)
        self._shown = _first(self._shown + pairs.ravel().tolist())
        sampled = different & np.uint64(2**self._level - 1) == 0
        while sampled.sum() > self._most:
            self._level += 1
            sampled = different & np.uint64(2**self._level - 1) == 0
        self._kept = different[sampled], indices[first][sampled], np.bincount(which, times)[sampled].astype(float)

    def finding(self, allowed: float) -> Finding:
        """The repetitions; each is shown after what it repeats."""
        self._fold()
        kept, times = len(self._kept[0]), self._kept[2].sum()
        count = self._images - kept
        if self._level:
            among_kept = (times - kept) / max(times, 1) * self._images
            at_least = self._images - (kept + 3 * kept**0.5) * 2**self._level  # three standard errors
            count = round(max(among_kept, at_least, 0))
        return Finding("exact duplicates", count, self._images, allowed, self._shown)


def _descriptor(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An image `[H, W, C]` as a vector of length 1: gray, 32×32, mean 0, so that products are correlations."""
    from PIL import Image  # here, since the workers never need it

    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("L")
    values: NDArray[np.float32] = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()
    values = values - values.mean()
    length = np.linalg.norm(values)
    return (values / length if length else values).astype(np.float32)


def _near_duplicates(pictures: dict[int, NDArray[np.float32]], gate: Gate) -> Finding:
    """Pictures that have a near duplicate; each is shown before the nearest."""
    indices, vectors = list(pictures), np.stack(list(pictures.values()))
    correlation = vectors @ vectors.T
    np.fill_diagonal(correlation, -1)
    near = np.flatnonzero(correlation.max(axis=1) >= gate.near_duplicate - _ROUNDING)
    places = np.stack([near, correlation[near].argmax(axis=1)], axis=1).ravel()
    shown = _first([indices[place] for place in places])
    return Finding("near duplicates", len(near), len(indices), gate.max_near_duplicates, shown)


def _first(indices: list[int]) -> list[int]:
    return list(dict.fromkeys(indices))[:_SHOWN]
