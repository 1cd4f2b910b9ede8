"""`--keep`: of the runs that follow one another the oldest go, if gan-batch alone made them; in doubt a run stays."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checks.verify import verify
from jobs.dataset import tars
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
from jobs.stores.local_store import LocalStore
from models.log import log
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import batch, kill_at, stamps, succeeds
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

NIGHTS = [f"2026-11-2{number}" for number in range(5)]
NAMES = siblings(NIGHTS[0])
assert NAMES is not None
SERIES = RunSeries(NAMES, "model.onnx")
IMPORTS = """
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator whose runs take no time."""
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def night(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run; tests must not change it."""
    out = tmp_path_factory.mktemp("night") / "run"
    succeeds(run_in_process(*command(small, out)))
    return out


@pytest.fixture
def runs(night: Path, tmp_path: Path) -> Path:
    """A folder with a complete run of each of `NIGHTS`."""
    for name in NIGHTS:
        shutil.copytree(night, tmp_path / "runs" / name)
    return tmp_path / "runs"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the log says."""
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger=log.name)
    return caplog


def command(model: Path, out: Path, *options: str | Path) -> list[str]:
    return batch(model, out, 5, "--shard-size", "2", *map(str, options))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def change(out: Path, **fields: Any) -> None:
    """Put other values into a run.json; None takes a field out."""
    content = {**json.loads((out / "run.json").read_text()), **fields}
    (out / "run.json").write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def state_of(out: Path) -> str:
    state: str = json.loads((out / "run.json").read_text())["state"]
    return state


def test_oldest_runs_of_the_line_are_removed_and_the_log_says_so(small: Path, runs: Path) -> None:
    result = run_in_process(*command(small, runs / "2026-11-25", "--keep", "3"))
    succeeds(result)
    assert names(runs) == ["2026-11-23", "2026-11-24", "2026-11-25"]
    assert [list(verify(runs / name)) for name in names(runs)] == [[], [], []]
    assert [f"removed {runs / name}\n" in result.stderr for name in NIGHTS] == [True, True, True, False, False]


def test_weekly_model_of_the_same_name_prunes_the_runs_of_the_one_before(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "retrained").mkdir()
    retrained = write_model(tmp_path / "retrained" / "model.onnx", seed=1)
    succeeds(run_in_process(*command(retrained, runs / "2026-11-25", "--keep", "1")))
    assert names(runs) == ["2026-11-25"]


def test_runs_of_another_model_or_another_line_stay_and_are_named(small: Path, runs: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other.onnx", seed=1)
    result = run_in_process(*command(other, runs / "2026-11-25", "--keep", "1"))
    succeeds(result)
    assert names(runs) == [*NIGHTS, "2026-11-25"]
    assert "left 2026-11-20, 2026-11-21, 2026-11-22 and 2 more: of another line, model.onnx" in result.stderr
    succeeds(run_in_process(*command(other, runs / "2026-11-26", "--keep", "1", "--line", "model.onnx")))
    assert names(runs) == ["2026-11-25", "2026-11-26"]


def test_hand_made_set_of_another_name_stays(runs: Path, said: pytest.LogCaptureFixture) -> None:
    for name in ("golden", "2026-11-20-curated", "old 2026-11-20"):
        shutil.copytree(runs / NIGHTS[0], runs / name)
    prune(runs / NIGHTS[4], 1, None, SERIES)
    assert names(runs) == sorted(["golden", "2026-11-20-curated", "old 2026-11-20", NIGHTS[4]])
    assert "left 2026-11-20-curated, golden, old 2026-11-20: the name differs in more than the date" in said.text


@pytest.mark.parametrize(
    "mine",
    ["notes.txt", "images/notes.txt", "images/00001/mask.png", "_manifests/mine.csv", "mine/00000000.png", "00007/x"],
)
def test_run_that_holds_a_file_of_somebody_else_stays_whole(
    mine: str, runs: Path, said: pytest.LogCaptureFixture
) -> None:
    (runs / NIGHTS[0] / mine).parent.mkdir(exist_ok=True)
    (runs / NIGHTS[0] / mine).write_text("mine")
    before = stamps(runs / NIGHTS[0])
    assert prune(runs / NIGHTS[4], 4, None, SERIES) == []
    assert stamps(runs / NIGHTS[0]) == before
    assert f"left {NIGHTS[0]}: {mine.removesuffix('/00000000.png').removesuffix('/x')} in it is not of" in said.text


def test_run_that_somebody_took_images_out_of_stays(runs: Path, said: pytest.LogCaptureFixture) -> None:
    (runs / NIGHTS[0] / "images" / "00001" / "00000002.png").unlink()
    shutil.rmtree(runs / NIGHTS[1] / "images" / "00000")
    assert prune(runs / NIGHTS[4], 1, None, SERIES) == [runs / NIGHTS[2], runs / NIGHTS[3]]
    assert names(runs) == [NIGHTS[0], NIGHTS[1], NIGHTS[4]]
    assert "images in its images/00001 are not there" in said.text
    assert "1 of its shards are not there" in said.text


def edit_row(path: Path) -> None:
    """Give a row of a manifest a column's value of one's own."""
    header, first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, first.replace(",L,", ",RGB,"), *rest]))


@pytest.mark.parametrize(
    ("name", "change_it", "why"),
    [
        ("images/00001/00000002.png", lambda path: path.write_bytes(b"mine"), "is not of the size that gan-batch"),
        ("manifest.csv", edit_row, "was changed: the row of image 0 is not the one"),
        ("manifest.csv", lambda path: path.write_text(path.read_text() + "mine\n"), "has more rows"),
        ("manifest.csv", Path.unlink, "its manifest is not the one"),
        ("_manifests/00001.csv", edit_row, "was changed: the row of image 2"),
        ("_manifests/00001.csv", lambda path: path.write_bytes(b""), "cannot be compared"),
    ],
)
def test_run_that_somebody_changed_by_hand_stays_whole(
    name: str, change_it: Callable[[Path], object], why: str, runs: Path, said: pytest.LogCaptureFixture
) -> None:
    change_it(runs / NIGHTS[0] / name)
    before = stamps(runs / NIGHTS[0])
    assert prune(runs / NIGHTS[4], 4, None, SERIES) == []
    assert stamps(runs / NIGHTS[0]) == before
    assert f"left {NIGHTS[0]}: " in said.text
    assert why in said.text


def test_both_manifests_changed_alike_do_not_hide_it(runs: Path, said: pytest.LogCaptureFixture) -> None:
    for name in ("manifest.csv", "_manifests/00000.csv"):
        edit_row(runs / NIGHTS[0] / name)
    assert prune(runs / NIGHTS[4], 4, None, SERIES) == []
    assert "_manifests/00000.csv is damaged" in said.text


def test_tar_file_that_somebody_changed_stays(
    small: Path, runs: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    for name in NIGHTS:
        shutil.rmtree(runs / name)
        succeeds(run_in_process(*command(small, runs / name, "--format", "tar")))
    for number, night in enumerate(NIGHTS[:2]):
        path = runs / night / "images" / "00001.tar"
        files = tars.unpack(path.read_bytes())
        files |= {"00000002.png": b"mine"} if number else {"mine.png": b"mine"}
        path.write_bytes(tars.pack(files.items()))
    assert prune(runs / NIGHTS[4], 1, None, SERIES) == [runs / NIGHTS[2], runs / NIGHTS[3]]
    assert "images/00001.tar/00000002.png in it is not of the size that gan-batch wrote" in said.text
    assert "images/00001.tar/mine.png in it is not of gan-batch" in said.text


def test_run_with_a_link_in_it_stays(runs: Path, tmp_path: Path) -> None:
    shutil.move(runs / NIGHTS[0] / "images" / "00001", tmp_path / "elsewhere")
    (runs / NIGHTS[0] / "images" / "00001").symlink_to(tmp_path / "elsewhere")
    prune(runs / NIGHTS[4], 1, None, SERIES)
    assert names(runs) == [NIGHTS[0], NIGHTS[4]]
    assert len(names(tmp_path / "elsewhere")) == 2


def test_run_of_an_older_version_stays_and_is_said_why(runs: Path, said: pytest.LogCaptureFixture) -> None:
    change(runs / NIGHTS[0], line=None)
    prune(runs / NIGHTS[4], 1, None, SERIES)
    assert names(runs) == [NIGHTS[0], NIGHTS[4]]
    assert f"left {NIGHTS[0]}: made by an older version" in said.text


def test_nothing_is_removed_where_there_are_fewer(runs: Path) -> None:
    assert prune(runs / NIGHTS[4], 5, None, SERIES) == []
    assert prune(runs / NIGHTS[4], 9, None, SERIES) == []
    assert len(names(runs)) == 5


def test_the_run_itself_stays_though_it_is_the_oldest(runs: Path) -> None:
    prune(runs / NIGHTS[0], 2, None, SERIES)
    assert names(runs) == [NIGHTS[0], NIGHTS[4]]


def test_what_is_no_complete_run_stays(small: Path, runs: Path, night: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(night, tmp_path / "elsewhere")
    (runs / "2026-11-19").symlink_to(elsewhere)
    (runs / "photos").mkdir()
    (runs / "photos" / "00000000.png").write_text("mine")
    (runs / "manifest.csv").write_text("mine")
    change(runs / NIGHTS[0], state="running")
    change(runs / NIGHTS[1], state="rejected by the quality gate")
    (runs / NIGHTS[2] / "run.json").write_text("{")
    before = {name: stamps(runs / name) for name in (*NIGHTS[:3], "photos")}
    holder = LocalStore(runs / NIGHTS[3])
    holder.lock()
    try:
        result = run_in_process(*command(small, runs / "2026-11-25", "--keep", "1", "--latest", runs / "latest"))
    finally:
        holder.close()
    succeeds(result)
    assert names(runs) == ["2026-11-19", *NIGHTS[:4], "2026-11-25", "latest", "manifest.csv", "photos"]
    assert {name: stamps(runs / name) for name in before} == before
    assert list(verify(elsewhere)) == []
    assert f"left {NIGHTS[3]}: another process holds it" in result.stderr


def test_target_of_a_link_stays(runs: Path, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    (tmp_path / "latest").symlink_to(f"runs/{NIGHTS[1]}")
    assert prune(runs / NIGHTS[4], 1, tmp_path / "latest", SERIES) == [runs / NIGHTS[n] for n in (0, 2, 3)]
    assert f"left {NIGHTS[1]}: a link leads there" in said.text


def test_temporary_files_of_a_kill_go_with_their_run(runs: Path) -> None:
    for name in (".manifest.csv.tmp", "images/00000/.00000001.png.tmp", "_manifests/.00001.csv.tmp"):
        (runs / NIGHTS[0] / name).write_bytes(b"")
    prune(runs / NIGHTS[4], 1, None, SERIES)
    assert names(runs) == [NIGHTS[4]]


def test_run_that_fails_removes_nothing(small: Path, runs: Path) -> None:
    assert run_in_process(*command(small, runs / "2026-11-25", "--keep", "1", "--max-seconds", "0")).returncode == 3
    assert len(names(runs)) == 6


@pytest.mark.parametrize("out", ["run", "batch-100000", "{date}/run", "version-2-11-22"])
def test_name_without_a_date_is_refused_before_the_work(out: str, small: Path, tmp_path: Path) -> None:
    fails_in_one_line(run_in_process(*command(small, tmp_path / out, "--keep", "3")), 2, "--keep", "no date", "--out")
    assert names(tmp_path) == []


def killed(runs: Path, operation: str, calls: int) -> None:
    call = f"prune(Path({os.fspath(runs / NIGHTS[4])!r}), 1, None, RunSeries(siblings({NIGHTS[0]!r}), 'model.onnx'))"
    kill_at(operation, calls, IMPORTS, call)


@pytest.mark.parametrize(("operation", "calls"), [("unlink", 2), ("unlink", 9), ("rmdir", 4), ("unlink", 17)])
def test_removal_that_was_killed_is_finished_by_the_next(operation: str, calls: int, small: Path, runs: Path) -> None:
    for name in NIGHTS[2:4]:
        shutil.rmtree(runs / name)
    killed(runs, operation, calls)
    assert NIGHTS[0] in names(runs)
    assert not (runs / NIGHTS[0] / "run.json").exists() or state_of(runs / NIGHTS[0]) == "being removed"
    assert state_of(runs / NIGHTS[1]) == "complete"
    succeeds(run_in_process(*command(small, runs / NIGHTS[4], "--keep", "2")))
    assert names(runs) == [NIGHTS[1], NIGHTS[4]]


def test_run_that_goes_on_in_what_a_removal_left_is_whole(small: Path, runs: Path) -> None:
    killed(runs, "unlink", 7)
    assert state_of(runs / NIGHTS[0]) == "being removed"
    succeeds(run_in_process(*command(small, runs / NIGHTS[0])))
    assert list(verify(runs / NIGHTS[0])) == []
