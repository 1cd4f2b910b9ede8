"""What a run of very many shards costs the process that directs it, with workers that only pretend to generate.

python benchmarks/scale.py [--shards 1000,10000,100000] [--pretend-from 100000]

What makes and ends a run is real, with its committer, manifests and quality gate. The pool answers at once with rows
and measures that look real, pickled as a worker's are; what it takes to make them up is not counted. Up to
`--pretend-from` shards a real folder is written (without images: those are the workers' work); from there on a store
that makes up again what it is asked for, since 100,000 shards are 27 GB.

Each size runs in a process of its own, so that its memory can be told. CPU seconds, of all threads: on a machine that
does other work, too, wall time says little.

A shard: 1,000 images in slices of 50, as on the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jobs.checks.gate import Gate
from jobs.checks.status import status
from jobs.dataset import layout, manifest, measure, png
from jobs.dataset.remaining import Remaining
from jobs.dataset.shard import Shard
from jobs.dataset.state import RunState, SessionFacts, fingerprint
from jobs.dataset.table import CSV
from jobs.ending import _end, _judge
from jobs.held import HeldRun
from jobs.making import make
from jobs.stores.local_store import LocalStore
from jobs.stores.store import TABLE_END_BYTES
from jobs.workers.crew import Done
from models.providers import CPU

SHARD_SIZE, SLICE = 1000, 50
FACTS = SessionFacts("ab" * 32, 100, 128, 128, 1, CPU, "pretended", "1.31.1", 7118)
PRINT = fingerprint(FACTS, 1, SHARD_SIZE)
_FACTOR = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251
"""Odd: products with it modulo a power of 2 differ, so all hashes do."""


class Uncounted:
    """CPU time of a thread that is the benchmark's own."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        start = time.thread_time()
        yield
        self.seconds += time.thread_time() - start


uncounted = Uncounted()


@functools.cache
def template(kind: str, first: int, last: int) -> bytes:
    """Lines of which `@` is the shard's number, `#` the same in five digits, and `$` eight digits of its own."""
    if kind == "rows":
        made = (
            f"@{i:03d},images/#/#{i:03d}.png,1,{i * _FACTOR % 2**32:08x}${i * _FACTOR % 2**192:048x},"
            f"128,128,L,{7000 + i % 200}\n"
            for i in range(first, last)
        )
    else:
        made = (f"@{i:03d},{20 + i % 900 / 100},0.00{i % 90},1\n" for i in range(first, last))
    return "".join(made).encode()


def lines(kind: str, start: int, stop: int) -> bytes:
    """Lines of a shard's manifest (`rows`) or of its `measures`."""
    shard, first = divmod(start, SHARD_SIZE)
    text = template(kind, first, first + stop - start)
    text = text.replace(b"#", b"%05d" % shard).replace(b"$", b"%08x" % (shard * _FACTOR % 2**32))
    if shard:
        return text.replace(b"@", b"%d" % shard)
    return re.sub(rb"^@0{0,2}", b"", text, flags=re.MULTILINE)


class PretendingPool:
    """Workers that take no time."""

    size = 64
    whole_shards = False

    def ready(self) -> SessionFacts:
        return FACTS

    def run(self, pieces: Iterable[Shard], batch_size: int) -> Iterator[Done]:
        for piece in pieces:
            start, stop = piece.start, piece.stop
            with uncounted():
                done = Done(piece, lines("rows", start, stop), lines("measures", start, stop))
                message = pickle.dumps(done)
            yield pickle.loads(message)


def image(index: int) -> bytes:
    """A PNG file that resembles no other."""
    pixels = np.random.default_rng(index).integers(60, 180, (1, 128, 128, 1), dtype=np.uint8)
    (content,) = png.encode(pixels)
    return content


class WithoutImages(LocalStore):
    """A folder whose images are made up when they are read."""

    def read(self, name: str) -> bytes | None:
        if name.endswith(".png"):
            with uncounted():
                return image(int(Path(name).stem))
        return super().read(name)


class Pretending(WithoutImages):
    """A store that keeps nothing of a shard but that it is committed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._committed: dict[int, None] = {}

    def make_folder(self, folder: str, is_foreign: Callable[[str], bool] | None = None) -> None:
        pass

    def commit(self, files: Mapping[str, bytes]) -> None:
        self._committed |= {int(name[-9:-4]): None for name in files}

    def names(self, folder: str = ".") -> list[str]:
        if folder in (layout.MANIFESTS, layout.MEASURES):
            return [f"{number:05d}.csv" for number in sorted(self._committed)]
        return super().names(folder)

    def read(self, name: str) -> bytes | None:
        folder, _, file = name.rpartition("/")
        if folder not in (layout.MANIFESTS, layout.MEASURES):
            return super().read(name)
        if int(file[:-4]) not in self._committed:
            return None
        with uncounted():
            start = int(file[:-4]) * SHARD_SIZE
            if folder == layout.MEASURES:
                return measure.HEADER_LINE + lines("measures", start, start + SHARD_SIZE)
            return manifest.column_names() + lines("rows", start, start + SHARD_SIZE)

    def ends(self, folder: str, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        for name in filter(wanted, self.names(folder)):
            with uncounted():
                stop = (int(name[:-4]) + 1) * SHARD_SIZE
                end = lines("rows", stop - 4, stop)[-TABLE_END_BYTES:]
            yield name, end

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        if name != layout.MANIFEST:
            return super().replace(name, content)
        for _ in content:
            pass
        super().replace(name, b"")

    def flush(self, *folders: str) -> None:
        pass

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO()

    def append(self, name: str, content: bytes) -> None:
        pass


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU, of all threads, without what the benchmark itself took."""
    start, own = time.process_time(), uncounted.seconds
    work()
    return time.process_time() - start - (uncounted.seconds - own)


def measured(shards: int, pretend: bool, folder: Path) -> dict[str, float]:
    """All figures of one size."""
    count = shards * SHARD_SIZE
    store = (Pretending if pretend else WithoutImages)(folder)
    store.check_room = lambda *arguments: None  # the images are not there to be written

    def session() -> None:
        raise AssertionError("nothing is to be looked at again")

    def begin() -> tuple[HeldRun, Remaining]:
        run = HeldRun(store, RunState.read(store), PRINT, session, lambda: None)
        return run, run.remaining(count)

    def end(gate: Gate) -> None:
        run, remaining = begin()
        _end(run, remaining, CSV, gate, verified=False)

    found = {"nothing": peak_mb()}
    found["make"] = cpu(lambda: make(*begin(), PretendingPool(), SLICE, float("inf")))
    found["memory make"] = peak_mb()
    found["scan"] = cpu(begin)
    if not pretend:
        found["status"] = cpu(lambda: status(folder))
    found["finish"] = cpu(lambda: end(Gate("off")))
    found["memory finish"] = peak_mb()
    found["gate"] = cpu(lambda: _judge(begin()[0], count, Gate()))
    found["memory gate"] = peak_mb()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", default="1000,10000,100000")
    parser.add_argument("--pretend-from", type=int, default=100_000)
    parser.add_argument("--here", help="(for the process of one size) the folder to work in")
    options = parser.parse_args()
    if options.here:
        shards = int(options.shards)
        for name, value in measured(shards, shards >= options.pretend_from, Path(options.here)).items():
            print(f"{name}={value}")
        return
    print(
        "| shards | images | store | make, ms a shard | scan, s | status, s | finish, ms a shard | gate, ms a shard | "
        "peak MB: start, make, finish, gate |\n" + "| --- " * 9 + "|"
    )
    for shards in map(int, options.shards.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--shards", str(shards), "--here", folder]
            command += ["--pretend-from", str(options.pretend_from)]
            result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            sys.exit(result.stderr)
        found = {name: float(value) for name, value in re.findall(r"^(.+)=(.+)$", result.stdout, re.MULTILINE)}
        each = {name: 1000 * found[name] / shards for name in ("make", "finish", "gate")}
        memory = ", ".join(f"{found[name]:.0f}" for name in ("nothing", "memory make", "memory finish", "memory gate"))
        place = "pretended" if shards >= options.pretend_from else "folder"
        figures = [
            f"{found['scan']:.2f}",
            f"{found.get('status', 0):.2f}",
            f"{each['finish']:.2f}",
            f"{each['gate']:.2f}",
        ]
        cells = [f"{shards:,}", f"{shards * SHARD_SIZE:,}", place, f"{each['make']:.2f}", *figures, memory]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
