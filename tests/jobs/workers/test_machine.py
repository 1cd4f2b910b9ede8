"""How many cores a container may use: both versions of cgroups say it, each in its own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.workers import machine


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of eight cores without any quota yet."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "QUOTA_FOLDER", tmp_path)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 8),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "0\n"}, 8),
        ({"cpu.cfs_quota_us": "300000\n"}, 8),
    ],
    ids=str,
)
def test_quota_of_either_version_limits_the_cores(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert machine.available_cores() == cores


@pytest.mark.parametrize(
    ("own", "quotas", "cores"),
    [
        ("0::/system.slice/gan-batch.service\n", {"system.slice/gan-batch.service": "400000 100000\n"}, 4),
        ("0::/system.slice/gan-batch.service\n", {"system.slice/other.service": "400000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b": "max 100000\n", "a": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b": "200000 100000\n", "a": "300000 100000\n"}, 2),
        ("1:cpu:/\n0::/a\n", {"a": "200000 100000\n"}, 2),
        ("0::/../outside\n", {}, 8),
    ],
)
def test_quota_is_that_of_the_group_that_the_process_is_in(
    own: str, quotas: dict[str, str], cores: int, tmp_path: Path
) -> None:
    """Below systemd the quota of a unit is not where a container has it."""
    (tmp_path / "cgroup").write_text(own)
    for group, content in quotas.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(content)
    assert machine.available_cores() == cores
