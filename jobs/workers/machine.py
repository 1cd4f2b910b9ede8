"""What this machine has for workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from models.providers import may_have_gpu

GROUPS = Path("/sys/fs/cgroup")
"""Of cgroup v2, a folder in a folder for each group: in `cpu.max` quota and period in µs, or `max` for no quota."""
OWN_GROUP = Path("/proc/self/cgroup")
"""Which of them this process is in: in a container the outermost it sees, below systemd one of its own."""
QUOTA_FOLDER = Path("/sys/fs/cgroup/cpu")
"""Of cgroup v1: the same in two files, the quota being -1 where there is none."""
GPU_WORKERS = 6
"""Each has a CUDA context of its own, so there may be fewer than cores."""


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some or has a quota."""
    cores = len(os.sched_getaffinity(0))
    readers: list[Callable[[], tuple[int, int]]] = [
        *(partial(_quota_of_v2, group) for group in _groups()),
        _quota_of_v1,
    ]
    for read in readers:
        with contextlib.suppress(OSError, ValueError):  # it is the other version, or there is no quota
            quota, period = read()
            if quota > 0 and period > 0:
                cores = min(cores, max(1, round(quota / period)))
    return cores


def _groups() -> list[Path]:
    """The group of cgroup v2 that this process is in, and those around it: the least of their quotas holds."""
    lines: list[str] = []
    with contextlib.suppress(OSError, ValueError):
        lines = OWN_GROUP.read_text().splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    group = GROUPS / own
    return [group, *(parent for parent in group.parents if parent.is_relative_to(GROUPS))]


def _quota_of_v2(group: Path) -> tuple[int, int]:
    quota, period = map(int, (group / "cpu.max").read_text().split())
    return quota, period


def _quota_of_v1() -> tuple[int, int]:
    quota, period = (int((QUOTA_FOLDER / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota, period


def first_workers(device: str) -> int:
    """How many to start before it is known which device they get: few, where each might take a part of a GPU."""
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        return min(available_cores(), GPU_WORKERS)
    return available_cores()
