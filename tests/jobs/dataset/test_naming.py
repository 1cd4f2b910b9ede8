"""Dates in names: which name a moment gets, which seed, and which other names are those of other days."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.dataset.naming import dated, siblings

FIRST, SECOND = 1792888200, 1792888200 + 3600
"""02:30 on the night when the clocks of Berlin go back, and an hour later, when it is 02:30 again."""
BOTH = "{date}T{time}"


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def test_fields_become_date_and_time_and_both_go_into_the_seed() -> None:
    assert dated("a/{date}/b-{date}", FIRST - 7200) == (Path("a/2026-10-25/b-2026-10-25"), 20261025)
    assert dated(BOTH, FIRST - 7200) == (Path("2026-10-25T003000"), 20261025003000)
    assert dated("s3://bucket/{date}", FIRST) == ("s3://bucket/2026-10-25", 20261025)
    assert dated(Path("plain"), FIRST) == (Path("plain"), 20261025)


def test_hour_that_comes_twice_has_other_names_and_seeds_the_second_time() -> None:
    assert dated(BOTH, FIRST) == (Path("2026-10-25T023000"), 20261025023000)
    assert dated(BOTH, SECOND) == (Path("2026-10-25T02B3000"), 202610250230001)


def test_names_of_a_night_sort_as_they_came() -> None:
    moments = range(FIRST - 7200, SECOND + 7200, 601)
    names = [str(dated(BOTH, moment)[0]) for moment in moments]
    assert names == sorted(names)
    assert len({dated(BOTH, moment)[1] for moment in moments}) == len(moments)


@pytest.mark.parametrize(
    ("out", "same", "other"),
    [
        ("synthetic/{date}", ["2026-11-21"], ["2026-11-21a", "x2026-11-21", "golden", "20261121", "2026-11-21T023000"]),
        ("run-{time}.x", ["run-023000.x", "run-02B3000.x"], ["run-023000-x", "run-2026-11-21.x", "run-02300.x"]),
        (BOTH, ["2026-11-21T023000", "2026-11-21T02B3000"], ["2026-11-21"]),
        ("s/2026-11-22/", ["2026-11-21"], ["2026-11-21a"]),
        ("20261122", ["20261121"], ["20269921", "12345678", "2026112"]),
        ("n-20261122T023000", ["n-20261121T053000"], ["n-20261121", "n-20261121-053000"]),
        ("a[1]-{date}", ["a[1]-2026-11-21"], ["a1-2026-11-21"]),
    ],
)
def test_siblings_differ_in_nothing_but_the_date_or_time(out: str, same: list[str], other: list[str]) -> None:
    pattern = siblings(out)
    assert pattern is not None
    assert [name for name in same if not pattern.fullmatch(name)] == []
    assert [name for name in other if pattern.fullmatch(name)] == []


@pytest.mark.parametrize(
    "out", ["run", "batch-100000", "{date}/run", "v-2-11-22", "123-45-678", "2026-11-222", ".", "/"]
)
def test_name_without_a_date_has_no_siblings(out: str) -> None:
    assert siblings(out) is None
