"""The quality gate: is this run fit to be used? Whatever the number of images, in constant memory.

Each image is measured when it is made, and the measures of a shard lie in `_quality/`, so that a run that was cut off,
or another machine, need not look at it again. The end of a run judges them all.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.layout import measures_name
from jobs.sheet import read_image, spread
from jobs.store import LocalStore

MODES = ("fail", "warn", "off")
SUSPECT = 0.02
"""Share of clipped pixels from which an image is looked at again: what is not finite becomes black or white."""
SAMPLE = 512
_SIDE = 32
_HASHES = 2**20
_SHOWN = 16


@dataclass(frozen=True)
class Gate:
    """Limits. An image or a pair beyond a limit is a fault; a run may have a small share of each.

    Attributes:
        mode: `fail`, `warn` or `off`: what a run beyond the shares means.
        min_contrast: standard deviation of an image's pixels, in gray values, under which it counts as blank.
        max_clipped: share of an image's pixels that may be 0 or 255; above it counts as saturated.
        near_duplicate: correlation of two images from which they count as near duplicates.
        max_faulty: share of images that may be constant, blank, saturated or exact duplicates, each by itself.
        max_near_duplicates: share of a sample of 512 images that may have a near duplicate in it.
    """

    mode: str = "fail"
    min_contrast: float = 1.0
    max_clipped: float = 0.5
    near_duplicate: float = 0.995
    max_faulty: float = 0.01
    max_near_duplicates: float = 0.1


@dataclass(frozen=True)
class Measure:
    """What the gate keeps of one image; the fields are the columns.

    Attributes:
        index: of the image.
        contrast: standard deviation of a fifth of its pixels, in gray values; 0 only where all pixels are equal.
        clipped: share of its pixels that are 0 or 255.
        finite: 1, or 0 where the generator gave values that are no numbers.
    """

    index: int
    contrast: float
    clipped: float
    finite: int = 1


HEADER = ",".join(field.name for field in dataclasses.fields(Measure))


@dataclass(frozen=True)
class Fault:
    """One kind of fault in a run.

    Attributes:
        kind: its name.
        count: images that have it.
        of: images looked at.
        allowed: the share that may have it.
        indices: some of them; a duplicate beside what it repeats.
    """

    kind: str
    count: int
    of: int
    allowed: float
    indices: list[int]

    @property
    def too_many(self) -> bool:
        """Whether the run is beyond the limit."""
        return self.count > self.allowed * self.of

    def __str__(self) -> str:
        return f"{self.count} of {self.of} images are {self.kind} (allowed {self.allowed:.1%})"


def measure(
    start: int, pixels: NDArray[np.uint8], finite: Callable[[], NDArray[np.bool_]] | None = None
) -> list[Measure]:
    """Measure a batch.

    Args:
        start: index of its first image.
        pixels: uint8 `[N, H, W, C]`.
        finite: asked for bool `[N]` where an image is suspect.
    """
    flat = pixels.reshape(len(pixels), -1)
    size = flat.shape[1]
    # Every fifth value is enough for the contrast, or seventh, so that no column is left out.
    values = flat[:, :: 7 if pixels.shape[2] % 5 == 0 else 5].astype(np.float64)  # in it these sums are exact
    used = values.shape[1]
    variance = np.einsum("ij,ij->i", values, values) / used - (values.sum(axis=1) / used) ** 2
    low, high = flat.min(axis=1), flat.max(axis=1)
    contrast = np.where(low == high, 0.0, np.sqrt(variance.clip(1e-4)))
    clipped = np.zeros(len(flat))
    ends = (low == 0) | (high == 255)
    clipped[ends] = np.count_nonzero((flat[ends] == 0) | (flat[ends] == 255), axis=1) / size
    suspect = finite is not None and clipped.max() >= SUSPECT
    whole = finite() if finite is not None and suspect else np.ones(len(flat), bool)
    return [
        Measure(start + i, round(float(contrast[i]), 2), round(float(clipped[i]), 4), int(whole[i]))
        for i in range(len(flat))
    ]


def lines(measures: Sequence[Measure]) -> bytes:
    """Measures as lines of CSV."""
    return "".join(f"{m.index},{m.contrast},{m.clipped},{m.finite}\n" for m in measures).encode()


def to_csv(content: bytes) -> bytes:
    """A shard's measures, from their lines."""
    return f"{HEADER}\n".encode() + content


def shard_lines(store: LocalStore, rows: Sequence[manifest.Row]) -> bytes:
    """The measures of a shard's images, as lines; where they are not there, the images are looked at again.

    Raises:
        CommandError: 76 where an image is not there or damaged.
    """
    if not rows:
        return b""
    number = int(rows[0].file_name.split("/")[0])
    header, _, content = (store.read(measures_name(number)) or b"").partition(b"\n")
    known = content.splitlines(keepends=True)[: len(rows)]
    whole = [line.split(b",")[0] for line in known] == [b"%d" % row.index for row in rows]
    if header == HEADER.encode() and whole and _is_table(b"".join(known)):
        return b"".join(known)
    return lines([found for row in rows for found in measure(row.index, read_image(store.root, row.file_name)[None])])


def _is_table(content: bytes) -> bool:
    try:
        return bool(_table(content).shape[1] == len(HEADER.split(",")))
    except ValueError:
        return False


def _table(content: bytes) -> NDArray[np.float64]:
    """Lines of measures as float64 `[N, 4]`; an index is exact in it."""
    return np.array([line.split(b",") for line in content.splitlines()], np.float64)


def judge(store: LocalStore, shards: Iterable[Sequence[manifest.Row]], gate: Gate, count: int) -> list[Fault]:
    """Judge a run.

    Args:
        store: its folder.
        shards: the rows of its shards, in order.
        gate: the limits.
        count: images in all.

    Returns:
        Every kind of fault with its number, which may be 0.
    """
    kinds = {kind: _Found() for kind in ("not finite", "constant", "blank", "saturated")}
    duplicates = _Duplicates()
    sampled = set(spread(count, SAMPLE))
    pictures: dict[int, NDArray[np.float32]] = {}
    for rows in shards:
        table = _table(shard_lines(store, rows))
        index, contrast, clipped, finite = table.T
        blank, constant = contrast < gate.min_contrast, contrast == 0
        kinds["not finite"].add(index[finite == 0])
        kinds["constant"].add(index[constant])
        kinds["blank"].add(index[blank & ~constant])
        kinds["saturated"].add(index[(clipped > gate.max_clipped) & ~constant])
        duplicates.add(index.astype(np.int64), np.array([int(row.sha256[:16], 16) for row in rows], np.uint64))
        for row in rows:
            if row.index in sampled:
                pictures[row.index] = _descriptor(read_image(store.root, row.file_name))
    allowed = dict.fromkeys(kinds, gate.max_faulty) | {"not finite": 0.0}
    faults = [Fault(kind, found.count, count, allowed[kind], found.first) for kind, found in kinds.items()]
    faults.append(duplicates.fault(gate.max_faulty))
    faults.append(_near_duplicates(pictures, gate))
    return faults


def report(gate: Gate, faults: Sequence[Fault]) -> bytes:
    """What was found, as JSON."""
    content = {"gate": dataclasses.asdict(gate), "found": [dataclasses.asdict(fault) for fault in faults]}
    return (json.dumps(content, indent=2) + "\n").encode()


class _Found:
    """How many, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[int] = []

    def add(self, indices: NDArray[np.float64]) -> None:
        self.count += len(indices)
        self.first += [int(index) for index in indices[: _SHOWN - len(self.first)]]


class _Duplicates:
    """Images whose file another one has, too: exact to a million images, and of a sample by hash above that.

    Images with equal files have equal hashes, so they are in the sample together or not at all (distinct sampling,
    Gibbons, VLDB 2001).
    """

    def __init__(self) -> None:
        self._mask = np.uint64(0)
        self._kept: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []

    def add(self, indices: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
        self._kept.append(self._sampled(indices, hashes))
        while sum(len(kept) for _, kept in self._kept) > _HASHES:
            self._mask = self._mask << np.uint64(1) | np.uint64(1)
            self._kept = [self._sampled(*kept) for kept in self._kept]

    def _sampled(
        self, indices: NDArray[np.int64], hashes: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        kept = hashes & self._mask == 0
        return indices[kept], hashes[kept]

    def fault(self, allowed: float) -> Fault:
        """Images that repeat an earlier one; each is shown after the one that it repeats."""
        indices, hashes = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
        first, which = np.unique(hashes, return_index=True, return_inverse=True)[1:]
        again = np.delete(np.arange(len(hashes)), first)
        pairs = np.stack([indices[first[which[again]]], indices[again]], axis=1)
        return Fault("exact duplicates", len(again), len(hashes), allowed, _first(pairs.ravel().tolist()))


def _descriptor(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An image `[H, W, C]` as a vector of length 1: gray, 32×32, mean 0, so that products are correlations."""
    from PIL import Image  # here, since the workers never need it

    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("L")
    values: NDArray[np.float32] = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()
    values = values - values.mean()
    length = np.linalg.norm(values)
    return (values / length if length else values).astype(np.float32)


def _near_duplicates(pictures: dict[int, NDArray[np.float32]], gate: Gate) -> Fault:
    """Pictures that have a near duplicate; each is shown before the nearest."""
    indices, vectors = list(pictures), np.stack(list(pictures.values()))
    correlation = vectors @ vectors.T
    np.fill_diagonal(correlation, -1)
    near = np.flatnonzero(correlation.max(axis=1) >= gate.near_duplicate)
    places = np.stack([near, correlation[near].argmax(axis=1)], axis=1).ravel()
    shown = _first([indices[place] for place in places])
    return Fault("near duplicates", len(near), len(indices), gate.max_near_duplicates, shown)


def _first(indices: list[int]) -> list[int]:
    return list(dict.fromkeys(indices))[:_SHOWN]
