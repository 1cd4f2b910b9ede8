"""What this machine has for workers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from models.providers import may_have_gpu

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Of cgroup v2: quota and period in µs, or `max` for no quota."""
QUOTA_FOLDER = Path("/sys/fs/cgroup/cpu")
"""Of cgroup v1: the same in two files, the quota being -1 where there is none."""
GPU_WORKERS = 6
"""Each has a CUDA context of its own, so there may be fewer than cores."""


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some or has a quota."""
    cores = len(os.sched_getaffinity(0))
    for read in (_quota_of_v2, _quota_of_v1):
        with contextlib.suppress(OSError, ValueError):  # it is the other version, or there is no quota
            quota, period = read()
            if quota > 0 and period > 0:
                cores = min(cores, max(1, round(quota / period)))
    return cores


def _quota_of_v2() -> tuple[int, int]:
    quota, period = map(int, QUOTA_FILE.read_text().split())
    return quota, period


def _quota_of_v1() -> tuple[int, int]:
    quota, period = (int((QUOTA_FOLDER / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota, period


def first_workers(device: str) -> int:
    """How many to start before it is known which device they get: few, where each might take a part of a GPU."""
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        return min(available_cores(), GPU_WORKERS)
    return available_cores()
