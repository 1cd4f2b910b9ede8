"""Runs with a wish: every image is as wanted, the same by every way, and what cannot be had is refused early."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jobs import Gate, OnDisk, Part, RunResult, Work, finish, run_batch
from jobs.checks import acceptance
from jobs.checks.repair import regen, repair
from jobs.checks.status import status
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.plan import Plan
from jobs.dataset.shard import Shard
from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore
from jobs.workers import drawing
from jobs.workers.crew import Failed, Order
from jobs.workers.drawing import Candidate, draw, is_finite
from jobs.workers.ray_worker import Maker
from jobs.workers.session import GeneratorSession
from models.attributes import MEASURE, attributes_of
from models.errors import CommandError, ExitCode
from models.latents import Candidates
from models.mix import Mix
from models.wish import Wish
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, kill_at, rows_of, succeeds
from tests.jobs.here import Here
from tests.jobs.small_models import RARE, write_model

WANT = "area<40 and x>16"
"""What a third of the candidates are."""
COUNT, SHARD, BATCH = 22, 10, 6
NAMES = ("scratch", "dent")
MIX = Mix.balanced(NAMES)


@pytest.fixture(scope="module", autouse=True)
def _workers_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "open", lambda work, order, most, check: Here(order))
        patch.setattr(acceptance, "ENOUGH", 4)  # the rate is told, and nothing depends on it
        patch.setattr(acceptance, "_LEAST_ENOUGH", 2)
        yield


def make(model: Path, out: Path, count: int | None = COUNT, **options: Any) -> RunResult:
    on_disk = options.pop("on_disk", OnDisk(SHARD))
    work = options.pop("work", Work("cpu", batch_size=BATCH))
    return run_batch(model, out, count, seed=SEED, on_disk=on_disk, work=work, gate=Gate("warn"), **options)


@pytest.fixture(scope="module")
def whole(masked_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `COUNT` images; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    make(masked_model, out, want=WANT)
    return out


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture
def session(masked_model: Path) -> GeneratorSession:
    return GeneratorSession(masked_model, "cpu")


def hashes(out: Path) -> list[tuple[str, str | None]]:
    return [(row.sha256, row.mask_sha256) for row in rows_of(out)]


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def refused(model: Path, out: Path, code: ExitCode, *words: str, **options: Any) -> None:
    with pytest.raises(CommandError) as error:
        make(model, out, **options)
    assert error.value.exit_code is code
    for word in words:
        assert word in str(error.value)


# What is made


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
    masked_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        make(masked_model, tmp_path / "run", 12, want=WANT)
    said = [record.getMessage() for record in caplog.records]
    (early,) = [place for place, line in enumerate(said) if "are as wanted (" in line]
    (late,) = [place for place, line in enumerate(said) if "candidates were as wanted (" in line]
    (begun,) = [place for place, line in enumerate(said) if "12 of 12 images to make" in line]
    assert early < begun < late
    stats = json.loads((tmp_path / "run" / "stats.json").read_text())
    assert f"12 of {stats['candidates']} candidates" in said[late]
    assert stats["candidates"] > 12
    assert stats["accepted"] == 12 / stats["candidates"]


# The same by every way


@pytest.mark.parametrize(("shard", "batch_size", "format"), [(7, 1, "png"), (1000, 50, "png"), (10, 4, "tar")], ids=str)
def test_images_depend_on_neither_shards_nor_batches_nor_the_format(
    shard: int, batch_size: int, format: str, masked_model: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    make(masked_model, out, want=WANT, on_disk=OnDisk(shard, format), work=Work("cpu", batch_size=batch_size))
    assert hashes(out) == hashes(whole)
    assert list(verify(out)) == []


def test_longer_run_extends_a_shorter_one_and_need_not_be_told_the_wish_again(
    masked_model: Path, whole: Path, tmp_path: Path
) -> None:
    make(masked_model, tmp_path / "run", 13, want=WANT)
    first = hashes(tmp_path / "run")
    make(masked_model, tmp_path / "run", COUNT)
    assert hashes(tmp_path / "run")[:13] == first
    assert differing(tmp_path / "run", whole) == []


def test_parts_make_the_same_run(masked_model: Path, whole: Path, tmp_path: Path) -> None:
    for number in (3, 1, 2):
        make(masked_model, tmp_path / "run", want=WANT, part=Part(number, 3))
    finish(tmp_path / "run", masked_model, gate=Gate("warn"))
    assert hashes(tmp_path / "run") == hashes(whole)


def test_processes_make_the_same_run(
    masked_model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workers.pool import WorkerPool

    monkeypatch.setattr(Work, "open", lambda work, order, most, check: WorkerPool(order, 2, check))
    command = batch(masked_model, tmp_path / "run", COUNT, "--shard-size", str(SHARD), "--quality-gate", "warn")
    succeeds(run_in_process(*command, GAN_BATCH_WANT=WANT))
    assert differing(tmp_path / "run", whole) == []


def test_worker_of_ray_makes_the_same_rows(masked_model: Path, whole: Path, tmp_path: Path) -> None:
    for root in ("images", "masks"):
        (tmp_path / root / "00001").mkdir(parents=True)
    order = Order(masked_model, "cpu", str(tmp_path), SEED, Folders("images"), wish=Wish.parse(WANT))
    maker = Maker(order, masked_model.read_bytes())
    maker.open()
    done = maker.make(Shard(1, 10, 20), 4, None, MIX)
    assert not isinstance(done, Failed)
    assert done.manifest == manifest.lines(rows_of(whole)[10:20])
    assert done.candidates > 10


@pytest.mark.parametrize("calls", [2, 5])
def test_killed_run_goes_on_to_the_same_end(calls: int, masked_model: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    call = f"""
Work.open = lambda work, order, most, check: Here(order)
run_batch({str(masked_model)!r}, {str(out)!r}, {COUNT}, want={WANT!r}, seed={SEED}, on_disk=OnDisk({SHARD}),
    work=Work("cpu", batch_size={BATCH}), gate=Gate("warn"))
"""
    kill_at("replace", calls, "from jobs import Gate, OnDisk, Work, run_batch\nfrom tests.jobs.here import Here", call)
    assert not (out / "manifest.csv").exists()
    make(masked_model, out, want=WANT)
    assert differing(out, whole) == []


@pytest.mark.parametrize("index", [4, 1500])
def test_any_image_is_made_again_alone(index: int, masked_model: Path, whole: Path, session: GeneratorSession) -> None:
    made = regen(whole, index, masked_model, "cpu")
    assert made.same is (True if index < COUNT else None)
    drawn = draw(session, SEED, index - 2, index + 3, 5, MIX, Wish.parse(WANT))
    np.testing.assert_array_equal(decoded(made.image), drawn.pixels[2])


def test_lost_images_masks_and_shards_are_repaired(masked_model: Path, whole: Path, copied: Path) -> None:
    (copied / "images" / "00000" / "00000003.png").unlink()
    (copied / "masks" / "00001" / "00000012.png").unlink()
    shutil.rmtree(copied / "images" / "00002")
    (copied / "_manifests" / "00002.csv").unlink()
    assert repair(copied, masked_model) >= 4
    assert list(verify(copied)) == []
    assert differing(copied, whole) == []


def test_measures_that_were_lost_come_again(masked_model: Path, whole: Path, copied: Path) -> None:
    for path in (copied / "_quality").iterdir():
        path.unlink()
    (copied / "contact_sheet.png").unlink()
    make(masked_model, copied)
    assert differing(copied, whole, ["log.jsonl", "stats.json", *(f"_quality/0000{i}.csv" for i in range(3))]) == []


# What is refused


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
