"""The end of a run's log as `gan-batch status` tells it: how fast, and what went wrong last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.checks.history import History, history
from jobs.stores.local_store import LocalStore


def row(second: int, event: str, **fields: object) -> str:
    time = f"2026-11-22T03:{second // 60:02d}:{second % 60:02d}+0100"
    return json.dumps({"time": time, "event": event, **fields}) + "\n"


START = row(0, "start", reason="as asked")


def told(folder: Path, **logs: str) -> History:
    for name, content in logs.items():
        (folder / f"{name.replace('_', '-')}.jsonl").write_text(content)
    return history(LocalStore(folder))


def test_run_without_a_log_has_no_history(tmp_path: Path) -> None:
    assert history(LocalStore(tmp_path)) == History(None, None)


def test_speed_is_that_since_the_last_start(tmp_path: Path) -> None:
    slow = START + row(100, "shard", images=10) + row(200, "start") + row(210, "shard", images=300)
    assert told(tmp_path, log=slow + row(220, "shard", images=100)).images_per_second == 20


@pytest.mark.parametrize("log", [START, START + row(0, "shard", images=5)], ids=["no shard", "no time"])
def test_speed_is_not_known_at_once(log: str, tmp_path: Path) -> None:
    assert told(tmp_path, log=log).images_per_second is None


def test_speed_of_parts_is_the_sum(tmp_path: Path) -> None:
    one, two = (START + row(10, "shard", images=images) for images in (100, 300))
    assert told(tmp_path, log_1_of_2=one, log_2_of_2=two).images_per_second == 40


def test_speed_of_a_long_log_is_that_of_its_end(tmp_path: Path) -> None:
    shards = "".join(row(second, "shard", images=1) for second in range(1, 3000)) + row(3000, "shard", images=100_000)
    rate = told(tmp_path, log=START + shards).images_per_second
    assert rate is not None
    assert rate > 100_000 / 3000 * 2


def test_last_error_is_told_with_its_time_until_the_run_is_complete(tmp_path: Path) -> None:
    log = START + row(5, "stopped", reason="first") + row(9, "start") + row(10, "stopped", reason="no space left")
    assert told(tmp_path, log=log).last_error == "2026-11-22T03:00:10+01:00 no space left"
    assert told(tmp_path, log=log + row(11, "start") + row(12, "complete")).last_error is None


def test_what_is_no_line_of_ours_is_passed_over(tmp_path: Path) -> None:
    assert told(tmp_path, log="half a line}\n[]\n{}\n" + START + row(5, "shard", images=5)).images_per_second == 1
