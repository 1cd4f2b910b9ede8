"""What others see of complete runs: the link to the latest one, and how many are kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from jobs.dataset.layout import (
    FILES,
    MANIFESTS,
    MEASURES,
    OURS,
    PARQUET,
    PARQUET_PART,
    PART_FILE,
    SHARD,
    STATE,
    TABLE,
    TAR,
)
from jobs.dataset.state import COMPLETE, REMOVING, RunState
from jobs.stores.store import LocalStore
from models.errors import CommandError, ExitCode
from models.files import sync_folder
from models.log import log


def check(out: Path | str, link: Path | None, keep: int | None) -> None:
    """Refuse what could not be done, before the work.

    Raises:
        CommandError: 2 where `out` is in an object store, 73 where the link could not be made.
    """
    if isinstance(out, Path):
        if link is not None:
            check_link(link, out)
    elif link is not None or keep is not None:
        raise CommandError(
            ExitCode.USAGE,
            f"{out}: an object store has no links and no folders beside each other, so --latest and --keep have no "
            "meaning there",
        )


def check_link(link: Path, out: Path) -> None:
    """Refuse a link that could not be made, before the work.

    Raises:
        CommandError: 73 where something else has its name, or its folder cannot be made.
    """
    if os.path.lexists(link) and not link.is_symlink():
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: it is there and no symbolic link")
    folder, here = os.path.realpath(link.parent), os.path.realpath(out)
    if link.absolute() in (out.absolute(), *out.absolute().parents) or os.path.join(folder, link.name) == here:
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: the run's own folder is there")
    above = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise CommandError(ExitCode.CANNOT_WRITE, f"cannot make the link {link}: {above} is no folder to write to")


def points_to(link: Path, out: Path) -> bool:
    """Whether `link` leads to `out`."""
    return link.is_symlink() and os.path.realpath(link) == os.path.realpath(out)


def point(link: Path, out: Path) -> None:
    """Let `link` lead to `out`; at every moment it leads to the old run or to the new one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")  # other runs may share the link
    temporary.unlink(missing_ok=True)
    os.symlink(os.path.relpath(os.path.realpath(out), os.path.realpath(link.parent)), temporary)
    try:
        os.replace(temporary, link)
    except OSError:
        temporary.unlink()
        raise
    sync_folder(link.parent)
    log.info("%s leads to %s", link, out)


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
        store.remove_temporaries()
        for folder in (MANIFESTS, MEASURES):  # first: without them no image counts, should a run go on in what is left
            store.remove(folder, filter(TABLE.fullmatch, store.names(folder)))
        for folder in filter(SHARD.fullmatch, store.names()):
            check()
            store.remove(folder, filter(OURS.fullmatch, store.names(folder)))
        store.remove(PARQUET, filter(PARQUET_PART.fullmatch, store.names(PARQUET)))
        store.remove(".", filter(TAR.fullmatch, store.names()))
        store.remove(".", [*filter(PART_FILE.fullmatch, store.names()), *FILES])
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
