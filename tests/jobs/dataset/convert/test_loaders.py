"""Each layout by the loaders that it is for: what they find is what the run's labels and masks say."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from jobs.dataset.convert import KEEP
from jobs.dataset.convert.conversion import Real, convert
from jobs.dataset.convert.shapes import Shaping, shapes_of
from models.mix import Mix
from tests.jobs.dataset.convert.made import CLASSES, SIDE, image_of, mask_of, write_real, write_run

EMPTY = {9, 19, 29, 39, 49}
"""Images without a defect."""


def boxes_of(index: int) -> list[list[int]]:
    """What the boxes of an image must be, sorted: left, top, right, bottom."""
    return sorted([s.left, s.top, s.right, s.bottom] for s in shapes_of(mask_of(index), Shaping()))


def sorted_boxes(boxes: Any) -> list[list[float]]:
    return sorted(np.asarray(boxes, float).reshape(-1, 4).round(3).tolist())


# torchvision


def test_torchvision_reads_a_class_a_folder_alike_in_every_part(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    convert(labelled, tmp_path, "imagefolder", real=Real(workshop / "photos"))
    parts = {part: ImageFolder(str(tmp_path / part)) for part in ("train", "val", "test")}
    assert {tuple(found.classes) for found in parts.values()} == {tuple(sorted(CLASSES))}  # an empty class would raise
    for path, label in parts["train"].samples:
        name = Path(path)
        assert parts["train"].classes[label] == name.parent.name
        assert name.name.startswith("real_") or CLASSES[int(name.stem) % 2] == name.parent.name


def test_torchvision_reads_voc_whose_jpegs_are_jpegs(labelled: Path, tmp_path: Path) -> None:
    from torchvision.datasets import VOCDetection

    convert(labelled, tmp_path, "voc")
    found = VOCDetection(str(tmp_path), year="2007", image_set="train")
    assert len(found) == 50
    for image, target in (found[index] for index in range(len(found))):
        annotation = target["annotation"]
        index = int(annotation["filename"].removesuffix(".jpg"))
        boxes = [
            [int(thing["bndbox"][side]) - (side in {"xmin", "ymin"}) for side in ("xmin", "ymin", "xmax", "ymax")]
            for thing in annotation.get("object", [])
        ]
        assert sorted(boxes) == boxes_of(index)
        assert {thing["name"] for thing in annotation.get("object", [])} <= {CLASSES[index % 2]}
        assert np.abs(np.asarray(image.convert("L"), int) - image_of(index)).mean() < 6
    with Image.open(tmp_path / "VOCdevkit/VOC2007/JPEGImages/00000000.jpg") as image:
        assert image.format == "JPEG"
    trainval = (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt").read_text().split()
    assert trainval == [f"{index:08d}" for index in range(50)]


def test_xml_of_voc_holds_a_class_with_odd_letters(labelled: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 4, labels=False)
    convert(run, tmp_path / "out", "voc", class_name='Riß & "Kratzer" <1>')
    root = ElementTree.parse(tmp_path / "out/VOCdevkit/VOC2007/Annotations/00000000.xml").getroot()
    assert {thing.findtext("name") for thing in root.iter("object")} == {'Riß & "Kratzer" <1>'}


# Hugging Face's datasets


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for its cache; nothing is asked of a network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    return tmp_path / "cache"


def test_datasets_read_the_folders_of_imagefolder_as_labels(
    labelled: Path, workshop: Path, tmp_path: Path, offline: Path
) -> None:
    import datasets

    out = tmp_path / "out"
    result = convert(labelled, out, "imagefolder", real=Real(workshop / "photos"))
    found = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(offline))
    assert {name: len(found[name]) for name in found} == {
        {"val": "validation"}.get(part, part): count for part, count in result.images.items()
    }
    assert found["train"].features["label"].names == sorted(CLASSES)
    assert Counter(found["train"]["label"])[1] >= 25


def test_datasets_read_label_and_mask_of_the_table(labelled: Path, tmp_path: Path, offline: Path) -> None:
    import datasets

    out = tmp_path / "out"
    convert(labelled, out, "hf")
    found = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(offline))["train"]
    assert set(found.column_names) == {"image", "mask", "label", "label_id"}
    assert len(found) == 50
    for index, row in enumerate(found):
        assert (row["label"], row["label_id"]) == (CLASSES[index % 2], index % 2)
        assert (np.asarray(row["image"]) == image_of(index)).all()
        assert (np.asarray(row["mask"]) == 255 * mask_of(index)).all()


@pytest.mark.parametrize("names", [("007", "NA"), ("1", "dent")])
def test_datasets_read_classes_as_they_are_called(names: tuple[str, str], tmp_path: Path, offline: Path) -> None:
    """Also where one looks like a number or like nothing, and val and test have only that one."""
    import datasets

    run = write_run(tmp_path / "run", 20, mix=Mix.balanced(names))
    workshop, out = write_real(tmp_path, 24, names[:1]), tmp_path / "out"
    convert(run, out, "hf", real=Real(workshop / "photos", workshop / "masks"))
    found = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(offline))
    assert set(found["train"]["label"]) == set(names)
    assert set(found["validation"]["label"]) == set(found["test"]["label"]) == {names[0]}


# pycocotools


@pytest.mark.parametrize("holes", ["fill", KEEP])
def test_pycocotools_gets_the_pixels_of_every_mask_back(
    holes: str, labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO

    real = Real(workshop / "photos", workshop / "masks")
    result = convert(labelled, tmp_path, "coco", shaping=Shaping(holes=holes), real=real)
    parts = {part: COCO(tmp_path / f"annotations/instances_{part}.json") for part in ("train", "val", "test")}
    for ids in ([i for p in parts.values() for i in p.getImgIds()], [i for p in parts.values() for i in p.getAnnIds()]):
        assert len(set(ids)) == len(ids)
        assert 0 not in ids
    assert {part: len(found.getImgIds()) for part, found in parts.items()} == result.images
    train = parts["train"]
    for image in train.loadImgs(train.getImgIds()):
        assert (tmp_path / "images/train" / image["file_name"]).is_file()
        if image["file_name"].startswith("real_"):
            continue
        index = int(image["file_name"][:8])
        annotations = train.loadAnns(train.getAnnIds(imgIds=image["id"]))
        assert (annotations == []) == (index in EMPTY)
        assert sorted_boxes([[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in annotations)]) == [
            [float(side) for side in box] for box in boxes_of(index)
        ]
        for annotation in annotations:
            pixels = train.annToMask(annotation)
            assert annotation["area"] == pixels.sum()
            assert annotation["iscrowd"] == 0
            assert train.loadCats(annotation["category_id"])[0]["name"] == CLASSES[index % 2]
        union = sum((train.annToMask(a) for a in annotations), np.zeros((SIDE, SIDE), int))
        expected = mask_of(index)
        expected[46, 2] = False  # the speck
        missing = (union > 0) != expected
        assert missing.sum() == (9 if holes == "fill" and index % 7 == 0 and index not in EMPTY else 0)


def test_pycocotools_evaluates_the_truth_as_perfect(labelled: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    convert(labelled, tmp_path, "coco")
    truth = COCO(tmp_path / "annotations/instances_train.json")
    guesses = [
        {**{key: a[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.9} for a in truth.anns.values()
    ]
    judged = COCOeval(truth, truth.loadRes(guesses), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    assert judged.stats[0] == pytest.approx(1.0)


# supervision


def detections(found: Any) -> dict[int, Any]:
    return {int(Path(path).stem): annotation for path, _, annotation in found}


@pytest.mark.parametrize("to", ["yolo-detect", "yolo-segment"])
def test_supervision_reads_yolo(to: str, labelled: Path, tmp_path: Path) -> None:
    import supervision

    convert(labelled, tmp_path, to)
    found = detections(
        supervision.DetectionDataset.from_yolo(
            images_directory_path=str(tmp_path / "images/train"),
            annotations_directory_path=str(tmp_path / "labels/train"),
            data_yaml_path=str(tmp_path / "data.yaml"),
        )
    )
    assert len(found) == 50
    for index, annotation in found.items():
        expected = np.array(boxes_of(index), float).reshape(-1, 4)
        ours = np.array(sorted(annotation.xyxy.tolist())).reshape(-1, 4)
        assert ours.shape == expected.shape
        assert (np.abs(ours - expected) <= 1.01).all()  # it rounds corners of polygons
        assert set(annotation.class_id.tolist()) <= {index % 2}


def test_supervision_reads_coco_and_voc(labelled: Path, tmp_path: Path) -> None:
    import supervision

    convert(labelled, tmp_path / "coco", "coco")
    convert(labelled, tmp_path / "voc", "voc")
    root = tmp_path / "voc/VOCdevkit/VOC2007"
    coco = supervision.DetectionDataset.from_coco(
        images_directory_path=str(tmp_path / "coco/images/train"),
        annotations_path=str(tmp_path / "coco/annotations/instances_train.json"),
    )
    voc = supervision.DetectionDataset.from_pascal_voc(
        images_directory_path=str(root / "JPEGImages"), annotations_directory_path=str(root / "Annotations")
    )
    assert sorted(voc.classes) == sorted(coco.classes) == sorted(CLASSES)
    for found in (detections(coco), detections(voc)):
        assert len(found) == 50
        for index, annotation in found.items():
            assert np.abs(np.array(sorted_boxes(annotation.xyxy)) - np.array(sorted_boxes(boxes_of(index)))).sum() <= 4


# What the files of YOLO and MVTec AD must be like; their trainers are in test_trainers.py


def rows_of(path: Path) -> list[list[float]]:
    return [[float(number) for number in line.split()] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("to", ["yolo-detect", "yolo-segment"])
def test_every_image_of_yolo_has_its_labels_and_no_row_is_of_the_other_kind(
    to: str, labelled: Path, workshop: Path, tmp_path: Path
) -> None:
    convert(
        labelled,
        tmp_path,
        to,
        shaping=Shaping(simplify=50, holes=KEEP),
        real=Real(workshop / "photos", workshop / "masks"),
    )
    described = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert described["names"] == dict(enumerate(CLASSES))
    for part in ("train", "val", "test"):
        folder = tmp_path / described[part]
        assert {path.stem for path in folder.iterdir()} == {
            path.stem for path in (tmp_path / "labels" / part).iterdir()
        }
    sizes = {len(row) for path in (tmp_path / "labels").rglob("*.txt") for row in rows_of(path)}
    assert sizes == {5} if to == "yolo-detect" else min(sizes) >= 7
    assert [rows_of(tmp_path / f"labels/train/{index:08d}.txt") for index in EMPTY] == [[]] * len(EMPTY)
    every = [number for path in (tmp_path / "labels").rglob("*.txt") for row in rows_of(path) for number in row[1:]]
    assert min(every) >= 0
    assert max(every) <= 1


def test_masks_of_mvtec_pair_with_images_by_order_of_names(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    good = shutil.copytree(workshop / "photos" / "dent", tmp_path / "good parts")
    convert(labelled, tmp_path / "out", "mvtec-ad", real=Real(workshop / "photos", workshop / "masks", good=good))
    for name in CLASSES:
        images = sorted(path.name for path in (tmp_path / "out/test" / name).iterdir())
        masks = sorted(path.name for path in (tmp_path / "out/ground_truth" / name).iterdir())
        assert len(images) > 24
        assert masks == [f"{image.removesuffix('.png')}_mask.png" for image in images]
        for mask in masks:
            pixels: NDArray[np.uint8] = np.asarray(Image.open(tmp_path / "out/ground_truth" / name / mask))
            assert set(np.unique(pixels)) == {0, 255}
