"""Small runs in an object store whose leases are short, and what is asked of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest import mock

from models.files import LOCK
from tests.conftest import run_in_process
from tests.jobs.conftest import VOLATILE, batch
from tests.jobs.object_server import tree

FEW, TWO_SHARDS = 26, ("--shard-size", "20")
QUICK = "from jobs.stores import lease; lease.TTL_SECONDS = 1.5; from jobs.cli import main; main()"
"""`gan-batch` whose leases are good for a tenth of the time."""


def command(model: Path, url: str, count: int, *options: str) -> list[str]:
    """`batch`, with short leases."""
    return [sys.executable, "-c", QUICK, *batch(model, Path("any"), count, *options, "--out", url)[1:]]


def made(model: Path, url: str, count: int, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `command` does, in this process."""
    with mock.patch("jobs.stores.lease.TTL_SECONDS", 1.5):
        return run_in_process(*batch(model, Path("any"), count, *options, "--out", url), **environment)


def like(url: str, folder: Path) -> None:
    """Assert that a place holds what a folder holds, byte for byte."""
    there, here = tree(url), {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert LOCK not in there, "the lease was not given back"
    for name in (*VOLATILE, LOCK):
        here.pop(name, None)
    assert {name: there.get(name) for name in here} == here
    assert there.keys() - here.keys() == set(VOLATILE)
