"""`gan-batch convert`: what goes where, and that a kill changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.dataset.convert import NAMES
from jobs.dataset.convert.conversion import Real, convert
from jobs.dataset.convert.layouts import LAYOUTS
from jobs.dataset.convert.writer import RECORD
from models.mix import Mix
from tests.conftest import run_in_process
from tests.jobs.conftest import decoded, kill_at
from tests.jobs.dataset.conftest import refused
from tests.jobs.dataset.convert.made import CLASSES, command, mask_of, tree, write_run, write_split
from tests.jobs.masked import COUNT, FORMATS, expected_masks

ALL = [name for name in NAMES if name != "mvtec-ad"]


def test_names_of_the_command_are_those_of_the_layouts() -> None:
    assert tuple(LAYOUTS) == NAMES


# What goes where


@pytest.mark.parametrize("to", ALL)
def test_photos_fill_all_parts_and_images_of_the_run_only_train(
    to: str, labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    result = convert(labelled, tmp_path / "out", to, real=Real(workshop / "photos", workshop / "masks"))
    assert result.images["train"] > 50
    assert result.images["val"] > 0
    assert result.images["test"] > 0
    assert sum(result.images.values()) == 50 + 48
    files = [path for path in (tmp_path / "out").rglob("*") if path.suffix in {".png", ".jpg"} and "val" in str(path)]
    assert [path for path in files if not path.name.startswith("real_")] == []


@pytest.mark.parametrize("to", ALL)
def test_without_photos_all_is_train_and_val_is_called_a_copy_where_there_must_be_one(
    to: str, labelled: Path, tmp_path: Path
) -> None:
    result = run_in_process(*command(labelled, to, tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    images = json.loads((tmp_path / "out" / RECORD).read_text())["said"]["images"]
    if to.startswith("yolo"):
        assert images == {"train": 50, "val": 4}  # every 20th of each class
        assert "it validates nothing" in result.stderr
    else:
        assert images == {"train": 50}
        assert "validates" not in result.stderr


def test_split_decides_which_photos_are_trained_on(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    split = write_split(tmp_path, workshop / "photos", held_back=4)
    result = convert(labelled, tmp_path / "out", "imagefolder", real=Real(workshop / "photos", split=split))
    assert result.images == {"train": 50 + 36, "val": 12}
    assert not any("divided here" in note for note in result.notes)


def test_copies_of_one_photo_stay_in_one_part(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(workshop / "photos", tmp_path / "photos")
    for name in CLASSES:  # each photo once more, far away in number
        for path in sorted((photos / name).iterdir()):
            shutil.copy(path, path.with_name(f"q{path.name}"))
    convert(labelled, tmp_path / "out", "imagefolder", real=Real(photos))
    part_of = {path.read_bytes(): path.parts[-3] for path in sorted((tmp_path / "out").rglob("real_*_p*.png"))}
    others = {path.read_bytes(): path.parts[-3] for path in sorted((tmp_path / "out").rglob("real_*_qp*.png"))}
    assert len(part_of) == 48
    assert part_of == others
    assert set(part_of.values()) == {"train", "val", "test"}


def test_mvtec_has_defects_under_test_only_and_good_photos_in_both(
    labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = convert(labelled, out, "mvtec-ad", real=Real(good=workshop / "photos" / "dent"))
    assert {path.name for path in (out / "train").iterdir()} == {"good"}
    assert {path.name for path in (out / "test").iterdir()} == {"good", *CLASSES}
    assert {path.parent.parent.name for path in out.rglob("*.png")} == {"train", "test", "ground_truth"}
    assert result.images["test"] == 45 + len(list((out / "test/good").iterdir()))
    assert "5 images whose mask is empty are left out" in "".join(result.notes)


def test_run_without_classes_takes_the_name_that_is_given(plain: Path, tmp_path: Path) -> None:
    assert convert(plain, tmp_path / "a", "imagefolder").classes == ("defect",)
    assert convert(plain, tmp_path / "b", "imagefolder", class_name="pit").classes == ("pit",)
    assert len(list((tmp_path / "b/train/pit").iterdir())) == 30


def test_class_without_an_image_keeps_its_id_and_is_asked_of_no_part(workshop: Path, tmp_path: Path) -> None:
    mix = Mix(("crack", "dent", "hole", "scratch"), (0, 1, 0, 1))
    run = write_run(tmp_path / "run", 10, mix=mix)
    assert convert(run, tmp_path / "hf", "hf").classes == mix.names
    rows = [json.loads(line) for line in (tmp_path / "hf/train/metadata.jsonl").read_text().splitlines()]
    assert {(row["label"], row["label_id"]) for row in rows} == {("dent", 1), ("scratch", 3)}
    convert(run, tmp_path / "coco", "coco")
    described = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text())
    assert {entry["id"]: entry["name"] for entry in described["categories"]} == dict(enumerate(mix.names, 1))
    assert {entry["category_id"] for entry in described["annotations"]} == {2, 4}
    result = convert(run, tmp_path / "folders", "imagefolder", real=Real(workshop / "photos"))
    assert set(result.images) == {"train", "val", "test"}
    assert not any("hole" in note for note in result.notes)


@pytest.mark.parametrize("to", ["yolo-segment", "hf"])
def test_run_in_tar_files_gives_the_same_data_set(to: str, labelled: Path, tmp_path: Path) -> None:
    tarred = write_run(tmp_path / "tarred", format="tar")
    convert(labelled, tmp_path / "a", to)
    convert(tarred, tmp_path / "b", to)
    ours, theirs = tree(tmp_path / "a"), tree(tmp_path / "b")
    ours.pop(RECORD), theirs.pop(RECORD)
    assert ours == theirs


def test_images_are_links_unless_copies_are_asked_for(labelled: Path, tmp_path: Path) -> None:
    first = labelled / "images/00000/00000000.png"
    convert(labelled, tmp_path / "links", "hf")
    convert(labelled, tmp_path / "copies", "hf", copy=True)
    assert (tmp_path / "links/train/images/00000000.png").samefile(first)
    assert not (tmp_path / "copies/train/images/00000000.png").samefile(first)
    assert (tmp_path / "copies/train/images/00000000.png").read_bytes() == first.read_bytes()


def test_photo_that_trainers_would_read_otherwise_is_written_anew(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "scratch"
    folder.mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 60), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number * 100}.jpg", exif=turned)
    convert(plain, tmp_path / "out", "hf", real=Real(tmp_path / "photos"))
    found = list((tmp_path / "out").rglob("real_*"))
    assert len(found) == 12
    assert {(path.suffix, Image.open(path).size) for path in found} == {(".png", (40, 60))}


@pytest.mark.parametrize("coding", ["0 and 1", "palette", "jpeg", "beside", "colour"])
def test_masks_of_photos_are_read_in_any_coding(coding: str, labelled: Path, tmp_path: Path) -> None:
    photos, masks = tmp_path / "photos", tmp_path / ("photos" if coding == "beside" else "masks")
    photos.mkdir()
    masks.mkdir(exist_ok=True)
    for index in range(12):
        pixels = np.random.default_rng(index).integers(0, 255, (48, 48), np.uint8)
        Image.fromarray(pixels).save(photos / f"{index * 100}.jpg")
        inside = mask_of(index).astype(np.uint8)
        picture = Image.fromarray(inside * (1 if coding in {"0 and 1", "palette"} else 255))
        if coding == "palette":
            picture.putpalette([0, 0, 0, 200, 0, 0])
        if coding == "colour":
            picture = picture.convert("RGB")
        name = f"{index * 100}{'_mask' if coding == 'jpeg' else ''}.{'jpg' if coding == 'jpeg' else 'png'}"
        picture.save(masks / name, quality=60)
    convert(labelled, tmp_path / "out", "hf", class_name="scratch", real=Real(photos, masks))
    found = sorted((tmp_path / "out").glob("*/masks/real_*"))
    assert len(found) == 12
    for path in found:
        expected = mask_of(int(path.stem.split("_")[2]) // 100)
        assert set(np.unique(Image.open(path))) <= {0, 255}
        if coding != "jpeg":
            assert (np.asarray(Image.open(path)) == 255 * expected).all()


def test_mask_beside_a_photo_is_no_photo(plain: Path, workshop: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(workshop / "photos" / "dent", tmp_path / "photos")
    for path in sorted(photos.iterdir())[:12]:
        shutil.copy(workshop / "masks/dent" / f"{path.stem}_mask.png", photos)
    for path in sorted((workshop / "photos/scratch").iterdir())[:12]:
        Image.open(path).save(photos / f"q{path.stem}.jpg")
        shutil.copy(workshop / "masks/scratch" / f"{path.stem}_mask.png", photos / f"q{path.stem}.png")
    result = convert(plain, tmp_path / "out", "hf", real=Real(photos))
    assert sum(result.images.values()) == 30 + 24 + 12
    names = [path.name for path in (tmp_path / "out").rglob("real_*")]
    assert not any("mask" in name for name in names)
    assert {name.rpartition(".")[2] for name in names if "_qp" in name} == {"jpg"}


def test_mask_that_lies_with_no_class_is_that_of_one_photo_only(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    shutil.copytree(workshop / "masks" / "dent", masks)
    one, both = tmp_path / "one", workshop / "photos"
    shutil.copytree(both / "dent", one / "dent")
    convert(labelled, tmp_path / "out", "coco", real=Real(one, masks))
    error = refused(lambda: convert(labelled, tmp_path / "out2", "coco", real=Real(both, masks)))
    assert (error.exit_code, "is that of dent/p00000.png as well" in str(error)) == (65, True)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("to", ["yolo-segment", "coco", "hf"])
def test_run_is_converted_with_its_masks(
    to: str, name: str, masked_runs: dict[str, Path], masked_model: Path, tmp_path: Path
) -> None:
    result = convert(masked_runs[name], tmp_path / "out", to)
    assert (result.classes, result.images["train"]) == (("scratch", "dent"), COUNT)
    is_empty = [not mask.any() for mask in expected_masks(masked_model)]
    if to == "yolo-segment":
        labels = sorted((tmp_path / "out/labels/train").iterdir())
        assert [path.read_text() == "" for path in labels] == is_empty
    elif to == "coco":
        found = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
        shown = {entry["image_id"] for entry in found["annotations"]}
        assert [entry["id"] not in shown for entry in found["images"]] == is_empty
    else:
        masks = sorted((tmp_path / "out/train/masks").iterdir())
        assert [not decoded(path.read_bytes()).any() for path in masks] == is_empty


# Again


@pytest.mark.parametrize("to", ["yolo-segment", "voc"])
def test_conversion_that_was_killed_is_finished_by_the_same_command(to: str, labelled: Path, tmp_path: Path) -> None:
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    convert(labelled, undisturbed, to)
    for calls in (0, 1, 30):
        imports = "from jobs.dataset.convert.conversion import convert"
        kill_at("replace", calls, imports, f"convert({str(labelled)!r}, {str(out)!r}, {to!r})")
    assert convert(labelled, out, to).made
    assert tree(out) == tree(undisturbed)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert not convert(labelled, out, to).made
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_file_that_a_kill_left_as_a_link_is_no_way_into_the_run(labelled: Path, tmp_path: Path) -> None:
    run = shutil.copytree(labelled, tmp_path / "run")
    before = tree(run)
    convert(run, tmp_path / "out", "coco")
    record = tmp_path / "out" / RECORD
    record.write_text(record.read_text().replace('"complete"', '"running"', 1))
    image = tmp_path / "out/images/train/00000000.png"
    image.unlink()
    os.link(run / "images/00000/00000000.png", image.with_name(f".{image.name}.tmp"))
    os.link(run / "images/00000/00000001.png", tmp_path / "out/annotations/.instances_train.json.tmp")
    (tmp_path / "out/annotations/instances_train.json").write_text("old")
    convert(run, tmp_path / "out", "coco")
    assert tree(run) == before
    assert image.read_bytes() == before["images/00000/00000000.png"]
