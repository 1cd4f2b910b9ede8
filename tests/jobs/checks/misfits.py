"""Generators that misbehave, each in its own way, the runs that they made, and what the quality gate said of these."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.jobs.conftest import batch
from tests.jobs.small_models import GOLDEN_SEED, first_values

COUNT, SHARD = 60, 20
UNMET = float(first_values(GOLDEN_SEED, 16).max()) + 1e-3
"""No golden latent begins with a larger value."""
MISFITS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one gray": ({"gain": 0.0}, ["constant", "exact duplicates"]),
    "one image": ({"gain": 0.0, "offset": 0.5}, ["exact duplicates", "near duplicates"]),
    "collapsed": ({"gain": 0.02, "offset": 0.5}, ["near duplicates"]),
    "saturated": ({"gain": 50.0}, ["saturated"]),
    "blank": ({"gain": 0.006}, ["blank"]),
    "not finite": ({"broken_above": UNMET}, ["not finite", "constant", "exact duplicates"]),
}
"""What the generator does, and all kinds of fault that a run of it must be rejected for."""
GOOD = "good"
"""The name of one that does not misbehave."""


@dataclass(frozen=True)
class Judged:
    """A run that the gate has judged, and rejected for `kinds`; tests must not change it."""

    model: Path
    out: Path
    kinds: list[str]
    result: subprocess.CompletedProcess[str]


def command(model: Path, out: Path, *options: str) -> list[str]:
    """The command that makes `COUNT` images."""
    return batch(model, out, COUNT, "--shard-size", str(SHARD), *options)


def found(out: Path) -> dict[str, dict[str, Any]]:
    """What the gate wrote of each kind of fault."""
    return {fault["kind"]: fault for fault in json.loads((out / "quality.json").read_text())["found"]}
