"""The end of a run that has all its shards: its manifest, its contact sheet, the judgement, and publishing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jobs.checks import quality
from jobs.checks.gate import Gate
from jobs.checks.report import write_report
from jobs.checks.verify import is_users, verify
from jobs.dataset import layout, manifest, table
from jobs.dataset.pruning import RunSeries, prune
from jobs.dataset.remaining import Remaining
from jobs.dataset.removal import remove_beyond, remove_temporaries
from jobs.dataset.sheet import indexed_sheet, run_sheet
from jobs.dataset.state import COMPLETE, REJECTED, RunState
from jobs.held import HeldRun
from jobs.stores import publish
from models.errors import CommandError, ExitCode
from models.log import log
from models.progress import Progress


@dataclass(frozen=True)
class Publishing:
    """What others see of complete runs.

    Attributes:
        latest: a symbolic link to point at a run when it is complete and verified.
        keep: runs of its line beside it, itself among them, whose names differ in the date or time: above this number
            the oldest are removed, see `jobs.dataset.pruning`.
        metrics_file: a file for node-exporter's textfile collector that tells of the call, however it ends.
        report: write report.html into the run when it is complete, or rejected.
    """

    latest: Path | None = None
    keep: int | None = None
    metrics_file: Path | None = None
    report: bool = False

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep < 1:
            raise ValueError(f"keep is above 0: {self.keep}")

    def check(self, out: Path | str, names: re.Pattern[str] | None) -> None:
        """Refuse what could not be done, before the work.

        Args:
            out: the run's folder, or the URL of an object store.
            names: of the runs of its line, see `jobs.dataset.naming.siblings`.

        Raises:
            CommandError: 2 where `keep` has no date to go by, or the run is in an object store; 73 where the link could
                not be made.
        """
        publish.check(out, self.latest, self.keep)
        if self.keep is not None and names is None:
            raise CommandError(
                ExitCode.USAGE,
                f"`keep`: the name of {out} has no date or time, so no other run is the same one of another day: "
                "end `out` with {date} or {time}",
            )


def complete(
    run: HeldRun,
    remaining: Remaining,
    form: str,
    gate: Gate,
    publishing: Publishing,
    out: Path | str,
    names: re.Pattern[str] | None,
    model: Path | str | None = None,
) -> None:
    """End a run that has all its shards, publish it, and remove older ones.

    Args:
        run: which.
        remaining: of it when this call began; all of that is made.
        form: of its manifest, see `jobs.dataset.table`.
        gate: limits of the quality gate.
        publishing: what others see of it.
        out: the run's folder, or the URL of an object store.
        names: of the runs of its line, see `Publishing.check`.
        model: that made it, for its report.

    Raises:
        CommandError: 76 where the gate or the verification rejects it.
    """
    count = remaining.count
    is_new = remaining.missing > 0 or not _was_complete(run, count, form)
    if is_new:
        try:
            with run.telling():
                _end(run, remaining, form, gate, verified=publishing.latest is not None)
        except CommandError as error:
            if error.exit_code == ExitCode.CHECK_FAILED:
                _tell(run, publishing, model)
            raise
    if is_new or (publishing.report and not run.store.exists(layout.REPORT)):
        _tell(run, publishing, model)
    if isinstance(out, str):
        return  # where nothing can be published; who asked for it was told
    if publishing.latest is not None and not publish.points_to(publishing.latest, out):
        if not is_new:
            _verify(run, count)
        publish.point(publishing.latest, out)
    if publishing.keep and names is not None:
        prune(out, publishing.keep, publishing.latest, RunSeries(names, run.line), run.check)


def _tell(run: HeldRun, publishing: Publishing, model: Path | str | None) -> None:
    """Leave the page of a run as it ended, or none: who asked for one meanwhile has one that tells of it as it was."""
    if publishing.report:
        write_report(run.store, model)
    else:
        run.store.remove(".", (layout.REPORT,))


def _was_complete(run: HeldRun, count: int, form: str) -> bool:
    """Whether a run that has all its shards was complete when it was taken, and still has what it ended with."""
    at_end = run.store.exists(layout.SHEET) and table.is_there(run.store, form)
    there = run.state
    return at_end and there is not None and (there.state, there.count) == (COMPLETE, count)


def _end(run: HeldRun, remaining: Remaining, form: str, gate: Gate, *, verified: bool) -> None:
    """Leave nothing but the run; write its manifest and contact sheet; judge it; last, call it complete."""
    store, count = run.store, remaining.count
    store.remove(".", (layout.REPORT,))  # it tells of the run as it was
    remove_beyond(store, run.plan, count)
    remove_temporaries(store, run.plan)
    table.write(store, run.plan.shards(count), form)
    run.check()
    store.replace(layout.SHEET, run_sheet(store, run.plan, count))
    _judge(run, count, gate)
    if verified:
        _verify(run, count)
    run.log("complete", count=count, made=remaining.missing)
    store.flush(layout.MANIFESTS, layout.MEASURES)  # a run that was killed may have left names unflushed
    run.write_state(COMPLETE, count)


def _verify(run: HeldRun, count: int) -> None:
    """Compare every image with its row.

    Raises:
        CommandError: 76 with the number of faults and the first.
    """
    found = verify(str(run.store), RunState(COMPLETE, count, run.fingerprint), run.check)
    faults = [fault for fault in found if not is_users(fault)]
    if faults:
        run.log("verification failed", faults=len(faults), first=str(faults[0]))
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{run.store} is not published: faults: {len(faults)}, the first: {faults[0]}; "
            f"try `gan-batch verify {run.store} --repair`",
        )


def _judge(run: HeldRun, count: int, gate: Gate) -> None:
    """Have the quality gate judge a run.

    Raises:
        CommandError: 76 where it rejects the run.
    """
    store, format = run.store, run.plan.format
    store.remove(".", (layout.QUALITY, layout.OFFENDERS))
    if gate.mode == "off":
        return

    shards = run.plan.shards(count)
    with Progress("judging", shards, "shards") as progress:

        def measured(number: int) -> tuple[list[manifest.Row], bytes]:
            run.check()
            rows = run.plan.read_rows(store, number)
            return rows, run.measures(number, rows)

        findings = quality.judge(
            store,
            format,
            progress.counted(store.map(measured, range(shards))),
            gate,
            count,
            run.plan.mix,
            run.plan.wish,
        )
    store.replace(layout.QUALITY, quality.report(gate, findings))
    beyond = [finding for finding in findings if finding.too_many]
    if not beyond:
        return
    shown = [index for finding in beyond for index in finding.indices]
    store.replace(layout.OFFENDERS, indexed_sheet(store, run.plan, shown))
    message = f"quality gate: {'; '.join(map(str, beyond))}; see {store}/{layout.OFFENDERS}"
    run.log("quality gate", mode=gate.mode, reason=message)
    if gate.mode == "warn":
        log.warning("%s", message)
        return
    run.write_state(REJECTED, count)
    raise CommandError(
        ExitCode.CHECK_FAILED,
        f"{message}; the images are kept but not published: `quality_gate=warn` takes them all the same",
    )
