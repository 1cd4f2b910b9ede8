"""Layouts by the trainers themselves, which bring gigabytes along: make test-long installs them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.dataset.convert.conversion import Real, convert
from jobs.dataset.convert.shapes import Shaping, shapes_of
from tests.jobs.dataset.convert.made import CLASSES, mask_of, write_run

pytestmark = pytest.mark.long


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of ultralytics in a folder of this test, and nothing asked of a network."""
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_OFFLINE", "true")


def yolo_labels(folder: Path, part: str, task: str) -> dict[int, dict[str, Any]]:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    found = YOLODataset(img_path=data[part], data=data, task=task, imgsz=64, augment=False)
    return {int(Path(label["im_file"]).stem): label for label in found.labels}


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_ultralytics_finds_every_image_and_box(task: str, labelled: Path, tmp_path: Path, quiet: None) -> None:
    out = tmp_path / "out"
    convert(labelled, out, f"yolo-{task}")
    found = yolo_labels(out, "train", task)
    assert len(found) == 50
    for index, label in found.items():
        shapes = shapes_of(mask_of(index), Shaping())
        expected = sorted(
            [(s.left + s.right) / 96, (s.top + s.bottom) / 96, (s.right - s.left) / 48, (s.bottom - s.top) / 48]
            for s in shapes
        )
        assert np.allclose(
            np.array(sorted(label["bboxes"].tolist())).reshape(-1, 4), np.array(expected).reshape(-1, 4), atol=1e-3
        )
        assert set(label["cls"].ravel().tolist()) <= {index % 2}
        assert len(label["segments"]) == (len(shapes) if task == "segment" else 0)
    assert len(yolo_labels(out, "val", task)) == 4


def test_ultralytics_classifies_by_the_same_numbers_in_every_part(
    labelled: Path, workshop: Path, tmp_path: Path, quiet: None
) -> None:
    from ultralytics.data.utils import check_cls_dataset

    out = tmp_path / "out"
    convert(labelled, out, "yolo-classify", real=Real(workshop / "photos"))
    found = check_cls_dataset(str(out))
    assert (found["nc"], sorted(found["names"].values())) == (2, sorted(CLASSES))
    assert all(Path(found[part]).is_dir() for part in ("train", "val", "test"))


def test_anomalib_pairs_images_and_masks(labelled: Path, workshop: Path, tmp_path: Path) -> None:
    from anomalib.data import Folder, MVTecAD

    out = tmp_path / "plate"
    good = shutil.copytree(workshop / "photos" / "dent", tmp_path / "good parts")
    convert(labelled, out, "mvtec-ad", real=Real(workshop / "photos", workshop / "masks", good))
    as_mvtec = MVTecAD(root=tmp_path, category="plate", val_split_mode="none", num_workers=0)
    as_folder = Folder(
        name="plate", root=out, normal_dir="train/good", abnormal_dir="test/scratch", mask_dir="ground_truth/scratch",
        normal_test_dir="test/good", val_split_mode="none", num_workers=0,
    )  # fmt: skip
    for module in (as_mvtec, as_folder):
        module.setup()
        good, tested = module.train_data.samples, module.test_data.samples
        assert set(good.label_index) == {0}
        assert set(tested.label_index) == {0, 1}
        for row in tested[tested.label_index == 1].itertuples():
            assert Path(row.mask_path).stem == f"{Path(row.image_path).stem}_mask"
        item = next(item for item in module.test_data if "00000000.png" in str(item.image_path))
        assert np.asarray(item.gt_mask).sum() == mask_of(0).sum()


def test_smallest_yolo_learns_from_a_converted_run(tmp_path: Path, quiet: None) -> None:
    """A check of the format, and not of usefulness: what it learned is asked of images that it was trained on.

    The loss of boxes begins near 0 and rises while the rate does: boxes count by how well they fit, and at first none
    does. So it is compared with what it was after that. One run came from 3.5 to 1.2.
    """
    from ultralytics import YOLO

    run = write_run(tmp_path / "run", 200)
    out = tmp_path / "out"
    convert(run, out, "yolo-detect")
    model = YOLO("yolo11n.yaml")
    settings = {"imgsz": 64, "batch": 16, "workers": 0, "device": "cpu", "plots": False, "amp": False, "verbose": False}
    model.train(data=str(out / "data.yaml"), epochs=30, project=str(tmp_path / "runs"), name="a", **settings)
    rows = (tmp_path / "runs/a/results.csv").read_text().splitlines()
    column = [name.strip() for name in rows[0].split(",")].index("train/box_loss")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(losses) == 30
    assert losses[-1] < 0.5 * losses[int(model.trainer.args.warmup_epochs)]
    found = [len(result.boxes) for result in model.predict(str(out / "images/val"), imgsz=64, conf=0.1, verbose=False)]
    assert sum(count > 0 for count in found) >= len(found) / 2
