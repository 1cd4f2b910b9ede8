"""How far a run is, at once: from run.json and one listing of its manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.dataset import manifest
from jobs.dataset.state import RunState
from jobs.stores.opening import open_store


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        state: see `RunState`.
        at_work: whether a process holds the folder now.
        count: images that it shall hold.
        committed: images that are safely there.
        seed: of its latents.
        provider: the execution provider.
        model_sha256: of its model.
    """

    state: str
    at_work: bool
    count: int
    committed: int
    seed: int
    provider: str
    model_sha256: str


def status(out: Path | str) -> Status:
    """Ask about the run in `out`; takes no lock and reads no image.

    Raises:
        CommandError: 66 where there is no run, 65 where its run.json is damaged.
    """
    store = open_store(out)
    state = RunState.of(store)
    size = state.fingerprint["shard_size"]
    done = manifest.committed(store, size)
    return Status(
        state=state.state,
        at_work=store.is_locked(),
        count=state.count,
        committed=sum(stop - number * size for number, stop in done.items()),
        seed=state.fingerprint["seed"],
        provider=state.fingerprint["provider"],
        model_sha256=state.fingerprint["model_sha256"],
    )
