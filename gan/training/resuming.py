"""Whether a run can go on from a snapshot: it must be of the same options, images, device and processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan.config import TrainConfig
from models.errors import CommandError, ExitCode

FREE_TO_CHANGE = {"epochs", "total_kimg"}
"""Options that a resumed run may change: how long it goes on."""


def refuse_other(
    state: Mapping[str, Any], config: TrainConfig, images_sha256: str, device: str, processes: int
) -> None:
    """Refuse a `Trainer.state` of another run.

    Args:
        state: of the snapshot.
        config: options in effect of the run that is to go on.
        images_sha256: of all that it trains on.
        device: its type, `cpu` or `cuda`.
        processes: how many train together.

    Raises:
        CommandError: 78.
    """
    ours = config.to_dict()
    # An option that was not there yet was as it is by default.
    theirs = {**TrainConfig().to_dict(), **state["config"]}
    changed = sorted(name for name in ours if name not in FREE_TO_CHANGE and theirs.get(name) != ours[name])
    if changed:
        differences = ", ".join(f"{name} was {theirs.get(name)} and is {ours[name]}" for name in changed)
        raise CommandError(ExitCode.OTHER_RUN, f"the run to resume had other options: {differences}")
    if state["images_sha256"] != images_sha256:
        raise CommandError(ExitCode.OTHER_RUN, "the run to resume had other images: they changed, or DATA differs")
    if state.get("device") != device:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the run to resume was on {state.get('device')}, and {device} has other random numbers: "
            f"add `device={state.get('device')}`",
        )
    if len(state["random"]) != processes:
        raise CommandError(
            ExitCode.OTHER_RUN,
            f"the run to resume had {len(state['random'])} processes and this one has {processes}",
        )
