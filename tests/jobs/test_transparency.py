"""Images with transparency, which snapshots made elsewhere can have: LA and RGBA, from the run to the trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.conftest import run_in_process
from tests.jobs.conftest import batch, rows_of, succeeds
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

MODES = {2: "LA", 4: "RGBA"}
WITHOUT = {"LA": "L", "RGBA": "RGB"}
CLASSES = ["pit", "scratch"]


@pytest.fixture(scope="module", params=MODES, ids=MODES.values())
def mode(request: pytest.FixtureRequest) -> str:
    return MODES[request.param]


@pytest.fixture(scope="module")
def runs(mode: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Complete runs, one of them with classes and masks; tests must not change them."""
    folder = tmp_path_factory.mktemp("transparent")
    channels = next(number for number, name in MODES.items() if name == mode)
    kinds: dict[str, dict[str, Any]] = {"plain": {}, "masks": {"classes": CLASSES, "masks": 1.0}}
    made = {}
    for name, more in kinds.items():
        model = write_model(folder / f"{name}.onnx", channels=channels, gain=0.3, faults=[], **more)
        made[name] = folder / name
        succeeds(run_in_process(*batch(model, made[name], 40, "--shard-size", "20", "--report")))
    return made


@pytest.mark.parametrize("has_masks", [False, True])
def test_the_run_is_whole_and_its_pictures_are_what_its_images_are(
    runs: dict[str, Path], has_masks: bool, mode: str
) -> None:
    made = runs["masks" if has_masks else "plain"]
    assert (made / "masks").exists() == has_masks
    assert {row.mode for row in rows_of(made)} == {mode}
    assert Image.open(made / "images" / "00000" / "00000000.png").mode == mode
    succeeds(run_in_process("gan-batch", "verify", made))
    sheet = Image.open(made / "contact_sheet.png")
    assert sheet.mode == ("RGBA" if has_masks else mode), "an outline has a colour"
    pixels = np.asarray(sheet)
    if has_masks:
        outline = (pixels == (255, 0, 255, 255)).all(axis=-1)
        assert outline.any(), "seen, however little the image is"
    assert "<img " in (made / "report.html").read_text()
    assert "missing or damaged" not in (made / "report.html").read_text()


OF_ANY, OF_MASKS = ("imagefolder", "yolo-classify", "hf"), ("yolo-detect", "coco", "voc")


@pytest.mark.parametrize(
    ("name", "layout"),
    [*(("plain", layout) for layout in OF_ANY), *(("masks", layout) for layout in OF_ANY + OF_MASKS)],
)
def test_every_layout_takes_them(runs: dict[str, Path], name: str, mode: str, layout: str, tmp_path: Path) -> None:
    made = runs[name]
    succeeds(run_in_process("gan-batch", "convert", made, "--to", layout, "--out", tmp_path / "set"))
    found = sorted(path for path in (tmp_path / "set").rglob("*") if path.suffix in (".png", ".jpg"))
    images = [path for path in found if "masks" not in path.parts]
    assert len({path.name for path in images}) == 40
    for path in images:
        image = Image.open(path)
        assert image.mode == (WITHOUT[mode] if path.suffix == ".jpg" else mode), "JPEG has no transparency"
        assert image.size == (32, 32)


def test_jpeg_files_of_voc_show_the_same_without_transparency(runs: dict[str, Path], mode: str, tmp_path: Path) -> None:
    made = runs["masks"]
    succeeds(run_in_process("gan-batch", "convert", made, "--to", "voc", "--out", tmp_path / "set"))
    root = tmp_path / "set" / "VOCdevkit" / "VOC2007"
    depths = {ElementTree.parse(path).findtext("size/depth") for path in (root / "Annotations").iterdir()}
    assert depths == {"1" if mode == "LA" else "3"}
    jpeg = sorted((root / "JPEGImages").iterdir())[0]
    name = next(row.file_name for row in rows_of(made) if Path(row.file_name).stem == jpeg.stem)
    theirs, ours = Image.open(jpeg), Image.open(made / name).convert(WITHOUT[mode])
    difference = np.abs(np.asarray(theirs, int) - np.asarray(ours, int)).mean()
    assert difference < 8
