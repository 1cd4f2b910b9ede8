"""How far a run is, at once: from run.json and one listing of its manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs import layout, manifest
from jobs.state import RunState
from models.files import is_locked


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


def status(out: Path) -> Status:
    """Ask about the run in `out`; takes no lock and reads no image.

    Raises:
        CommandError: 66 where there is no run, 65 where its run.json is damaged.
    """
    state = RunState.of(out)
    size = state.fingerprint["shard_size"]
    done = manifest.committed(out / layout.MANIFESTS, size)
    return Status(
        state=state.state,
        at_work=is_locked(out),
        count=state.count,
        committed=sum(stop - number * size for number, stop in done.items()),
        seed=state.fingerprint["seed"],
        provider=state.fingerprint["provider"],
        model_sha256=state.fingerprint["model_sha256"],
    )
