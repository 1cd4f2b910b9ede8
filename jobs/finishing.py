"""The end of a run whose parts were made apart from each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.checks.quality import Gate
from jobs.dataset.layout import PART_FILE
from jobs.dataset.part import Part
from jobs.dataset.state import RUNNING, RunState
from jobs.local import RunResult, complete
from jobs.run import Run
from jobs.stores import publish
from jobs.stores.place import place
from jobs.stores.store import Store, open_store
from models.errors import CommandError, ExitCode, writing_error
from models.stopping import Stop

if TYPE_CHECKING:
    from jobs.workers.session import GeneratorSession

_SHOWN = 5


def finish(
    out: Path | str,
    model: Path | None = None,
    *,
    gate: Gate | None = None,
    latest: Path | None = None,
    keep: int | None = None,
    manifest: str | None = None,
) -> RunResult:
    """Do for a run whose shards are all there what `run_batch` does at its end; nothing where it is complete.

    Args:
        out: the run's folder, or the URL of an object store.
        model: the ONNX file that the run was made with; needed only where measures of images were lost.
        gate: limits of the quality gate.
        latest: a symbolic link to point at `out` when all is done and verified.
        keep: complete runs beside `out`, itself among them, of which the oldest are removed above this number.
        manifest: `csv` or `parquet`; by default that of the run, else `csv`.

    Raises:
        CommandError: 66 where there is no run or shards are missing; 73, 74 writing; 75 a process holds `out` or a part
            of it; 76 the quality gate or verification; 78 `model` is another; 130, 143 a signal.
    """
    out = place(out)
    store = open_store(out)
    with Stop() as stop:

        def check() -> None:
            if stop:
                raise stop.error("run the same command again")

        def session() -> GeneratorSession:
            from jobs.checks.repair import session_of

            if model is None:
                raise CommandError(ExitCode.NO_INPUT, f"measures of images in {store} were lost: give --model")
            return session_of(state, model, "auto")

        try:
            RunState.of(store)  # before a lock is made in a folder that is none of ours
            publish.check(out, latest, keep)
            store.lock()
            state = RunState.of(store)
            run = Run(store, state, state.fingerprint, None, None, session, check, form=manifest)
            if run.missing:
                raise _incomplete(store, run, state)
            complete(run, out, gate or Gate(), latest, keep, check)
            return RunResult(out, state.fingerprint["seed"], run.count, 0, 0.0, state.fingerprint["provider"])
        except OSError as error:
            raise writing_error(error) from None
        finally:
            store.close()


def _incomplete(store: Store, run: Run, state: RunState) -> CommandError:
    """The error that shards are missing; where the run has one division into parts, with those that they are of."""
    missing = [shard.number for shard in run.pending()]
    found = filter(None, map(PART_FILE.fullmatch, store.names()))
    divisions = {next(filter(None, match.groups())) for match in found}
    again = f"`gan-batch --count {run.count} --out {store}`"
    if len(divisions) == 1 and state.state == RUNNING:  # else a part would be refused
        of = int(divisions.pop())
        parts = dict.fromkeys(str(Part.with_shard(number, of)) for number in missing)
        again = f"--part {_first(list(parts))} of it"
    return CommandError(
        ExitCode.NO_INPUT,
        f"{store}: {len(missing)} of {run.shards} shards are not there yet: {_first(missing)}; run {again} again",
    )


def _first(things: list[str] | list[int]) -> str:
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return ", ".join(map(str, things[:_SHOWN])) + more
