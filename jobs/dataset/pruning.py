"""Which old runs go, so that a folder of runs does not grow for ever; in doubt a run stays."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.dataset.foreign import trace_of_others
from jobs.dataset.removal import remove_run
from jobs.dataset.state import COMPLETE, REMOVING, RunState
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from models.log import log

_LINK, _LOCKED = "a link leads there", "another process holds it"
_SHOWN = 3


@dataclass(frozen=True)
class RunSeries:
    """Runs that follow one another, of which the oldest may go.

    Attributes:
        names: matches their names, which differ in the date or time.
        line: what their run.json says; None where the run at hand is of an older version, which knew none.
    """

    names: re.Pattern[str]
    line: str | None


def prune(
    out: Path, keep: int, link: Path | None, series: RunSeries, check: Callable[[], None] = lambda: None
) -> list[Path]:
    """Keep `out` and the newest runs of its series beside it, `keep` in all; remove those that are older.

    Newest by name. There stay: what has another name or another line; what is not complete; what another process holds;
    what `link` or a link beside `out` leads to; what holds a file that gan-batch does not write, lacks images, or was
    changed by hand. The log says what went, what stayed, and why.

    Args:
        out: a complete run.
        keep: how many, above 0.
        link: a symbolic link to a run, if there is one.
        series: of `out`.
        check: called for each shard; what it raises ends the work, and the next call goes on with it.

    Returns:
        The runs removed.
    """
    here = Path(os.path.realpath(out))
    beside = sorted(here.parent.iterdir())
    held = {Path(os.path.realpath(path)) for path in [*beside, *([link] if link else [])] if path.is_symlink()}
    found = _Found()
    for path in beside:
        if path != here and not path.is_symlink() and path.is_dir():
            found.sort(path, series)
    old = found.complete[: max(0, len(found.complete) - (keep - 1))]
    removed = []
    for path, state in [*found.begun, *old]:
        reason = _LINK if path in held else trace_of_others(path, state, check) if state.state == COMPLETE else None
        reason = reason or _remove(path, check)
        if reason is None:
            removed.append(path)
            log.info("removed %s", path)
        else:
            found.left[reason].append(path.name)
    for reason, names in found.left.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        log.info("left %s%s: %s", ", ".join(names[:_SHOWN]), more, reason)
    return removed


@dataclass
class _Found:
    """The runs beside one: complete ones of its series, those of it whose removal was cut off, and who else stays."""

    complete: list[tuple[Path, RunState]] = field(default_factory=list)
    begun: list[tuple[Path, RunState]] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def sort(self, path: Path, series: RunSeries) -> None:
        """Put a folder where it belongs; one that is no run of ours belongs nowhere."""
        state = None
        with contextlib.suppress(CommandError, OSError):  # another run may be removing it, too
            state = RunState.read(LocalStore(path))
        if state is None:
            return
        if not series.names.fullmatch(path.name):
            self.left["the name differs in more than the date or time"].append(path.name)
        elif state.line is None:
            self.left["made by an older version, which noted no line"].append(path.name)
        elif state.line != series.line:
            self.left[f"of another line, {state.line}"].append(path.name)
        elif state.state == REMOVING:
            self.begun.append((path, state))
        elif state.state == COMPLETE:
            self.complete.append((path, state))
        else:
            self.left[state.state].append(path.name)


def _remove(run: Path, check: Callable[[], None]) -> str | None:
    """Remove a run; returns why it stays, where it does."""
    store = LocalStore(run)
    try:
        store.lock()
        state = RunState.read(store)
        if state is None or state.state not in (COMPLETE, REMOVING):
            return "it changed meanwhile"
        RunState(REMOVING, state.count, state.fingerprint, state.line).write(store)
        remove_run(store, state, check)
    except CommandError as error:
        if error.exit_code == ExitCode.LOCKED:
            return _LOCKED
        raise
    except OSError as error:  # not ours, or another run removes it: that is no reason to fail a complete run
        return f"cannot be removed: {error.strerror}"
    finally:
        store.close()
    return "what gan-batch did not write there stays" if run.exists() else None
