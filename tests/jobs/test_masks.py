"""Masks: made with their images, committed with them, and shown beside them."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from jobs.dataset.manifest import Row
from jobs.dataset.naming import siblings
from jobs.dataset.pruning import RunSeries, prune
from jobs.stores.local_store import LocalStore
from models.golden import UNSURE, Golden
from models.info import GeneratorInfo
from models.mix import Mix
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import VOLATILE, batch, decoded, differing, rows_of, stamps, succeeds
from tests.jobs.damage import faults
from tests.jobs.masked import COUNT, FORMATS, SHARD, expected_masks
from tests.jobs.object_server import BUCKET, ObjectServer, tree
from tests.jobs.small_models import SIZE, write_model

pytestmark = pytest.mark.usefixtures("workers_here")

# What is made


@pytest.mark.parametrize("name", FORMATS)
def test_each_image_has_its_mask_in_the_same_place_below_masks(
    name: str, masked_runs: dict[str, Path], masked_model: Path
) -> None:
    store, masks = LocalStore(masked_runs[name]), expected_masks(masked_model)
    covered = (masks > 0).mean(axis=(1, 2))
    assert 10 < (covered == 0).sum() < 60, "some masks must be empty, and most not"
    for row, mask in zip(rows_of(masked_runs[name]), masks, strict=True):
        assert row.mask_file_name == row.file_name.replace("images/", "masks/")
        content = FORMATS[name].read(store, row.mask_file_name)
        assert content is not None
        assert hashlib.sha256(content).hexdigest() == row.mask_sha256
        np.testing.assert_array_equal(decoded(content), mask[..., None])
    assert FORMATS[name].read(store, row.mask_file_name.replace("129", "130")) is None
    assert faults(masked_runs[name]) == []


def test_columns_of_masks_come_last(masked_runs: dict[str, Path]) -> None:
    with (masked_runs["png"] / "manifest.csv").open() as file:
        columns = next(csv.reader(file))
    assert columns[-5:] == ["bytes", "label", "label_id", "mask_file_name", "mask_sha256"]


def test_parquet_has_the_same_rows(masked_runs: dict[str, Path], masked_model: Path, tmp_path: Path) -> None:
    dataset = pytest.importorskip("pyarrow.dataset", reason="the extra `parquet` is not installed")
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(masked_model, out, COUNT, *SHARD, "--manifest", "parquet")))
    rows = dataset.dataset(out / "manifest.parquet").to_table().to_pylist()
    assert [Row(**row) for row in rows] == rows_of(masked_runs["png"])
    assert faults(out) == []


@pytest.mark.parametrize("name", FORMATS)
def test_parts_batches_workers_and_a_longer_run_change_nothing(
    name: str, masked_runs: dict[str, Path], masked_model: Path, tmp_path: Path
) -> None:
    options = (*SHARD, "--format", name)
    longer, parts = tmp_path / "longer", tmp_path / "parts"
    succeeds(run_in_process(*batch(masked_model, longer, 70, *options, "--workers", "1")))
    before = stamps(longer)
    succeeds(run_in_process(*batch(masked_model, longer, COUNT, *options, "--batch-size", "7", "--workers", "3")))
    assert differing(longer, masked_runs[name]) == []
    kept = [f"{root}/00000" for root in ("images", "masks")]
    assert all(stamps(longer)[file] == stamp for file, stamp in before.items() if file.startswith(tuple(kept)))
    for part in ("2/2", "1/2"):
        succeeds(run_in_process(*batch(masked_model, parts, COUNT, *options, "--part", part)))
    succeeds(run_in_process("gan-batch", "finish", parts))
    assert [file for file in differing(parts, masked_runs[name]) if "-of-" not in file] == []


@pytest.mark.parametrize("name", FORMATS)
def test_object_store_has_the_same(
    name: str, masked_runs: dict[str, Path], masked_model: Path, server: ObjectServer, tmp_path: Path
) -> None:
    url = f"s3://{BUCKET}/{tmp_path.name}"
    for count in [70, COUNT] if name == "tar" else [COUNT]:  # the second tar file is replaced by one that holds more
        succeeds(run_in_process(*batch(masked_model, Path("any"), count, *SHARD, "--format", name, "--out", url)))
    there, run = tree(url), masked_runs[name]
    here = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    for volatile in (*VOLATILE, ".lock"):
        there.pop(volatile, None), here.pop(volatile, None)
    assert there == here
    succeeds(run_in_process("gan-batch", "verify", url))


def test_run_without_masks_is_another_run(masked_copy: Path, masked_model: Path) -> None:
    assert json.loads((masked_copy / "run.json").read_text())["fingerprint"]["masks"] == "png-up-rle"
    state = masked_copy / "run.json"
    state.write_text(state.read_text().replace('"masks": "png-up-rle"', '"masks": "another way"'))
    fails_in_one_line(run_in_process(*batch(masked_model, masked_copy, 200, *SHARD)), 78, "masks was another way")


def test_model_that_does_not_give_its_golden_masks_is_refused(masked_model: Path, tmp_path: Path) -> None:
    model = onnx.load(masked_model)
    info = GeneratorInfo.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    golden = Golden.from_dict(info.golden)
    assert golden.masks is not None
    golden.masks = np.where(golden.masks == UNSURE, UNSURE, 255 - golden.masks).astype(np.uint8)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dataclasses.replace(info, golden=golden.to_dict()).to_metadata())
    onnx.save(model, tmp_path / "other.onnx")
    result = run_in_process(*batch(tmp_path / "other.onnx", tmp_path / "run", 3))
    fails_in_one_line(result, 76, "pixels of their masks differ")


# What goes with a run


@pytest.mark.parametrize("name", FORMATS)
def test_old_run_goes_with_its_masks_and_stays_where_somebody_changed_them(
    name: str, masked_runs: dict[str, Path], tmp_path: Path
) -> None:
    nights = [tmp_path / f"2026-11-2{number}" for number in range(5)]
    for night in nights:
        shutil.copytree(masked_runs[name], night)
    (nights[0] / "masks/notes.txt").write_text("mine")
    first = next(path for path in sorted((nights[1] / "masks").rglob("*.*")) if path.is_file())
    edited = nights[2] / first.relative_to(nights[1])
    edited.write_bytes(first.read_bytes().replace(b"IEND", b"IENd", 1))  # a mask of the same size
    first.unlink()
    names = siblings(nights[-1])
    assert names is not None
    assert prune(nights[-1], 1, None, RunSeries(names, "generator.onnx")) == [nights[3]]
    assert [night.exists() for night in nights] == [True, True, True, False, True]


def test_strays_in_a_shard_that_is_made_are_removed_and_what_is_not_ours_stays(
    masked_copy: Path, masked_model: Path
) -> None:
    folder = masked_copy / "masks/00002"
    for name in ("00000999.png", "notes.txt"):
        (folder / name).write_bytes(b"left here")
    succeeds(run_in_process(*batch(masked_model, masked_copy, 140, *SHARD)))
    assert sorted(path.name for path in folder.iterdir()) == [*(f"{i:08d}.png" for i in range(100, 140)), "notes.txt"]


# Looking at them


def test_sheet_shows_each_image_plain_and_with_an_outline_around_its_mask(
    masked_runs: dict[str, Path], masked_model: Path
) -> None:
    sheet = decoded((masked_runs["png"] / "contact_sheet.png").read_bytes())
    assert (sheet == decoded((masked_runs["tar"] / "contact_sheet.png").read_bytes())).all()
    masks, mix, pitch = expected_masks(masked_model), Mix.balanced(("scratch", "dent")), SIZE + 2
    outlined = 0
    for label in (0, 1):
        top = 14 + label * (14 + 4 * pitch - 2)
        index = mix.image(label, 0)
        plain, marked = (sheet[top:, left:][:SIZE, :SIZE] for left in (0, pitch))
        image = decoded((masked_runs["png"] / f"images/00000/{index:08d}.png").read_bytes())
        np.testing.assert_array_equal(plain, np.broadcast_to(image, (SIZE, SIZE, 3)))
        changed = (marked != plain).any(axis=2)
        assert (marked[changed] == (255, 0, 255)).all()
        assert not (changed & (masks[index] > 0)).any()
        assert changed.any() == (masks[index] > 0).any()
        outlined += int(changed.any())
    assert outlined, "no mask of these two has anything"


@pytest.mark.parametrize(("limit", "words"), [(50.0, "without anything in their masks"), (-50.0, "wholly covered")])
def test_run_whose_masks_are_all_empty_or_all_full_is_refused(limit: float, words: str, tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "model.onnx", masks=limit), tmp_path / "run"
    fails_in_one_line(run_in_process(*batch(model, out, 20)), 76, f"20 of 20 images are {words}")
    assert json.loads((out / "run.json").read_text())["state"] == "rejected by the quality gate"
    result = run_in_process(*batch(model, out, 20, "--quality-gate", "warn"))
    succeeds(result)
    assert words in result.stderr
