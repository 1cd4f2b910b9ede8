"""Whether a run fits: what is said of how much room."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.stores.preflight import check_room
from models.errors import CommandError

IMAGES = 1000
NEEDED_BYTES = IMAGES * (4096 + 300) + 3 * 10 * 4096  # blocks of 4 KiB, a row each; 10 shards of three files


@pytest.mark.parametrize("free_inodes", [2 * IMAGES + 4 * 10 - 1, 2 * IMAGES + 4 * 10])
def test_masks_take_room_and_inodes_of_their_own(
    free_inodes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = NEEDED_BYTES + IMAGES * (4096 + 300) + 10 * 4096  # and a folder of masks a shard
    room = {"f_frsize": 4096, "f_bavail": -(-needed // 4096), "f_files": 1 << 40, "f_favail": free_inodes}
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(**room))
    if free_inodes < 2 * IMAGES + 4 * 10:
        with pytest.raises(CommandError, match="inodes"):
            check_room(tmp_path, IMAGES, 10, image_bytes=3000, mask_bytes=300)
        return
    check_room(tmp_path, IMAGES, 10, image_bytes=3000, mask_bytes=300)
    room["f_bavail"] -= 1
    with pytest.raises(CommandError, match="MB free"):
        check_room(tmp_path, IMAGES, 10, image_bytes=3000, mask_bytes=300)


@pytest.mark.parametrize(("times_free", "warned"), [(1.01, True), (1.99, True), (2.01, False), (100, False)])
def test_run_that_takes_more_than_half_of_the_room_is_warned_of(
    times_free: float, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_blocks = int(times_free * NEEDED_BYTES / 4096) + 1
    huge = SimpleNamespace(f_frsize=4096, f_bavail=free_blocks, f_blocks=1 << 40, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", lambda folder: huge)
    caplog.set_level(logging.WARNING, "gan")
    check_room(tmp_path, IMAGES, 10, image_bytes=3000)
    assert [record.getMessage() for record in caplog.records] == (
        [f"{tmp_path}: the run takes about 4.5 MB of {free_blocks * 4096 / 1e6:.1f} MB free"] if warned else []
    )
