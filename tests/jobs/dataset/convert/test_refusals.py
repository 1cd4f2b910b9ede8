"""`gan-batch convert`: what is refused, and that what is damaged is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from jobs.dataset.convert.conversion import Real, convert
from jobs.dataset.convert.writer import RECORD
from models.errors import CommandError
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.dataset.conftest import refused
from tests.jobs.dataset.convert.made import command, write_run, write_split


@pytest.mark.parametrize("to", ["yolo-detect", "yolo-segment", "coco", "voc"])
def test_layout_that_needs_masks_says_why_a_run_without_them_does_not_do(to: str, plain: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(plain, to, tmp_path / "out"))
    fails_in_one_line(result, 65, "no masks", to, "imagefolder")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["notes.txt", "train/scratch/mine.png"])
def test_folder_that_holds_something_else_is_refused(content: str, labelled: Path, tmp_path: Path) -> None:
    path = tmp_path / "out" / content
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    fails_in_one_line(run_in_process(*command(labelled, "imagefolder", tmp_path / "out")), 73, "something else")
    assert [found for found in (tmp_path / "out").rglob("*") if found.is_file()] == [path]


def test_folder_of_another_conversion_is_refused(labelled: Path, plain: Path, tmp_path: Path) -> None:
    convert(labelled, tmp_path / "out", "hf")
    fails_in_one_line(run_in_process(*command(labelled, "coco", tmp_path / "out")), 78, "layout")
    fails_in_one_line(run_in_process(*command(plain, "hf", tmp_path / "out")), 78, "classes")
    fails_in_one_line(run_in_process(*command(labelled, "hf", tmp_path / "out", "--copy")), 78, "files")


def test_file_that_was_put_into_the_folder_meanwhile_is_named(labelled: Path, tmp_path: Path) -> None:
    convert(labelled, tmp_path / "out", "imagefolder")
    record = tmp_path / "out" / RECORD
    record.write_text(record.read_text().replace('"complete"', '"running"', 1))
    (tmp_path / "out/train/other").mkdir()
    (tmp_path / "out/train/other/mine.png").write_bytes(b"mine")
    error = refused(lambda: convert(labelled, tmp_path / "out", "imagefolder"))
    assert (error.exit_code, "train/other/mine.png" in str(error)) == (73, True)


@pytest.mark.parametrize(
    ("state", "code"), [("running", 66), ("rejected by the quality gate", 76), ("being removed", 66)]
)
def test_run_that_is_not_complete_is_refused(state: str, code: int, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 20, state=state)
    fails_in_one_line(run_in_process(*command(run, "hf", tmp_path / "out")), code, state)
    fails_in_one_line(run_in_process(*command(tmp_path / "none", "hf", tmp_path / "out")), 66, "none")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("to", "options", "word"),
    [
        ("mvtec-ad", [], "--real-good"),
        ("coco", ["--real-good", "."], "mvtec-ad"),
        ("coco", ["--real", "."], "--real-masks"),
        ("coco", ["--real-masks", "."], "--real"),
        ("hf", ["--split", "split.json"], "--real"),
        ("hf", ["--min-area", "0"], "--min-area"),
        ("hf", ["--simplify", "nan"], "--simplify"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    to: str, options: list[str], word: str, labelled: Path, tmp_path: Path
) -> None:
    fails_in_one_line(run_in_process(*command(labelled, to, tmp_path / "out", *options)), 2, word)
    assert not (tmp_path / "out").exists()


def test_table_whose_rows_would_differ_in_columns_is_a_usage_error(
    labelled: Path, plain: Path, workshop: Path, tmp_path: Path
) -> None:
    photos, masks, out = workshop / "photos", workshop / "masks", tmp_path / "out"
    error = refused(lambda: convert(labelled, out, "hf", real=Real(photos)))
    assert (error.exit_code, "give `real_masks`" in str(error)) == (2, True)
    error = refused(lambda: convert(plain, out, "hf", real=Real(photos, masks)))
    assert (error.exit_code, "leave out `real_masks`" in str(error)) == (2, True)
    assert not out.exists()
    convert(labelled, out, "hf", real=Real(photos, masks))
    rows = [json.loads(line) for path in out.glob("*/metadata.jsonl") for line in path.read_text().splitlines()]
    assert {tuple(row) for row in rows} == {("file_name", "mask_file_name", "label", "label_id")}
    assert len(rows) == 98


def test_folder_of_photos_in_the_place_of_their_masks_is_told_of(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    photos = workshop / "photos"
    result = run_in_process(*command(labelled, "coco", tmp_path / "out", "--real", photos, "--real-masks", photos))
    fails_in_one_line(result, 66, "all 48 images there count as masks", "--real-masks")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "a/b", "..", "two\nlines"])
def test_class_name_that_no_folder_can_have_is_a_usage_error(name: str, plain: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(plain, "imagefolder", tmp_path / "out", "--class-name", name))
    fails_in_one_line(result, 2, "--class-name")
    assert not (tmp_path / "out").exists()


def test_out_within_the_run_is_a_usage_error(labelled: Path) -> None:
    fails_in_one_line(run_in_process(*command(labelled, "hf", labelled / "hf")), 2, "lies in")


def test_class_that_a_part_lacks_is_named_before_anything_is_written(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    shutil.copytree(workshop / "photos" / "dent", tmp_path / "photos" / "dent")
    error = refused(lambda: convert(labelled, tmp_path / "out", "yolo-classify", real=Real(tmp_path / "photos")))
    assert (error.exit_code, "'scratch' is in" in str(error)) == (65, True)
    assert not (tmp_path / "out").exists()


def test_photo_without_a_mask_or_with_one_of_another_size_is_refused(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    masks = shutil.copytree(workshop / "masks", tmp_path / "masks")
    (masks / "dent/p00100_mask.png").unlink()
    Image.new("L", (5, 5)).save(masks / "dent/p00200_mask.png")
    error = refused(lambda: convert(labelled, tmp_path / "out", "coco", real=Real(workshop / "photos", masks)))
    assert error.exit_code == 65
    assert "2 of 48 photos" in str(error)
    assert "p00100.png" in str(error)


def test_truncated_mask_and_dangling_link_are_named_before_anything_is_written(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    real = shutil.copytree(workshop, tmp_path / "real")
    options = ["--real", real / "photos", "--real-masks", real / "masks"]
    mask, link = real / "masks/dent/p00100_mask.png", real / "photos/dent/a.png"
    mask.write_bytes(mask.read_bytes()[:-30])
    fails_in_one_line(run_in_process(*command(labelled, "coco", tmp_path / "out", *options)), 65, str(mask))
    link.symlink_to(tmp_path / "none")
    fails_in_one_line(run_in_process(*command(labelled, "coco", tmp_path / "out", *options)), 65, str(link))
    assert not (tmp_path / "out").exists()


def test_photo_that_a_split_does_not_know_or_that_changed_is_refused(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    split = write_split(tmp_path, workshop / "photos", held_back=4)
    photos = shutil.copytree(workshop / "photos", tmp_path / "photos")
    (photos / "dent" / "p00000.png").write_bytes((photos / "dent" / "p00100.png").read_bytes())
    error = refused(lambda: convert(labelled, tmp_path / "out", "imagefolder", real=Real(photos, split=split)))
    assert (error.exit_code, "dent/p00000.png" in str(error)) == (65, True)
    (photos / "dent" / "p00000.png").rename(photos / "dent" / "new.png")
    error = refused(lambda: convert(labelled, tmp_path / "out", "imagefolder", real=Real(photos, split=split)))
    assert (error.exit_code, "dent/new.png" in str(error)) == (65, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["yolo-classify", "mvtec-ad"])
def test_split_that_keeps_nothing_back_is_refused_where_a_part_would_be_empty(
    to: str, labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    photos, out = workshop / "photos", tmp_path / "out"
    split = write_split(tmp_path, photos, held_back=1000)
    split.write_text(split.read_text().replace('"validation"', '"train"'))
    real = Real(good=photos, split=split) if to == "mvtec-ad" else Real(photos, split=split)
    error = refused(lambda: convert(labelled, out, to, real=real))
    assert (error.exit_code, "the split keeps nothing back" in str(error)) == (65, True)
    assert not out.exists()


def test_split_that_keeps_all_good_photos_back_is_refused(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    photos, out = workshop / "photos", tmp_path / "out"
    split = write_split(tmp_path, photos, held_back=1)
    error = refused(lambda: convert(labelled, out, "mvtec-ad", real=Real(good=photos, split=split)))
    assert (error.exit_code, "train/good would be empty" in str(error)) == (65, True)
    assert not out.exists()


@pytest.mark.parametrize("index", [0, 25])
def test_run_that_lacks_the_mask_of_an_image_is_damaged(index: int, labelled: Path, tmp_path: Path) -> None:
    run = shutil.copytree(labelled, tmp_path / "run")
    table = run / f"_manifests/{index // 20:05d}.csv"
    lines = table.read_text().splitlines(keepends=True)
    line = lines[1 + index % 20]
    lines[1 + index % 20] = ",".join(line.split(",")[:-2]) + ",,\n"
    table.write_text("".join(lines))
    error = refused(lambda: convert(run, tmp_path / "out", "hf"))
    assert (error.exit_code, str(table) in str(error)) == (65, True)


@pytest.mark.parametrize("copy", [False, True])
def test_damaged_image_is_never_passed_on(copy: bool, plain: Path, tmp_path: Path) -> None:
    run = shutil.copytree(plain, tmp_path / "run")
    image = run / "images/00001/00000021.png"
    image.write_bytes(image.read_bytes()[:-20])
    error = refused(lambda: convert(run, tmp_path / "out", "imagefolder", copy=copy))
    assert (error.exit_code, "images/00001/00000021.png" in str(error)) == (76, True)


def test_damaged_image_or_mask_or_manifest_is_named(labelled: Path, tmp_path: Path) -> None:
    run = shutil.copytree(labelled, tmp_path / "run")
    (run / "masks/00001/00000021.png").write_bytes((run / "masks/00001/00000020.png").read_bytes())
    error = refused(lambda: convert(run, tmp_path / "out", "coco"))
    assert (error.exit_code, "masks/00001/00000021.png" in str(error)) == (76, True)
    (run / "images/00000/00000003.png").unlink()
    error = refused(lambda: convert(run, tmp_path / "out", "coco"))
    assert (error.exit_code, "images/00000/00000003.png" in str(error)) == (76, True)
    table = run / "_manifests/00001.csv"
    table.write_text(table.read_text()[:-9])
    with pytest.raises(CommandError, match=r"_manifests/00001\.csv is damaged"):
        convert(run, tmp_path / "out2", "hf")
