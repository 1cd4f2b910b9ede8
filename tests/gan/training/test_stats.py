"""A run's rows of statistics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan.training.events import Events
from gan.training.stats import StatsWriter, read_stats
from tests.gan.training.made import row


def test_rows_come_back_from_the_file(tmp_path: Path) -> None:
    stats = StatsWriter(tmp_path, 0)
    stats.write(row(1))
    stats.write(row(2))
    assert read_stats(tmp_path / "stats.jsonl") == [row(1), row(2)]


def test_a_row_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    StatsWriter(tmp_path, 0).write(row(1))
    assert read_stats(tmp_path / "stats.jsonl") == [row(1)]


def test_rows_after_the_step_to_go_on_from_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").write_text("".join(json.dumps(row(step)) + "\n" for step in (10, 20, 30)))
    StatsWriter(tmp_path, 20).write(row(25))
    assert [row["step"] for row in read_stats(tmp_path / "stats.jsonl")] == [10, 20, 25]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps(row(10)) + "\n"
    (tmp_path / "stats.jsonl").write_text(whole + json.dumps(row(20))[:25])
    assert read_stats(tmp_path / "stats.jsonl") == [row(10)]


def test_after_a_line_that_was_cut_off_writing_goes_on_in_a_new_line(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").write_text(json.dumps(row(10)) + "\n" + '{"step": 2')
    StatsWriter(tmp_path, 100).write(row(20))
    assert read_stats(tmp_path / "stats.jsonl") == [row(10), row(20)]


def test_tensorboard_gets_each_number_at_its_step(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="in the extra monitor"
    )
    with Events(tmp_path, 0) as writer:
        writer.row(row(7, Loss_D=0.5))
        writer.row(row(14, Loss_D=0.25))
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("Loss_D")] == [(7, 0.5), (14, 0.25)]
