"""One call that makes a run, or what is missing of it: who may write the folder, what is made, how it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.asked import Asked
from jobs.checks.acceptance import candidates_needed
from jobs.checks.gate import Gate
from jobs.checks.prometheus import recorded
from jobs.checks.quality import refuse_generator
from jobs.dataset.formats import FORMATS, PNG, Format, format_of
from jobs.dataset.layout import LAYOUT
from jobs.dataset.naming import DATE, TIME, dated, siblings
from jobs.dataset.part import Part
from jobs.dataset.result import RunResult
from jobs.dataset.state import COMPLETE, RUNNING, RunState, fingerprint
from jobs.dataset.table import CSV, PARQUET, form_of, name_of
from jobs.ending import Publishing, complete
from jobs.held import HeldRun
from jobs.making import Made, make
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from jobs.workers.crew import Order
from jobs.workers.engine import Work
from jobs.workers.model import model_to_use
from models.errors import CommandError, ExitCode, writing_error
from models.files import LOCK
from models.log import log
from models.mix import Mix
from models.providers import BY_DEVICE, CPU
from models.stopping import Stop

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

DEFAULT_SHARD_SIZE = 1000


@dataclass(frozen=True)
class OnDisk:
    """How images lie on disk; what is None is as the run in `out` has it.

    Attributes:
        shard_size: images a shard; else 1000.
        format: of a shard: `png`, a folder of files, or `tar`, one file, as WebDataset reads it; else `png`.
        manifest: of the run: `csv`, a file, or `parquet`, a set of files; else `csv`.
    """

    shard_size: int | None = None
    format: str | None = None
    manifest: str | None = None

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS) or self.manifest not in (None, CSV, PARQUET):
            raise ValueError(f"format is png or tar, manifest csv or parquet: {self.format}, {self.manifest}")


def run_batch(
    model: Path | str | None,
    out: Path | str,
    count: int | None = None,
    *,
    append: int | None = None,
    mix: str | None = None,
    per_class: int | None = None,
    fill: Path | str | None = None,
    want: str | None = None,
    seed: int | None = None,
    part: Part | None = None,
    line: str | None = None,
    on_disk: OnDisk | None = None,
    work: Work | None = None,
    gate: Gate | None = None,
    publishing: Publishing | None = None,
) -> RunResult:
    """Make images 0 to `count - 1` of (model, seed, mix) in `out`, or what is still missing of them.

    Args:
        model: an ONNX file of `gan-export`; `bundled` for the one that comes with the package; None for
            models/generator.onnx.
        out: the run's folder, made where it is not there, or the URL of an object store, such as `s3://bucket/run`.
            `{date}` and `{time}` in it become today's date and the time, see `jobs.dataset.naming`.
        count: images that the folder shall hold; more than before extends it.
        append: instead of `count`: images to add to a complete run. A run that was cut off is finished first, and
            nothing is added then.
        mix: of a generator with classes: `scratch=0.6,inclusion=0.4`, `balanced`, or `like:DIR` for the proportions of
            a folder or run; by default that of the run in `out`, else `balanced`. See `jobs.asked`.
        per_class: instead of `count`: images of each class.
        fill: instead of `count`: a folder of classes, or an earlier run with labels in a folder or at a URL. Made is
            what brings its classes to equal numbers of images.
        want: what each image has to be like, such as `length<20 and contrast<8`, see `models.wish`; by default as the
            run in `out` has it, else nothing. Needs scikit-image.
        seed: 0 to 2⁶⁴ - 1; by default that of the run in `out`, else today's date as a number, with the time where that
            is in `out`.
        part: of the run, to be made beside others, also from other machines that share the file system. It does no more
            than to commit its shards: `jobs.finish` does the rest when all parts are there. All must be given the same
            `count`, and should be given a `seed`, since today's date is another one after midnight.
        line: the name of the runs that follow one another, for `publishing.keep`; by default that of the run in `out`,
            else the name of the model's file, which a model that is trained again keeps.
        on_disk: how the images lie there; what is not said is as the run in `out` has it.
        work: how they are made; by default on the CPU or GPU of this machine, with all its cores.
        gate: limits of the quality gate; its mode says, too, what becomes of a model with faults.
        publishing: what others see of a complete run; by default nothing but itself.

    Raises:
        CommandError: the exit code says what: 2 the model cannot make this mix, `want` is no wish, or a `part` was
            asked for what only the whole run has; 3 `work.max_seconds` are over; 65, 66, 69, 76 the model or the device
            (see `GeneratorSession`); 65 images as in `want` are too rare; 66 no such folder or run in `mix` or `fill`;
            73, 74 writing; 75 another process holds `out`, or that part; 76 the quality gate or verification; 78 `out`
            belongs to another run, or to one of an older layout that lacks images; 130, 143 a signal.
    """
    asked = Asked(count, append, mix, per_class, fill, want)
    on_disk, work, gate, publishing = on_disk or OnDisk(), work or Work(), gate or Gate(), publishing or Publishing()
    of_all = {
        "append": append, "latest": publishing.latest, "keep": publishing.keep, "manifest": on_disk.manifest,
        "report": publishing.report or None,
    }  # fmt: skip
    if part and (wrong := next((name for name, value in of_all.items() if value is not None), None)):
        raise CommandError(ExitCode.USAGE, f"`{wrong}` is for a whole run, not for a `part` of it")
    if part and any(field in str(out) for field in (DATE, TIME)):
        raise CommandError(
            ExitCode.USAGE, f"`part` needs an `out` without {DATE} and {TIME}, that all parts have in common"
        )
    names = siblings(out)
    out, todays = dated(out)
    deadline = time.monotonic() + (float("inf") if work.max_seconds is None else work.max_seconds)
    with recorded(publishing.metrics_file, out) as record, Stop() as stop:
        store = open_store(out)

        def check() -> None:
            if stop:
                raise stop.error("committed shards stay: run the same command again to continue")

        try:
            asked.check(out)
            model = model_to_use(model)
            publishing.check(out, names)
            form_of(store, on_disk.manifest)  # before the work, since its package may not be there
            if store.exists(LOCK):
                store.lock(part.name if part else None)  # a second start ends here, before it starts anything
            state = RunState.read(store)
            own = _Own.settle(store, state, seed, todays, on_disk, work.device)
            wish = asked.wish(state)
            order = Order(model, own.device, str(store), own.seed, own.of_format, work.engine.shard_timeout, wish)
            piece = work.piece(own.shard_size, is_whole=order.format.is_whole, chosen=wish is not None)
            most = _useful_workers(asked, state, piece)
            if part and count:
                most = min(most, -(-part.images(count, own.shard_size) // piece) or 1)
            log.info("%s: starting workers with %s", store, model)
            with work.open(order, most, check) as pool:
                facts = pool.ready()
                log.info("device: %s (%s)", "CPU" if facts.provider == CPU else "CUDA", facts.reason)
                ours, count = asked.settle(facts.class_names, state)
                if count == 0:
                    result = RunResult(out, own.seed, 0, 0, 0.0, facts.provider)
                    record(result)
                    return result
                refuse_generator(gate, facts.faults)
                mine = fingerprint(facts, own.seed, own.shard_size, own.format, own.layout, ours, wish)
                if state:
                    state.refuse_other(store, mine)
                batch_size = work.batch(facts.provider, facts.width, facts.height)
                each = _candidates(order, ours, state, count, append, batch_size, check)
                _take(store, part)
                line = line or (state.line if state else None) or model.name
                state = _state(store, mine, line, count if part else None)
                run = HeldRun(store, state, mine, lambda: _session(order), check, part, line)
                remaining, made = run.remaining(count, append), Made()
                if remaining.missing:
                    work.grow(pool, facts.provider, most)
                    made = make(run, remaining, pool, batch_size, deadline, each)
            form = form_of(store, on_disk.manifest)
            if part is None:
                complete(run, remaining, form, gate, publishing, out, names, model)
            result = RunResult(
                out, own.seed, remaining.share, made.images, made.seconds, facts.provider, name_of(form),
                run.classes(remaining.count),
            )  # fmt: skip
            record(result)
            return result
        except OSError as error:
            raise writing_error(error) from None
        finally:
            store.close()


@dataclass(frozen=True)
class _Own:
    """What was asked for, or else is as the run that is there has it."""

    seed: int
    shard_size: int
    format: str
    layout: int
    device: str

    @classmethod
    def settle(
        cls, store: Store, state: RunState | None, seed: int | None, todays: int, on_disk: OnDisk, device: str
    ) -> _Own:
        theirs = state.fingerprint if state else {}
        return cls(
            seed=theirs.get("seed", todays) if seed is None else seed,
            shard_size=on_disk.shard_size or theirs.get("shard_size", DEFAULT_SHARD_SIZE),
            format=on_disk.format or theirs.get("format", PNG),
            layout=state.layout if state else LAYOUT,
            device=_device(device, theirs, store),
        )

    @property
    def of_format(self) -> Format:
        return format_of({"format": self.format, "layout": self.layout})


def _session(order: Order) -> GeneratorSession:
    from jobs.workers.session import GeneratorSession  # here, since it loads ONNX Runtime, which only workers need else

    return GeneratorSession(order.model, order.device)


def _candidates(
    order: Order,
    mix: Mix | None,
    state: RunState | None,
    count: int | None,
    append: int | None,
    batch_size: int,
    check: Callable[[], None],
) -> float:
    """How many candidates an image takes, about: 1 where there is no wish, or nothing to make.

    Raises:
        CommandError: 65 they would be too many.
    """
    had = state.count if state and state.state == COMPLETE else 0
    whole = max(count or 0, state.count if state else 0) if not (append and had) else had + append
    if order.wish is None or whole <= had:
        return 1.0
    session = _session(replace(order, device="auto"))  # on a cluster the device is another machine's
    return candidates_needed(session, order.seed, order.wish, mix, had, whole, batch_size, check)


def _take(store: Store, part: Part | None) -> None:
    """Make the run's folder, refuse one that is another's, and lock it or a part of it."""
    store.prepare()
    # Listed before run.json is looked for: a run that begins meanwhile writes that first.
    others = [name for name in store.names() if not name.startswith(".")]
    if others and not RunState.read(store):
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{store} is no run of gan-batch but holds {others[0]}: name another `out`"
        )
    store.lock(part.name if part else None)


def _state(store: Store, own: dict[str, Any], line: str, count_of_parts: int | None) -> RunState | None:
    """What run.json says, now that nobody else can change it; None where the run begins.

    Where there are parts, the first one writes it: they begin at once, and each must know what the others make.
    """
    if count_of_parts is not None:
        return RunState(RUNNING, count_of_parts, own, line).join(store)
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


def _useful_workers(asked: Asked, state: RunState | None, piece: int) -> int:
    """How many could find something to do, in pieces of so many images, as far as that is known before the classes."""
    count, had = asked.count, state.count if state else 0
    if asked.per_class and state and state.mix:
        count = asked.per_class * len(state.mix.names)
    if not (count or asked.append):
        return sys.maxsize
    if state and state.state == COMPLETE and not asked.append and (count or 0) <= had:
        return 1
    return -(-max(count or asked.append or 0, had) // piece)
