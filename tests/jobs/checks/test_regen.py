"""`regen`: any image again, byte for byte, and nothing else touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.checks.repair import regen
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.checks.conftest import touched
from tests.jobs.conftest import batch, rows_of, stamps, succeeds, temporaries
from tests.jobs.damage import (
    BROKEN,
    INDEX,
    other_image,
    put,
)

pytestmark = pytest.mark.usefixtures("workers_here")


@pytest.mark.parametrize("index", [0, INDEX, 99, 100, 129])
def test_regen_gives_the_file_of_the_run(index: int, finished: Path, model: Path) -> None:
    made = regen(finished, index, model)
    assert made.image == (finished / rows_of(finished)[index].file_name).read_bytes()
    assert (made.mask, made.same) == (None, True)


def test_image_that_was_made_again_is_written_by_its_name(
    finished: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = regen(finished, INDEX, model)
    assert (made.write(), made.write(Path("mine.png"))) == (Path("00000007.png"), Path("mine.png"))
    assert Path("00000007.png").read_bytes() == Path("mine.png").read_bytes() == made.image


def test_regen_writes_the_file_where_it_is_told_to(copy: Path, model: Path, tmp_path: Path) -> None:
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", model, "--to", tmp_path / "again.png"
    )
    succeeds(result)
    assert "equal" in result.stderr
    assert (tmp_path / "again.png").read_bytes() == (copy / BROKEN).read_bytes()
    assert touched(before, copy) == set()
    assert temporaries(tmp_path) == []


def test_regen_gives_an_image_that_the_run_lost(copy: Path, model: Path, finished: Path, tmp_path: Path) -> None:
    (copy / BROKEN).unlink()
    before = stamps(copy)
    succeeds(run_in_process("gan-batch", "regen", copy, "--index", INDEX, "--model", model, cwd=tmp_path))
    assert (tmp_path / "00000007.png").read_bytes() == (finished / BROKEN).read_bytes()
    assert touched(before, copy) == set()


def test_regen_gives_images_beyond_the_count(finished: Path, model: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    succeeds(run_in_process(*batch(model, longer, 205, "--shard-size", "100")))
    for index in (130, 199, 200, 204):
        made = regen(finished, index, model)
        assert made.image == (longer / rows_of(longer)[index].file_name).read_bytes()
        assert made.same is None


def test_regen_gives_an_image_far_beyond_the_count(finished: Path, model: Path, tmp_path: Path) -> None:
    result = run_in_process("gan-batch", "regen", finished, "--index", 10**12, "--model", model, cwd=tmp_path)
    succeeds(result)
    assert (tmp_path / "1000000000000.png").is_file()
    assert "does not have" in result.stderr


def test_regen_with_another_model_is_refused(copy: Path, other_model: Path, tmp_path: Path) -> None:
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", other_model, "--to", tmp_path / "again.png"
    )
    fails_in_one_line(result, 78, str(other_model))
    assert not (tmp_path / "again.png").exists()
    assert touched(before, copy) == set()


def test_regen_tells_where_the_manifest_tells_of_other_bytes(copy: Path, model: Path, tmp_path: Path) -> None:
    put(copy, BROKEN, other_image())
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", model, "--to", tmp_path / "again.png"
    )
    fails_in_one_line(result, 76, "again.png")
    assert (tmp_path / "again.png").is_file()
    assert touched(before, copy) == set()


def test_regen_of_no_run_is_missing_input(tmp_path: Path, model: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "regen", tmp_path, "--index", 0, "--model", model), 66, str(tmp_path))


@pytest.mark.parametrize("where", ["nowhere/again.png", "a-folder"])
def test_regen_to_a_place_that_cannot_be_written_is_refused(
    where: str, finished: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a-folder").mkdir()
    result = run_in_process("gan-batch", "regen", finished, "--index", 0, "--model", model, "--to", tmp_path / where)
    fails_in_one_line(result, 73, where)
