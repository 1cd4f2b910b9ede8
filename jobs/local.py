"""A run on this machine: who may write the folder, workers, what is published."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import publish
from jobs.pool import Order, WorkerPool
from jobs.quality import Gate
from jobs.run import Run
from jobs.state import COMPLETE, RunState, fingerprint
from jobs.store import Store, open_store
from models.console import CommandError, ExitCode, Stop, log, writing_error
from models.files import LOCK
from models.providers import BY_DEVICE, CPU, CUDA, may_have_gpu

DEFAULT_SHARD_SIZE = 1000
BATCH_SIZE = {CPU: 50, CUDA: 250}
"""Both divide the default shard size, so no batch is smaller than the others."""
QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
GPU_WORKERS = 6
"""Each has a CUDA context of its own, so there may be fewer than cores."""


@dataclass(frozen=True)
class RunResult:
    """What a call of `run_batch` did.

    Attributes:
        out: the run's folder.
        seed: of its latents.
        count: images in the folder.
        made: images that this call made; 0 where everything was there.
        seconds: that it took to make them.
        provider: the execution provider.
    """

    out: Path
    seed: int
    count: int
    made: int
    seconds: float
    provider: str


def run_batch(
    model: Path,
    out: Path,
    count: int | None = None,
    *,
    append: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    shard_size: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    gate: Gate | None = None,
    latest: Path | None = None,
    keep: int | None = None,
    max_seconds: float | None = None,
) -> RunResult:
    """Make images 0 to `count - 1` of (model, seed) in `out`, or what is still missing of them.

    Args:
        model: an ONNX file of `gan-export`.
        out: the run's folder; made where it is not there.
        count: images that the folder shall hold; more than before extends it.
        append: instead of `count`: images to add to a complete run. A run that was cut off is finished first, and
            nothing is added then.
        seed: 0 to 2⁶⁴ - 1; by default that of the run in `out`, else today's date as a number.
        batch_size: images a batch; by default 50 on the CPU and 250 on CUDA.
        shard_size: images a folder; by default that of the run in `out`, else 1000.
        workers: processes; by default as many as this process has cores, on CUDA at most 6.
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what a run in `out` began with.
        gate: limits of the quality gate.
        latest: a symbolic link to point at `out` when all is done and verified.
        keep: complete runs beside `out`, itself among them, of which the oldest are removed above this number.
        max_seconds: from now; no new shard is begun after that.

    Raises:
        CommandError: the exit code says what: 3 `max_seconds` are over; 65, 66, 69, 76 the model or the device (see
            `GeneratorSession`); 73, 74 writing; 75 another process holds `out`; 76 the quality gate or verification;
            78 `out` belongs to another run; 130, 143 a signal.
    """
    if (count is None) == (append is None) or any(
        number is not None and number < 1 for number in (count, append, keep)
    ):
        raise ValueError(f"need either count or append, and what is given above 0: {count}, {append}, {keep}")
    deadline = time.monotonic() + (float("inf") if max_seconds is None else max_seconds)
    store = open_store(out)
    with Stop() as stop:

        def check() -> None:
            if stop:
                raise stop.error("committed shards stay: run the same command again to continue")

        try:
            if latest is not None:
                publish.check_link(latest, out)
            if store.exists(LOCK):
                store.lock()  # a second start ends here, before it starts anything
            state = RunState.read(store)
            theirs = state.fingerprint if state else {}
            seed = theirs.get("seed", int(time.strftime("%Y%m%d"))) if seed is None else seed
            order = Order(model, _device(device, theirs, store), str(store), seed)
            most = _useful_workers(count, append, state, batch_size or BATCH_SIZE[CPU])
            with WorkerPool(order, min(workers or _first_workers(order.device), most), check) as pool:
                facts = pool.ready()
                log.info("device: %s (%s)", "CPU" if facts.provider == CPU else "CUDA", facts.reason)
                _take(store)
                state = RunState.read(store)  # again: now nobody else can change it
                own = fingerprint(facts, seed, shard_size or theirs.get("shard_size", DEFAULT_SHARD_SIZE))
                if state:
                    state.refuse_other(store, own)
                run = Run(store, order, facts, state, own, count, append, check)
                if run.missing:
                    if facts.provider == CPU:
                        pool.grow(min(workers or available_cores(), most))
                    run.make(pool, batch_size or BATCH_SIZE[facts.provider], deadline)
            if not run.is_complete:
                run.end(gate or Gate(), verified=latest is not None)
            if latest is not None and not publish.points_to(latest, out):
                if run.is_complete:
                    run.verify()
                publish.point(latest, out)
            if keep:
                publish.prune(out, keep, latest, check)
            return RunResult(out, seed, run.count, run.made, run.seconds, facts.provider)
        except OSError as error:
            raise writing_error(error) from None
        finally:
            store.close()


def _take(store: Store) -> None:
    """Make the run's folder, refuse one that is another's, and lock it."""
    store.prepare()
    # Listed before run.json is looked for: a run that begins meanwhile writes that first.
    others = [name for name in store.names() if not name.startswith(".")]
    if others and not RunState.read(store):
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{store} is no run of gan-batch but holds {others[0]}: name another --out"
        )
    store.lock()


def _device(device: str, theirs: Mapping[str, Any], store: Store) -> str:
    """`device`, or where it is `auto` the one that the run in `out` began with."""
    for name, provider in BY_DEVICE.items():
        if device == "auto" and theirs.get("provider") == provider:
            log.info("keeping the device that the run in %s began with", store)
            return name
    return device


def _first_workers(device: str) -> int:
    """How many to start before it is known which device they get: few, where each might take a part of a GPU."""
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        return min(available_cores(), GPU_WORKERS)
    return available_cores()


def _useful_workers(count: int | None, append: int | None, state: RunState | None, batch_size: int) -> int:
    """How many could find something to do."""
    had = state.count if state else 0
    if state and state.state == COMPLETE and not append and (count or 0) <= had:
        return 1
    return -(-max(count or append or 0, had) // batch_size)


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some or has a quota."""
    cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no quota ("max")
        quota, period = map(int, QUOTA_FILE.read_text().split())
        cores = min(cores, max(1, round(quota / period)))
    return cores
