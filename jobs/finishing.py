"""The end of a run whose parts were made apart from each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.checks.gate import Gate
from jobs.checks.prometheus import recorded
from jobs.dataset.layout import PART_FILE
from jobs.dataset.naming import siblings
from jobs.dataset.remaining import Remaining
from jobs.dataset.result import RunResult
from jobs.dataset.state import RUNNING, RunState
from jobs.dataset.table import form_of
from jobs.ending import Publishing, complete
from jobs.held import HeldRun
from jobs.stores.opening import open_store
from jobs.stores.place import place
from models.errors import CommandError, ExitCode, writing_error
from models.stopping import Stop

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

_SHOWN = 5


def finish(
    out: Path | str,
    model: Path | str | None = None,
    *,
    manifest: str | None = None,
    gate: Gate | None = None,
    publishing: Publishing | None = None,
) -> RunResult:
    """Do for a run whose shards are all there what `run_batch` does at its end; nothing where it is complete.

    Args:
        out: the run's folder, or the URL of an object store.
        model: the ONNX file that the run was made with, or `bundled`; None for the exported or the bundled one, if it
            was one of these. Needed only where measures of images were lost.
        manifest: `csv` or `parquet`; by default that of the run, else `csv`.
        gate: limits of the quality gate.
        publishing: what others see of a complete run.

    Raises:
        CommandError: 66 where there is no run or shards are missing; 73, 74 writing; 75 a process holds `out` or a part
            of it; 76 the quality gate or verification; 78 `model` is another; 130, 143 a signal.
    """
    publishing, out, names = publishing or Publishing(), place(out), siblings(out)
    with recorded(publishing.metrics_file, out) as record, Stop() as stop:
        store = open_store(out)

        def check() -> None:
            if stop:
                raise stop.error("run the same command again")

        def session() -> GeneratorSession:
            from jobs.checks.repair import session_of

            return session_of(store, state, model, "auto")

        try:
            RunState.of(store)  # before a lock is made in a folder that is none of ours
            publishing.check(out, names)
            store.lock()
            state = RunState.of(store)
            run = HeldRun(store, state, state.fingerprint, session, check, line=state.line)
            remaining = run.remaining()
            if remaining.missing:
                raise _incomplete(run, remaining)
            complete(run, remaining, form_of(store, manifest), gate or Gate(), publishing, out, names, model)
            result = RunResult(
                out, run.plan.seed, remaining.count, 0, 0.0, state.fingerprint["provider"],
                classes=run.classes(remaining.count),
            )  # fmt: skip
            record(result)
            return result
        except OSError as error:
            raise writing_error(error) from None
        finally:
            store.close()


def _incomplete(run: HeldRun, remaining: Remaining) -> CommandError:
    """The error that shards are missing; where the run has one division into parts, with those that they are of."""
    store = run.store
    found = filter(None, map(PART_FILE.fullmatch, store.names()))
    divisions = {next(filter(None, match.groups())) for match in found}
    again = f"`gan-batch --count {remaining.count} --out {store}`"
    if len(divisions) == 1 and run.state and run.state.state == RUNNING:  # else a part would be refused
        parts = remaining.parts(int(divisions.pop()))
        again = f"`part={_first(parts, len(parts))}` of it"
    shown = _first((shard.number for shard in remaining.pending()), remaining.shards)
    return CommandError(
        ExitCode.NO_INPUT,
        f"{store}: {remaining.shards} of {run.plan.shards(remaining.count)} shards are not there yet: {shown}; run "
        f"{again} again",
    )


def _first(things: Iterable[object], number: int) -> str:
    """The first of so many things."""
    more = f" and {number - _SHOWN} more" if number > _SHOWN else ""
    return ", ".join(map(str, itertools.islice(things, _SHOWN))) + more
