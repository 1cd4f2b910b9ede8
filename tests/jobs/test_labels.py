"""Runs of a generator with classes: which class each image shows, and where that is written, checked and repaired."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jobs import Gate, OnDisk, Part, RunResult, Work, finish, run_batch
from jobs.checks.repair import regen, repair
from jobs.checks.status import status
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.dataset.shard import Shard
from jobs.workers.crew import Failed, Order
from jobs.workers.ray_worker import Maker
from models.errors import CommandError, ExitCode
from models.mix import Mix
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, succeeds
from tests.jobs.small_models import class_of, write_model

pytestmark = pytest.mark.usefixtures("workers_here")

NAMES = ("crack", "dent", "hole")
COUNT, SHARD = 45, 10
MIX = "hole=0.7,crack=20%,dent=.1"
RESOLVED = Mix(NAMES, (2, 1, 7))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", gain=0.1, classes=NAMES, faults=[])


def make(model: Path, out: Path, count: int | None = COUNT, **options: Any) -> RunResult:
    on_disk = options.pop("on_disk", OnDisk(SHARD))
    return run_batch(model, out, count, seed=SEED, on_disk=on_disk, work=Work("cpu", batch_size=4), **options)


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `COUNT` images; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert make(model, out, mix=MIX).classes == dict(zip(NAMES, RESOLVED.counts(COUNT), strict=True))
    return out


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def mix_of(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())["fingerprint"].get("mix")


def labels_of(out: Path) -> list[int | None]:
    return [row.label_id for row in rows_of(out)]


def exit_code(call: Callable[[], object]) -> int:
    with pytest.raises(CommandError) as error:
        call()
    return error.value.exit_code


# What is made


def test_manifest_says_the_class_of_each_image_after_the_usual_columns(whole: Path) -> None:
    header, first, *_ = (whole / "manifest.csv").read_text().splitlines()
    assert header == "index,file_name,seed,sha256,width,height,mode,bytes,label,label_id"
    assert first.endswith(",hole,2")
    assert labels_of(whole) == RESOLVED.labels(0, COUNT).tolist()
    assert {(row.label, row.label_id) for row in rows_of(whole)} == set(zip(NAMES, range(3), strict=True))


def test_each_image_shows_the_class_that_its_row_says(whole: Path) -> None:
    shown = [class_of(decoded((whole / row.file_name).read_bytes())) for row in rows_of(whole)]
    assert shown == labels_of(whole)


def test_run_json_has_the_mix_as_whole_shares_of_every_class(whole: Path) -> None:
    assert mix_of(whole) == "crack=2,dent=1,hole=7"
    assert status(whole).mix == mix_of(whole)


def test_run_is_what_its_manifest_says(whole: Path) -> None:
    assert list(verify(whole)) == []


def test_without_a_mix_classes_take_turns(model: Path, tmp_path: Path) -> None:
    make(model, tmp_path / "run", 7)
    assert labels_of(tmp_path / "run") == [0, 1, 2, 0, 1, 2, 0]
    assert mix_of(tmp_path / "run") == "crack=1,dent=1,hole=1"


def test_contact_sheet_has_a_line_of_text_above_the_images_of_each_class(whole: Path) -> None:
    sheet = np.asarray(Image.open(whole / "contact_sheet.png"))
    rows = [2, 1, 2]  # of at most 16 images, eight a row: there are 9, 4 and 32
    assert sheet.shape[0] == sum(14 + 32 * number + 2 * (number - 1) for number in rows)
    top = 0
    for label, number in enumerate(rows):
        assert (sheet[top : top + 14] < 128).any()
        assert class_of(sheet[top + 14 : top + 46, :32, None]) == label
        top += 14 + 32 * number + 2 * (number - 1)


# The same by every way


def test_longer_run_extends_a_shorter_one_and_need_not_be_told_the_mix_again(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    make(model, tmp_path / "run", 17, mix=MIX)
    make(model, tmp_path / "run", append=COUNT - 17, count=None)
    assert differing(tmp_path / "run", whole) == []


def test_parts_make_the_same_run(model: Path, whole: Path, tmp_path: Path) -> None:
    for number in (3, 1, 2):
        make(model, tmp_path / "run", mix=MIX, part=Part(number, 3))
    assert dict(finish(tmp_path / "run", model).classes) == Counter(row.label for row in rows_of(whole))
    parts = [path.name for path in (tmp_path / "run").glob("*-of-3.json*")]
    assert differing(tmp_path / "run", whole, [*parts, "log.jsonl", "stats.json"]) == []


def test_processes_make_the_same_run(model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.workers.pool import WorkerPool

    monkeypatch.setattr(Work, "open", lambda work, order, most, check: WorkerPool(order, 1, check))
    succeeds(run_in_process(*batch(model, tmp_path / "run", COUNT, "--shard-size", str(SHARD), "--mix", MIX)))
    assert differing(tmp_path / "run", whole) == []


def test_worker_of_ray_makes_the_same_rows(model: Path, whole: Path, tmp_path: Path) -> None:
    from jobs.dataset.formats import Folders

    (tmp_path / "images" / "00003").mkdir(parents=True)
    maker = Maker(Order(model, "cpu", str(tmp_path), SEED, Folders("images")), model.read_bytes())
    maker.open()
    done = maker.make(Shard(3, 30, 40), 4, None, RESOLVED)
    assert not isinstance(done, Failed)
    assert done.manifest == manifest.lines(rows_of(whole)[30:40])


def test_tar_files_and_parquet_hold_the_same(model: Path, whole: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    out = tmp_path / "run"
    make(model, out, mix=MIX, on_disk=OnDisk(SHARD, "tar", "parquet"))
    table = parquet.read_table(out / "manifest.parquet")
    assert table.column_names[-2:] == ["label", "label_id"]
    assert table["label"].to_pylist() == [row.label for row in rows_of(whole)]
    assert table["sha256"].to_pylist() == [row.sha256 for row in rows_of(whole)]
    assert list(verify(out)) == []
    part = out / "manifest.parquet" / "part-00000.parquet"
    changed = table.set_column(8, "label", [["dent"] * COUNT])
    parquet.write_table(changed.cast(table.schema), part)
    assert {fault.fault for fault in verify(out)} == {"bad row"}


# What is refused


@pytest.mark.parametrize("mix", ["crack=1,dent=1", "balanced"])
def test_run_of_another_mix_is_refused_and_told_how_it_differs(mix: str, model: Path, copied: Path) -> None:
    with pytest.raises(CommandError, match=r"mix was crack=2,dent=1,hole=7 and is crack=1,dent=1,hole=[01]") as error:
        make(model, copied, mix=mix)
    assert error.value.exit_code is ExitCode.OTHER_RUN


def test_misspelt_class_is_refused_before_anything_is_made(model: Path, tmp_path: Path) -> None:
    result = run_in_process(*batch(model, tmp_path / "run", COUNT, "--mix", "crack=0.6,holes=0.4"))
    fails_in_one_line(result, 2, "--mix", "no class 'holes', did you mean hole?", "crack, dent, hole")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ask", [{"mix": "balanced"}, {"per_class": 2, "count": None}])
def test_model_without_classes_makes_no_mix(ask: dict[str, Any], tmp_path: Path) -> None:
    plain = write_model(tmp_path / "plain.onnx", faults=[])
    assert exit_code(lambda: make(plain, tmp_path / "run", **ask)) == ExitCode.USAGE
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [["--count", "5"], ["--fill", "."], ["--mix", "balanced"]])
def test_two_ways_to_say_how_many_are_refused(options: list[str], model: Path, tmp_path: Path) -> None:
    result = run_in_process("gan-batch", "--model", model, "--out", tmp_path / "run", "--per-class", "5", *options)
    fails_in_one_line(result, 2, "--per-class")


def test_damaged_mix_in_run_json_is_told_of(copied: Path) -> None:
    text = (copied / "run.json").read_text()
    (copied / "run.json").write_text(text.replace("dent=1", "dent=x"))
    assert exit_code(lambda: status(copied)) == ExitCode.BAD_DATA


# How many


def test_per_class_makes_so_many_of_each(model: Path, tmp_path: Path) -> None:
    assert make(model, tmp_path / "run", None, per_class=6).classes == dict.fromkeys(NAMES, 6)
    assert Counter(labels_of(tmp_path / "run")) == dict.fromkeys(range(3), 6)


def test_fill_makes_what_brings_a_data_set_to_equal_numbers(model: Path, whole: Path, tmp_path: Path) -> None:
    assert RESOLVED.counts(COUNT) == (9, 4, 32)
    made = make(model, tmp_path / "run", None, fill=whole)
    assert made.classes == {"crack": 23, "dent": 28, "hole": 0}
    assert Counter(labels_of(tmp_path / "run")) == {0: 23, 1: 28}


def test_fill_of_equal_classes_has_nothing_to_do(model: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "one.jpg").touch()
    result = run_in_process("gan-batch", "--model", model, "--fill", tmp_path / "data", "--out", tmp_path / "run")
    assert (result.returncode, "nothing to make" in result.stderr) == (0, True), result.stderr
    assert not (tmp_path / "run").exists()


# Checked and repaired


def test_wrong_label_is_found_and_repaired(model: Path, whole: Path, copied: Path) -> None:
    name = copied / "_manifests" / "00001.csv"
    name.write_text(name.read_text().replace(",hole,2", ",dent,1", 1))
    faults = [str(fault) for fault in verify(copied)]
    assert len([fault for fault in faults if "label is dent" in fault]) == 1, faults
    assert any("label_id is 1" in fault for fault in faults)
    assert repair(copied, model) > 0
    assert list(verify(copied)) == []
    assert differing(copied, whole) == []


def test_manifest_without_labels_is_found_and_made_again(model: Path, whole: Path, copied: Path) -> None:
    name = copied / "_manifests" / "00000.csv"
    name.write_text("".join(line.rsplit(",", 2)[0] + "\n" for line in name.read_text().splitlines()))
    assert "bad row" in {fault.fault for fault in verify(copied)}
    repair(copied, model)
    assert differing(copied, whole) == []


def test_lost_shard_is_made_again_with_its_classes(model: Path, whole: Path, copied: Path) -> None:
    shutil.rmtree(copied / "images" / "00002")
    (copied / "_manifests" / "00002.csv").unlink()
    make(model, copied)
    assert differing(copied, whole) == []


@pytest.mark.parametrize("index", [3, 10**9])
def test_any_image_is_made_again_alone(index: int, model: Path, whole: Path) -> None:
    made = regen(whole, index, model, "cpu")
    assert class_of(decoded(made.image)) == RESOLVED.label(index)
    assert made.same is (True if index < COUNT else None)


# The quality gate


def test_collapsed_class_stops_publishing_and_is_named(tmp_path: Path) -> None:
    """Of a class with 2 % of the images, all alike, the gate for all images together would not say a word."""
    bad = write_model(tmp_path / "bad.onnx", gain=0.1, classes=NAMES, collapsed=["dent"], faults=[])
    with pytest.raises(CommandError, match=r"of class dent are near duplicates") as error:
        make(bad, tmp_path / "run", 300, mix="crack=49,hole=49,dent=2", on_disk=OnDisk(100))
    assert error.value.exit_code is ExitCode.CHECK_FAILED
    assert "class crack" not in str(error.value)
    assert "class hole" not in str(error.value)
    found = json.loads((tmp_path / "run" / "quality.json").read_text())["found"]
    assert {one["label"] for one in found} == set(NAMES)
    assert sum(one["of"] for one in found if one["kind"] == "blank") == 300
    make(bad, tmp_path / "run", 300, gate=Gate("off"), on_disk=OnDisk())
    assert status(tmp_path / "run").state == "complete"
