"""What a wish cannot be is refused early, and what cannot be had with the nearest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobs.checks import acceptance
from jobs.checks.repair import regen, repair
from jobs.dataset.formats import Folders
from jobs.dataset.shard import Shard
from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore
from jobs.workers import drawing
from jobs.workers.crew import Order
from jobs.workers.drawing import draw
from jobs.workers.session import GeneratorSession
from models.attributes import MEASURE
from models.errors import CommandError, ExitCode
from models.wish import Wish
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, succeeds
from tests.jobs.wanted.conftest import COUNT, MIX, WANT, make, refused


def test_another_wish_in_the_same_folder_is_refused(masked_model: Path, copied: Path) -> None:
    refused(masked_model, copied, ExitCode.OTHER_RUN, "want was area<40 and x>16 and is area<40", want="area<40")


def test_wish_is_none_of_a_run_that_has_none(masked_model: Path, tmp_path: Path) -> None:
    make(masked_model, tmp_path / "run", 3)
    refused(masked_model, tmp_path / "run", ExitCode.OTHER_RUN, "want was None and is area<40", want="area<40")


def test_run_of_another_measure_is_neither_extended_nor_repaired(masked_model: Path, copied: Path) -> None:
    text = (copied / "run.json").read_text()
    (copied / "run.json").write_text(text.replace(f'"measure": {MEASURE}', f'"measure": {MEASURE + 1}'))
    refused(masked_model, copied, ExitCode.OTHER_RUN, f"measure was {MEASURE + 1} and is {MEASURE}", count=COUNT + 1)
    (copied / "images" / "00000" / "00000003.png").unlink()
    for again in (lambda: repair(copied, masked_model), lambda: regen(copied, 1, masked_model)):
        with pytest.raises(CommandError, match="version 2 of the measure, this is 1") as error:
            again()
        assert error.value.exit_code is ExitCode.OTHER_RUN


def test_damaged_wish_in_run_json_is_told_of(copied: Path) -> None:
    text = (copied / "run.json").read_text()
    (copied / "run.json").write_text(text.replace("area<40", "area<40.0"))
    with pytest.raises(CommandError) as error:
        RunState.of(LocalStore(copied))
    assert error.value.exit_code is ExitCode.BAD_DATA


@pytest.mark.parametrize(
    ("want", "said"),
    [
        ("lenght<20", "did you mean length?"),
        ("length<0", "no image has length<0"),
        ("defect=none and length<20", "has never length<20"),
        ("length", "in quotes"),
    ],
)
def test_what_is_no_wish_is_refused_before_a_model_is_looked_for(want: str, said: str, tmp_path: Path) -> None:
    result = run_in_process(*batch(tmp_path / "none.onnx", tmp_path / "run", 10, "--want", want))
    fails_in_one_line(result, 2, "--want", said)
    assert not (tmp_path / "run").exists()


def test_wish_far_from_all_that_the_model_makes_is_refused_with_the_nearest(masked_model: Path, tmp_path: Path) -> None:
    result = run_in_process(*batch(masked_model, tmp_path / "run", 500, "--want", "contrast>250 and area<40"))
    fails_in_one_line(
        result, 65, "--want: none of 300 images of class scratch", "the nearest has contrast", "where area<40"
    )
    assert not (tmp_path / "run").exists()


def test_wish_that_would_take_too_many_candidates_is_refused_before_anything_is_made(
    masked_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "MOST_ATTEMPTS", 100)
    out = tmp_path / "run"
    refused(masked_model, out, ExitCode.BAD_DATA, "at most 100 are tried", "meet x>16", want=WANT, count=400)
    assert not out.exists()


def test_image_without_a_match_ends_the_run(session: GeneratorSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MOST_ATTEMPTS", 20)
    with pytest.raises(CommandError, match=r"image 7: none of 2\d candidates") as error:
        draw(session, SEED, 7, 8, 6, MIX, Wish.parse("contrast>200"))
    assert error.value.exit_code is ExitCode.BAD_DATA


def test_without_scikit_image_one_line_says_what_to_install(
    masked_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    result = run_in_process(*batch(masked_model, tmp_path / "run", 10, "--want", WANT))
    fails_in_one_line(result, 2, "--want needs the extra `convert`", "pip install '.[convert]'")
    assert not (tmp_path / "run").exists()
    succeeds(run_in_process(*batch(masked_model, tmp_path / "run", 2, "--quality-gate", "off")))


def test_worker_may_be_silent_for_as_long_as_its_candidates_take() -> None:
    order = Order(Path("generator.onnx"), "cpu", "run", 0, Folders("images"))
    assert order.patience(Shard(0, 0, 50)) == 650
    assert order.patience(Shard(0, 0, 50, candidates=20.0)) == 1600
