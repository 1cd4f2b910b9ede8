"""What lies in a run's folder, and whether a run may begin or go on there. Nothing here waits for PyTorch."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from models.errors import CommandError, ExitCode
from models.files import is_locked

GENERATOR = "generator_model.pth"
DISCRIMINATOR = "discriminator_model.pth"
OPTIONS = "training_options.json"
STATS = "stats.jsonl"
STATE = "status.json"
LOG = "log.txt"
CURVES = "losses.png"
REPORT = "report.html"
SAMPLES = "samples"
LEFT = (
    *(GENERATOR, DISCRIMINATOR, OPTIONS, STATS, STATE, LOG, CURVES, REPORT),
    *(f"{SAMPLES}/reals*.png", f"{SAMPLES}/fakes*.png", "events.out.tfevents.*"),
)
"""What a run leaves beside its snapshots."""

_SNAPSHOT_NAME = re.compile(r"network-snapshot-(\d{6,})\.pt")


def found(folder: Path) -> list[Path]:
    """The snapshots in `folder`, oldest step first."""
    there = [path for path in folder.glob("network-snapshot-*.pt") if _SNAPSHOT_NAME.fullmatch(path.name)]
    return sorted(there, key=step_of)


def step_of(snapshot: Path) -> int:
    """The optimiser step that a snapshot is of, by its name."""
    return int(snapshot.stem.rsplit("-", 1)[1])


def snapshot_path(folder: Path, step: int) -> Path:
    """Where the snapshot of an optimiser step lies."""
    return folder / f"network-snapshot-{step:06d}.pt"


def no_snapshot(folder: Path) -> CommandError:
    """What a resumed run ends with where nothing is to be resumed."""
    return CommandError(ExitCode.NO_INPUT, f"no network-snapshot-*.pt in {folder.absolute()} to resume from")


def refuse(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder in which a run could not begin or go on; nothing is made or changed.

    Raises:
        CommandError: 66 nothing to resume; 73 it cannot be written, or holds an earlier run, or one of gan-batch; 75 a
            run is at work there.
    """
    there = out
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot write {there.absolute()}: it is there and no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot write {there.absolute()}: not allowed")
    if resume and not found(out):
        raise no_snapshot(out)
    if not resume:
        refuse_images(out)
    if not resume and not overwrite:
        _refuse_earlier(out)
    if is_locked(out):
        raise CommandError(ExitCode.LOCKED, f"another gan-train is writing to {out}")


def refuse_images(out: Path) -> None:
    """Refuse the folder of a run of gan-batch, which must hold nothing else.

    Raises:
        CommandError: 73 it is one.
    """
    try:
        said = json.loads((out / "run.json").read_bytes())
    except (OSError, ValueError):
        return
    if isinstance(said, dict) and "fingerprint" in said:
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{out.absolute()} holds a run of gan-batch: take another folder as `out`"
        )


def make_room(out: Path, overwrite: bool) -> None:
    """Remove what an earlier run left, or somebody else by such a name: only where that was asked for.

    Raises:
        CommandError: 73 there is something, and it was not asked for.
    """
    if not overwrite:
        _refuse_earlier(out)
    for path in _earlier(out):
        path.unlink()


def _earlier(out: Path) -> list[Path]:
    return [*found(out), *(path for pattern in LEFT for path in sorted(out.glob(pattern)))]


def _refuse_earlier(out: Path) -> None:
    old = _earlier(out)
    if old:
        go_on = "add `resume=True` to go on with it" if found(out) else "it has no snapshot to go on from"
        raise CommandError(
            ExitCode.CANNOT_WRITE,
            f"{old[0]} is there from an earlier run: {go_on}, add `overwrite=True` to remove it and begin anew, or "
            "take another folder as `out`",
        )
