"""Which old runs go, so that a folder of runs does not grow for ever."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from jobs.dataset.layout import STATE
from jobs.dataset.removal import remove_run
from jobs.dataset.state import COMPLETE, REMOVING, RunState
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from models.log import log


def prune(out: Path, keep: int, link: Path | None, check: Callable[[], None] = lambda: None) -> list[Path]:
    """Remove the oldest complete runs beside `out` until `keep` are there, `out` among them.

    A run that is not complete, one that another process holds, one that `link` or a link beside `out` leads to, and
    everything that is no run stay. Of a run only what gan-batch wrote is removed.

    Args:
        out: a complete run.
        keep: how many, above 0.
        link: a symbolic link to a run, if there is one.
        check: called for each shard; what it raises ends the work, and the next call goes on with it.

    Returns:
        The runs removed.
    """
    here = Path(os.path.realpath(out))
    beside = list(here.parent.iterdir())
    stay = {here, *(Path(os.path.realpath(path)) for path in [*beside, *([link] if link else [])] if path.is_symlink())}
    complete, begun = [], []
    for path in beside:
        with contextlib.suppress(OSError):  # another run may be removing it, too
            state = _state(path)
            if state is not None and state.state == COMPLETE:
                complete.append(((path / STATE).stat().st_mtime_ns, path.name, path))
            elif state is not None and state.state == REMOVING:  # cut off in the middle of this
                begun.append(path)
    old = [path for _, _, path in sorted(complete) if path not in stay][: max(0, len(complete) - keep)]
    return [path for path in begun + old if _remove(path, check)]


def _state(path: Path) -> RunState | None:
    if path.is_symlink() or not path.is_dir():
        return None
    try:
        return RunState.read(LocalStore(path))
    except CommandError:
        return None


def _remove(run: Path, check: Callable[[], None]) -> bool:
    store = LocalStore(run)
    try:
        store.lock()
        state = RunState.read(store)
        if state is None or state.state not in (COMPLETE, REMOVING):
            return False  # it changed before we had it
        RunState(REMOVING, state.count, state.fingerprint).write(store)
        remove_run(store, state, check)
    except CommandError as error:
        if error.exit_code is ExitCode.LOCKED:
            return False
        raise
    except OSError as error:  # not ours, or another run removes it: that is no reason to fail a complete run
        log.warning("cannot remove %s: %s", run, error.strerror)
        return False
    finally:
        store.close()
    if run.exists():
        log.warning("removed the run in %s; what gan-batch did not write there stays", run)
    else:
        log.info("removed %s", run)
    return True
