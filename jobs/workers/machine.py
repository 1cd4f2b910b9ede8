"""What this machine has for workers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from models.providers import may_have_gpu

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
GPU_WORKERS = 6
"""Each has a CUDA context of its own, so there may be fewer than cores."""


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some or has a quota."""
    cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no quota ("max")
        quota, period = map(int, QUOTA_FILE.read_text().split())
        cores = min(cores, max(1, round(quota / period)))
    return cores


def first_workers(device: str) -> int:
    """How many to start before it is known which device they get: few, where each might take a part of a GPU."""
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        return min(available_cores(), GPU_WORKERS)
    return available_cores()
