"""How far a training is, at once: from the small files in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan.training import folder
from gan.training.state import read_state
from gan.training.stats import KID, read_stats
from models.errors import CommandError, ExitCode
from models.files import is_locked

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


@dataclass(frozen=True)
class TrainingStatus:
    """How far a run is; what is not known is None.

    Attributes:
        state: `running`; `finished`; `ended` with an error; `killed`, where nobody is at work and none of these is
            noted; `unknown` of a run of an earlier version.
        step, total_steps: optimiser steps done and in all.
        kimg, total_kimg: thousands of images shown and in all.
        steps_per_s: how fast it is, or was.
        seconds_left: at this rate; None where nobody is at work.
        best_kid_x1000: the best so far against held-out photos.
        best_step: at this step.
        newest_snapshot: the file to resume from.
        device: where it trains.
        exit_code: of the error that it ended with.
        error: what that said.
    """

    state: str
    step: int
    total_steps: int | None
    kimg: float
    total_kimg: float | None
    steps_per_s: float | None
    seconds_left: float | None
    best_kid_x1000: float | None
    best_step: int | None
    newest_snapshot: str | None
    device: str | None
    exit_code: int | None
    error: str | None


def status(out: Path | str) -> TrainingStatus:
    """Ask about the training in `out`; takes no lock and needs no PyTorch.

    Raises:
        CommandError: 66 where there is none.
    """
    out = Path(out)
    said, rows, snapshots = read_state(out), read_stats(out / folder.STATS), folder.found(out)
    if not (said or rows or snapshots):
        raise CommandError(
            ExitCode.NO_INPUT, f"no training in {out.absolute()}: name the folder that gan-train wrote to"
        )
    at_work = is_locked(out)
    state = said.get("state", "unknown")
    if at_work:
        state = "running"
    elif state == "running":
        state = "killed"
    last = rows[-1] if rows else {}
    step = int(said.get("step", last.get("step", folder.step_of(snapshots[-1]) if snapshots else 0)))
    total, rate = said.get("total_steps"), said.get("steps_per_s")
    best = min((row for row in rows if KID in row), key=lambda row: row[KID], default=None)
    error = said.get("error") or {}
    return TrainingStatus(
        state=state,
        step=step,
        total_steps=total,
        kimg=float(said.get("kimg", last.get("kimg", 0.0))),
        total_kimg=said.get("total_kimg"),
        steps_per_s=rate,
        seconds_left=(total - step) / rate if at_work and total and rate else None,
        best_kid_x1000=best[KID] if best else None,
        best_step=int(best["step"]) if best else None,
        newest_snapshot=str(snapshots[-1]) if snapshots else None,
        device=said.get("device"),
        exit_code=error.get("exit_code"),
        error=error.get("message"),
    )


def add_gauges(registry: CollectorRegistry, out: Path) -> None:
    """Add how far a run is to a metrics file."""
    from models.textfile import gauge, info

    try:
        found = status(out)
    except CommandError:  # refused before there was a run
        return
    gauge(registry, "gan_train_steps_done", "Optimiser steps that are done.", found.step)
    gauge(registry, "gan_train_kimg", "Thousands of images shown.", found.kimg)
    if found.total_steps is not None:
        gauge(registry, "gan_train_steps_wanted", "Optimiser steps of the whole run.", found.total_steps)
    if found.best_kid_x1000 is not None:
        gauge(registry, "gan_train_best_kid_x1000", "KID x 1000 of the best generator.", found.best_kid_x1000)
    info(registry, "gan_train_info", "What ran.", out=str(out), state=found.state, device=found.device or "")
