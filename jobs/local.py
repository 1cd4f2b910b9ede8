"""A run on this machine: who may write the folder, workers, what is published."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.checks.quality import Gate
from jobs.dataset.part import Part
from jobs.dataset.state import COMPLETE, RUNNING, TAR, RunState, fingerprint, is_tarred
from jobs.dataset.table import CSV, PARQUET, form_of
from jobs.run import Run
from jobs.stores import publish
from jobs.stores.place import place
from jobs.stores.store import Store, open_store
from jobs.workers.crew import Order, Pool
from jobs.workers.engine import LOCAL, Engine
from jobs.workers.pool import WorkerPool
from models.errors import CommandError, ExitCode, writing_error
from models.files import LOCK
from models.log import log
from models.providers import BY_DEVICE, CPU, CUDA, may_have_gpu
from models.stopping import Stop

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

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
        out: the run's folder, or the URL of an object store.
        seed: of its latents.
        count: images in the folder, or in the part of it that was asked for.
        made: images that this call made; 0 where everything was there.
        seconds: that it took to make them.
        provider: the execution provider.
    """

    out: Path | str
    seed: int
    count: int
    made: int
    seconds: float
    provider: str


def run_batch(
    model: Path,
    out: Path | str,
    count: int | None = None,
    *,
    append: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    shard_size: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    part: Part | None = None,
    gate: Gate | None = None,
    latest: Path | None = None,
    keep: int | None = None,
    max_seconds: float | None = None,
    engine: Engine = LOCAL,
    format: str | None = None,
    manifest: str | None = None,
) -> RunResult:
    """Make images 0 to `count - 1` of (model, seed) in `out`, or what is still missing of them.

    Args:
        model: an ONNX file of `gan-export`.
        out: the run's folder, made where it is not there, or the URL of an object store, such as `s3://bucket/run`.
        count: images that the folder shall hold; more than before extends it.
        append: instead of `count`: images to add to a complete run. A run that was cut off is finished first, and
            nothing is added then.
        seed: 0 to 2⁶⁴ - 1; by default that of the run in `out`, else today's date as a number.
        batch_size: images a batch; by default 50 on the CPU and 250 on CUDA.
        shard_size: images a folder; by default that of the run in `out`, else 1000.
        workers: processes; by default as many as this process has cores, on CUDA at most 6.
        device: `auto`, `cuda` or `cpu`; `auto` keeps to what a run in `out` began with.
        part: of the run, to be made beside others, also from other machines that share the file system. It does no more
            than to commit its shards: `jobs.finish` does the rest when all parts are there. All must be given the same
            `count`, and should be given a `seed`, since today's date is another one after midnight.
        gate: limits of the quality gate.
        latest: a symbolic link to point at `out` when all is done and verified.
        keep: complete runs beside `out`, itself among them, of which the oldest are removed above this number.
        max_seconds: from now; no new shard is begun after that.
        engine: where the workers are.
        format: of a shard: `png`, a folder of files, or `tar`, one file, as WebDataset reads it; by default that of the
            run in `out`, else `png`.
        manifest: of the run: `csv`, a file, or `parquet`, a set of files; by default that of the run in `out`, else
            `csv`.

    Raises:
        CommandError: the exit code says what: 3 `max_seconds` are over; 65, 66, 69, 76 the model or the device (see
            `GeneratorSession`); 73, 74 writing; 75 another process holds `out`, or that part; 76 the quality gate or
            verification; 78 `out` belongs to another run; 130, 143 a signal.
    """
    if (count is None) == (append is None) or any(
        number is not None and number < 1 for number in (count, append, keep)
    ):
        raise ValueError(f"need either count or append, and what is given above 0: {count}, {append}, {keep}")
    if format not in (None, "png", TAR) or manifest not in (None, CSV, PARQUET):
        raise ValueError(f"format is png or tar, manifest csv or parquet: {format}, {manifest}")
    if part and (append or latest or keep):
        raise ValueError("append, latest and keep are of the whole run, and have no meaning for a part")
    deadline = time.monotonic() + (float("inf") if max_seconds is None else max_seconds)
    out = place(out)
    store = open_store(out)
    with Stop() as stop:

        def check() -> None:
            if stop:
                raise stop.error("committed shards stay: run the same command again to continue")

        try:
            publish.check(out, latest, keep)
            form_of(store, manifest)  # before the work, since its package may not be there
            if store.exists(LOCK):
                store.lock(part.name if part else None)  # a second start ends here, before it starts anything
            state = RunState.read(store)
            theirs = state.fingerprint if state else {}
            seed = theirs.get("seed", int(time.strftime("%Y%m%d"))) if seed is None else seed
            tarred = is_tarred(theirs) if format is None else format == TAR
            order = Order(model, _device(device, theirs, store), str(store), seed, engine.shard_timeout, tarred)
            size = shard_size or theirs.get("shard_size", DEFAULT_SHARD_SIZE)
            piece = size if tarred or engine.name == "ray" else batch_size or BATCH_SIZE[CPU]
            most = _useful_workers(count, append, state, piece)
            if part and count:
                most = min(most, -(-part.images(count, size) // piece) or 1)
            with _pool(engine, order, workers, most, check) as pool:
                facts = pool.ready()
                log.info("device: %s (%s)", "CPU" if facts.provider == CPU else "CUDA", facts.reason)
                _take(store, part)
                own = fingerprint(facts, seed, size, tarred=tarred)
                state = _state(store, own, count if part else None)
                run = Run(store, state, own, count, append, partial(_session, order), check, part, manifest)
                if run.missing:
                    if facts.provider == CPU:
                        pool.grow(min(workers or available_cores(), most))
                    run.make(pool, batch_size or BATCH_SIZE[facts.provider], deadline)
            if part is None:
                complete(run, out, gate or Gate(), latest, keep, check)
            return RunResult(out, seed, run.share, run.made, run.seconds, facts.provider)
        except OSError as error:
            raise writing_error(error) from None
        finally:
            store.close()


def complete(
    run: Run, out: Path | str, gate: Gate, latest: Path | None, keep: int | None, check: Callable[[], None]
) -> None:
    """End a run that has all its shards, publish it, and remove older ones; see `run_batch` for the arguments.

    Raises:
        CommandError: 76 where the gate or the verification rejects it.
    """
    if not run.is_complete:
        run.end(gate, verified=latest is not None)
    if isinstance(out, str):
        return  # where nothing can be published; who asked for it was told
    if latest is not None and not publish.points_to(latest, out):
        if run.is_complete:
            run.verify()
        publish.point(latest, out)
    if keep:
        publish.prune(out, keep, latest, check)


def _pool(engine: Engine, order: Order, workers: int | None, most: int, check: Callable[[], None]) -> Pool:
    """The workers: `workers` or the engine's default, and no more than `most`."""
    if engine.name == "local":
        return WorkerPool(order, min(workers or _first_workers(order.device), most), check)
    from jobs.workers.ray_engine import RayPool  # here, since only some have Ray

    return RayPool(order, engine.ray_address, engine.gpus_per_worker, workers, most, available_cores(), check)


def _session(order: Order) -> GeneratorSession:
    from jobs.workers.session import GeneratorSession  # here, since it loads ONNX Runtime, which only workers need else

    return GeneratorSession(order.model, order.device)


def _take(store: Store, part: Part | None) -> None:
    """Make the run's folder, refuse one that is another's, and lock it or a part of it."""
    store.prepare()
    # Listed before run.json is looked for: a run that begins meanwhile writes that first.
    others = [name for name in store.names() if not name.startswith(".")]
    if others and not RunState.read(store):
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{store} is no run of gan-batch but holds {others[0]}: name another --out"
        )
    store.lock(part.name if part else None)


def _state(store: Store, own: dict[str, Any], count_of_parts: int | None) -> RunState | None:
    """What run.json says, now that nobody else can change it; None where the run begins.

    Where there are parts, the first one writes it: they begin at once, and each must know what the others make.
    """
    if count_of_parts is not None:
        return RunState(RUNNING, count_of_parts, own).join(store)
    state = RunState.read(store)
    if state:
        state.refuse_other(store, own)
    return state


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


def _useful_workers(count: int | None, append: int | None, state: RunState | None, piece: int) -> int:
    """How many could find something to do, in pieces of so many images."""
    had = state.count if state else 0
    if state and state.state == COMPLETE and not append and (count or 0) <= had:
        return 1
    return -(-max(count or append or 0, had) // piece)


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some or has a quota."""
    cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no quota ("max")
        quota, period = map(int, QUOTA_FILE.read_text().split())
        cores = min(cores, max(1, round(quota / period)))
    return cores
