"""Runs with a wish: every image is as wanted, and what is told of it."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs import Gate, Work, run_batch
from jobs.checks import acceptance
from jobs.checks.status import status
from jobs.dataset.formats import Folders
from jobs.dataset.plan import Plan
from jobs.workers.drawing import Candidate, draw, is_finite
from jobs.workers.session import GeneratorSession
from models.attributes import MEASURE, attributes_of
from models.latents import Candidates
from models.wish import Wish
from tests.jobs.conftest import SEED, rows_of
from tests.jobs.small_models import RARE, write_model
from tests.jobs.wanted.conftest import BATCH, COUNT, MIX, SHARD, WANT, make, read


def test_every_image_is_as_wanted_when_its_files_are_measured_again(whole: Path) -> None:
    wish, rows = Wish.parse(WANT), rows_of(whole)
    assert len(rows) == COUNT
    for row in rows:
        assert row.mask_file_name is not None
        assert wish.accepts(attributes_of(read(whole / row.file_name), read(whole / row.mask_file_name) > 0))


def test_without_masks_images_are_measured_by_what_is_found_in_their_files(tmp_path: Path) -> None:
    plain = write_model(tmp_path / "plain.onnx", gain=0.05, line=0.3, faults=[])
    make(plain, tmp_path / "run", 40, want="defect=none")
    assert not any(attributes_of(read(tmp_path / "run" / row.file_name)).count for row in rows_of(tmp_path / "run"))
    make(plain, tmp_path / "other", 40)
    found = [attributes_of(read(tmp_path / "other" / row.file_name)).count for row in rows_of(tmp_path / "other")]
    assert 10 < np.count_nonzero(found) < 40


def test_colours_are_measured_as_the_gray_that_pillow_makes_of_the_file() -> None:
    pixels = np.random.default_rng(0).integers(90, 110, (64, 64, 3), dtype=np.uint8)
    pixels[10:12, 4:28] = (250, 200, 30)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:12, 4:28] = 255
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    for given, known in ((mask, mask > 0), (None, None)):
        measured = Candidate(0, 0, {}, pixels, given).measure()
        assert measured == attributes_of(gray, known)
        assert measured.count == 1


def test_each_image_is_the_first_of_its_own_candidates_that_is_as_wanted(
    whole: Path, session: GeneratorSession
) -> None:
    """One at a time, by the definition."""
    later = 0
    for row in rows_of(whole):
        for attempt in range(100):
            inputs = session.inputs_of(SEED, Candidates(np.array([row.index]), np.array([attempt])), MIX)
            pixels, masks = session.run(inputs, 1)
            assert masks is not None
            if Wish.parse(WANT).accepts(attributes_of(pixels[0, ..., 0], masks[0] > 0)):
                break
        np.testing.assert_array_equal(read(whole / row.file_name), pixels[0, ..., 0])
        np.testing.assert_array_equal(read(whole / str(row.mask_file_name)), masks[0])
        assert row.label_id == MIX.label(row.index)
        later += attempt > 0
    assert 5 < later < COUNT


def test_image_whose_first_candidate_is_as_wanted_is_that_of_the_run_without_a_wish(
    whole: Path, masked_model: Path, tmp_path: Path
) -> None:
    make(masked_model, tmp_path / "plain")
    wish, same = Wish.parse(WANT), 0
    for plain, chosen in zip(rows_of(tmp_path / "plain"), rows_of(whole), strict=True):
        mask = read(tmp_path / "plain" / str(plain.mask_file_name)) > 0
        is_wanted = wish.accepts(attributes_of(read(tmp_path / "plain" / plain.file_name), mask))
        assert (plain.sha256 == chosen.sha256) == is_wanted
        same += is_wanted
    assert 0 < same < COUNT


def test_images_have_the_inputs_that_they_are_told_to_have(session: GeneratorSession) -> None:
    drawn = draw(session, SEED, 3, 9, 6, MIX, Wish.parse(WANT))
    pixels, masks = session.run(drawn.inputs, 6)
    np.testing.assert_array_equal(drawn.pixels, pixels)
    assert masks is not None
    np.testing.assert_array_equal(drawn.masks, masks)
    assert max(drawn.attempts) > 0


def test_image_that_is_looked_at_again_is_the_one_that_was_chosen(tmp_path: Path) -> None:
    limit = 1.9  # of which its golden images keep clear
    session = GeneratorSession(write_model(tmp_path / "m.onnx", broken_above=limit, masks=RARE, faults=[]), "cpu")
    wish = Wish.parse("count>=3")
    drawn = draw(session, SEED, 0, 30, 30, None, wish)
    broken = np.flatnonzero(drawn.inputs["z"][:, 0] > limit).tolist()
    assert any(drawn.attempts[index] for index in broken)
    plan = Plan(SEED, 32, 32, "L", SHARD, Folders("images"), has_masks=True, wish=wish)
    looked_at = [*broken, *(index for index in range(30) if index not in broken)][:8]
    assert [bool(is_finite(session, plan, index)[0]) for index in looked_at] == [one not in broken for one in looked_at]
    assert len(looked_at) > len(broken)


def test_run_json_has_the_wish_and_the_version_of_the_measure(whole: Path) -> None:
    fingerprint = json.loads((whole / "run.json").read_text())["fingerprint"]
    assert (fingerprint["want"], fingerprint["measure"]) == ("area<40 and x>16", MEASURE)


def test_run_without_a_wish_has_the_fingerprint_that_it_always_had(masked_model: Path, tmp_path: Path) -> None:
    make(masked_model, tmp_path / "run", 3)
    assert {"want", "measure"} & json.loads((tmp_path / "run" / "run.json").read_text())["fingerprint"].keys() == set()


def test_clean_surfaces_are_a_run_that_the_gate_accepts(masked_model: Path, tmp_path: Path) -> None:
    run_batch(
        masked_model, tmp_path / "run", 12, want="defect=none", seed=SEED, work=Work("cpu", batch_size=BATCH),
        gate=Gate(max_near_duplicates=1.0),
    )  # fmt: skip
    assert all(not read(path).any() for path in (tmp_path / "run" / "masks").rglob("*.png"))
    assert status(tmp_path / "run").state == "complete"


def test_rate_is_told_before_the_first_shard_and_the_candidates_at_the_end(
    masked_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "_SILENCE", 0.0)
    with caplog.at_level(logging.INFO):
        make(masked_model, tmp_path / "run", 12, want=WANT)
    said = [record.getMessage() for record in caplog.records]
    (early,) = [place for place, line in enumerate(said) if "are as wanted (" in line]
    (late,) = [place for place, line in enumerate(said) if "candidates were as wanted (" in line]
    (begun,) = [place for place, line in enumerate(said) if "12 of 12 images to make" in line]
    assert early < begun < late
    assert re.search(r"images take some \d+ candidates, about \d+ s for one worker$", said[early])
    assert re.fullmatch(r"\d+ of class dent are as wanted of \d+ looked at, 4096 at most", said[early - 1])
    stats = json.loads((tmp_path / "run" / "stats.json").read_text())
    assert f"12 of {stats['candidates']} candidates" in said[late]
    assert stats["candidates"] > 12
    assert stats["accepted"] == 12 / stats["candidates"]
