"""The quality gate judges all images of a run, wherever it was cut off and whatever became of what was measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.checks.misfits import SHARD, Judged, command, found
from tests.jobs.conftest import batch, succeeds

pytestmark = pytest.mark.usefixtures("workers_here")


def verdict_without(run: Judged, damage: Callable[[Path], object], tmp_path: Path) -> dict[str, Any]:
    """What the gate finds when a run, with its measures damaged, is judged again."""
    copy = shutil.copytree(run.out, tmp_path / "judged again")
    damage(copy / "_quality")
    run_in_process(*command(run.model, copy))
    return found(copy)


def lose_all(table: Path) -> None:
    table.unlink()


def empty(table: Path) -> None:
    table.write_bytes(b"")


def overwrite(table: Path) -> None:
    table.write_bytes(b"\xff\x00 no table")


def cut_off(table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-20])


def cut_off_after_the_header(table: Path) -> None:
    table.write_bytes(table.read_bytes().split(b"\n")[0] + b"\n")


def rename_a_column(table: Path) -> None:
    table.write_bytes(table.read_bytes().replace(b"contrast", b"brightness"))


def lose_a_column(table: Path) -> None:
    lines = table.read_bytes().splitlines()
    table.write_bytes(b"".join(line.rpartition(b",")[0] + b"\n" for line in lines))


def swap_two_rows(table: Path) -> None:
    lines = table.read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    table.write_bytes(b"".join(lines))


def take_those_of_another_shard(table: Path) -> None:
    shutil.copy(table.parent / "00002.csv", table)


def put_words_for_numbers(table: Path) -> None:
    table.write_bytes(table.read_bytes().replace(b".", b" point "))


DAMAGES = [
    lose_all,
    empty,
    overwrite,
    cut_off,
    cut_off_after_the_header,
    rename_a_column,
    lose_a_column,
    swap_two_rows,
    take_those_of_another_shard,
    put_words_for_numbers,
]


def test_first_shards_of_a_cut_off_run_are_judged_too(gray_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*command(gray_model, out, "--max-seconds", "0")).returncode == 3
    assert [path.name for path in (out / "_quality").iterdir()] == ["00000.csv"]
    fails_in_one_line(run_in_process(*command(gray_model, out)), 76, "60 of 60 images are constant")
    assert (out / "_quality" / "00002.csv").is_file()


def test_cut_off_run_without_its_measures_is_judged_over_all_images(gray_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*command(gray_model, out, "--max-seconds", "0")).returncode == 3
    shutil.rmtree(out / "_quality")
    fails_in_one_line(run_in_process(*command(gray_model, out)), 76, "60 of 60 images are constant")


def test_lost_measures_do_not_change_the_verdict(misfit: Judged, tmp_path: Path) -> None:
    assert verdict_without(misfit, shutil.rmtree, tmp_path) == found(misfit.out)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_measures_do_not_change_the_verdict(
    damage: Callable[[Path], None], blank: Judged, tmp_path: Path
) -> None:
    again = verdict_without(blank, lambda tables: damage(tables / "00001.csv"), tmp_path)
    assert again == found(blank.out)


def test_measures_of_a_partial_shard_are_the_same_after_they_were_lost(good: Judged, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(good.model, out, SHARD + 7, "--shard-size", str(SHARD))))
    (out / "_quality" / "00001.csv").unlink()
    succeeds(run_in_process(*command(good.model, out)))
    assert (out / "_quality" / "00001.csv").read_bytes() == (good.out / "_quality" / "00001.csv").read_bytes()
    assert (out / "quality.json").read_bytes() == (good.out / "quality.json").read_bytes()


def test_damaged_image_is_an_error_and_not_a_verdict(blank: Judged, tmp_path: Path) -> None:
    copy = shutil.copytree(blank.out, tmp_path / "run")
    (copy / "images" / "00000" / "00000000.png").write_bytes(b"")
    result = run_in_process(*command(blank.model, copy))
    fails_in_one_line(result, 76, "00000000.png", "--repair")
