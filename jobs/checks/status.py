"""How far a run is, at once: from run.json, one listing of its manifests, and the end of its log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.checks.history import history
from jobs.dataset import manifest
from jobs.dataset.state import RUNNING, RunState
from jobs.stores.opening import open_store
from jobs.stores.store import Store

CUT_OFF = "cut off"


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        state: see `RunState`; `cut off` in place of `running` where no process holds the folder.
        at_work: whether a process holds the folder now.
        count: images that it shall hold.
        committed: images that are safely there.
        seed: of its latents.
        provider: the execution provider.
        model_sha256: of its model.
        mix: the shares of its classes, such as `scratch=3,inclusion=2`; None where there are no classes.
        images_per_second: that are made now; None where nobody is at work, or too short.
        seconds_left: at this rate; None where there is none.
        last_error: when and why the run last stopped or was refused; None where it has been complete since.
    """

    state: str
    at_work: bool
    count: int
    committed: int
    seed: int
    provider: str
    model_sha256: str
    mix: str | None
    images_per_second: float | None
    seconds_left: float | None
    last_error: str | None


def status(out: Path | str) -> Status:
    """Ask about the run in `out`; takes no lock and reads no image.

    Raises:
        CommandError: 66 where there is no run, 65 where its run.json is damaged.
    """
    return read_status(open_store(out))[0]


def read_status(store: Store) -> tuple[Status, RunState, dict[int, int]]:
    """The same of an open store, and what it was told from: run.json, and shards as of `manifest.committed`.

    Raises:
        CommandError: 66 where there is no run, 65 where its run.json is damaged.
    """
    at_work = store.is_locked()  # first: a run that ends meanwhile says so, and was not cut off
    state = RunState.of(store)
    size = state.fingerprint["shard_size"]
    done = manifest.committed(store, size)
    committed = sum(stop - number * size for number, stop in done.items())
    past = history(store)
    rate = past.images_per_second if at_work else None
    found = Status(
        state=CUT_OFF if state.state == RUNNING and not at_work else state.state,
        at_work=at_work,
        count=state.count,
        committed=committed,
        seed=state.fingerprint["seed"],
        provider=state.fingerprint["provider"],
        model_sha256=state.fingerprint["model_sha256"],
        mix=state.fingerprint.get("mix"),
        images_per_second=rate,
        seconds_left=max(0, state.count - committed) / rate if rate else None,
        last_error=past.last_error,
    )
    return found, state, done
