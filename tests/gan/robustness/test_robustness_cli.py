"""The command `gan-eval robustness` from photos to page."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import gan
from gan.photos.which import Which
from gan.robustness import scoring
from gan.robustness.changes import CHANGES
from gan.robustness.detectors import open_detector
from models.errors import CommandError
from tests.conftest import fails_in_one_line, made_once, run_in_process
from tests.gan.robustness.made import MODULE, write_onnx, write_parts

Examined = Callable[..., subprocess.CompletedProcess[str]]
FEW = (CHANGES[0], CHANGES[5])


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`bad/`, `good/`, `masks/` and a module of detectors in the current folder; two changes alone are asked."""
    parts = made_once(tmp_path_factory, "robustness", write_parts, copy=False)
    for part in ("bad", "good", "masks"):
        (tmp_path / part).symlink_to(parts / part)
    (tmp_path / "theirs.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    for place in ("gan.robustness.scoring.CHANGES", "gan.robustness.robustness.CHANGES", "gan.robustness.page.CHANGES"):
        monkeypatch.setattr(place, FEW)
    return tmp_path


@pytest.fixture
def examined(desk: Path) -> Examined:
    return partial(run_in_process, "gan-eval", "robustness", "bad", "--out", "out")


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "robustness.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_blind_detector_is_told_of_in_the_first_line(examined: Examined, desk: Path) -> None:
    result = examined("--detector", "theirs:rows", "--good", "good", "--masks", "masks")
    assert result.returncode == 0, result.stderr
    first = result.stdout.splitlines()[0]
    assert re.search(r"^theirs:rows misses 1\d of 24 defects .*most of all: vertical \(finds 0 of 12;", first), first
    assert "0 false alarms in 12 good photos" in first
    page = (desk / "out/report.html").read_text()
    assert first in page
    assert page.count("data:image/png;base64,") >= 1
    assert 'src="http' not in page
    rows = rows_of(desk / "out")
    assert [row["part"] for row in rows] == ["defect"] * 24 + ["good"] * 12
    assert all((float(row["score"]) >= 0.5) == (row["hit"] == "1") for row in rows)
    assert all(row["length"] and row["direction"] for row in rows[:24])
    assert all(f"darker {strength}" in rows[0] for strength in (20, 40, 60))


def test_json_says_the_same_and_nothing_else_is_on_stdout(examined: Examined, desk: Path) -> None:
    result = examined("--detector", "theirs:two_columns", "--class-name", "defect", "--masks", "masks", "--json")
    found = json.loads(result.stdout)
    assert found["recall"]["count"] == 24
    assert found["verdict"].startswith("theirs:two_columns misses")
    assert found["false_alarms"] is None
    assert {each["bin"]: each["hits"] for each in found["recall_by_attribute"]["direction"]}["vertical"] == 0
    assert [each["strength"] for each in found["changes"]["darker"]] == [0, 20, 40, 60]
    assert found["probability_of_detection"]["length"]["targets"] == 24
    assert found["worst_slices"][0]["slice"] == "vertical"


def test_an_onnx_file_says_its_size_and_needs_no_masks(examined: Examined, desk: Path) -> None:
    write_onnx(desk / "model.onnx", True, 4)
    result = examined("--detector", "model.onnx", "--no-changes", "--json")
    found = json.loads(result.stdout)
    assert (found["image_size"], found["defects_measured_by"], found["changes"]) == ([8, 8], "ridge filter", {})


def test_threshold_is_set_by_false_alarms(examined: Examined, desk: Path) -> None:
    options = ("--detector", "theirs:rows", "--good", "good", "--masks", "masks", "--no-changes", "--json")
    found = json.loads(examined(*options, "--false-alarms", "0.25").stdout)
    assert found["false_alarms"]["hits"] == 3
    scores = sorted((float(row["score"]) for row in rows_of(desk / "out") if row["part"] == "good"), reverse=True)
    assert scores[3] < found["threshold"] <= scores[2]


def test_class_folders_are_bins_and_photos_with_an_empty_mask_are_good(desk: Path) -> None:
    write_parts(desk / "classes", 20, 0, sub_folders=True)
    found = gan.examine_detector(
        desk / "classes/bad", "theirs:rows", which=Which(masks=desk / "classes/masks"), changes=False
    )
    assert {each.name: each.rate.count for each in found.bins["class"]} == {"lying": 10, "upright": 10}
    for path in sorted((desk / "classes/masks/lying").iterdir())[:4]:
        path.unlink()
    found = gan.examine_detector(
        desk / "classes/bad",
        "theirs:rows",
        which=Which(masks=desk / "classes/masks", missing_masks="empty"),
        changes=False,
    )
    assert found.false_alarms is not None
    assert (found.recall.count, found.false_alarms.count, found.false_alarms.hits) == (16, 4, 4)


def test_what_was_scored_is_not_asked_again(desk: Path) -> None:
    asked: list[int] = []

    def judge(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        asked.append(len(images))
        return images.mean((1, 2, 3)) / 255

    first = gan.examine_detector(desk / "bad", judge, out=desk / "out")
    assert sum(asked) == 24 * 7
    asked.clear()
    again = gan.examine_detector(desk / "bad", judge, out=desk / "out")
    assert sum(asked) == 24 * 2  # as they are, and under the first change
    assert again.as_json() == first.as_json()
    asked.clear()
    gan.examine_detector(desk / "bad", lambda images: judge(images) / 2, out=desk / "out")
    assert sum(asked) == 24 * 7


def test_a_detector_that_says_the_same_of_photos_as_they_are_is_asked_about_changes(desk: Path) -> None:
    """One of yes and no says so soon after it was mended."""
    bright = [gan.examine_detector(desk / "bad", yes, out=desk / out) for yes, out in (
        (lambda images: images.max((1, 2, 3)) > 140, "out"),
        (lambda images: np.ptp(images, (1, 2, 3)) > 20, "out"),
        (lambda images: np.ptp(images, (1, 2, 3)) > 20, "new"),
    )]  # fmt: skip
    assert bright[0].recall == bright[1].recall
    assert bright[0].as_json() != bright[1].as_json() == bright[2].as_json()


def test_an_edited_module_is_another_detector(desk: Path) -> None:
    (desk / "helper.py").write_text("LEAST = 140\n")
    (desk / "mine.py").write_text(
        "import helper\ndef judge(images):\n    return images.max((1, 2, 3)) > helper.LEAST\n"
    )
    seen = set()
    for text in ("LEAST = 140\n", "LEAST = 140  # the same\n"):
        (desk / "helper.py").write_text(text)
        for name in ("mine", "helper"):
            sys.modules.pop(name, None)
        seen.add(open_detector("mine:judge").digest)
    assert len(seen - {""}) == 2


def test_masks_do_not_place_the_crop(tmp_path: Path) -> None:
    """Else a defect far from the middle would be found in pictures that a line never takes."""
    for part in ("bad", "masks"):
        (tmp_path / part).mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        pixels, mask = random.integers(90, 110, (48, 144), np.uint8), np.zeros((48, 144), np.uint8)
        place = 4 if number % 2 else 60
        mask[10:30, place : place + 3] = 255
        pixels[mask > 0] = 200
        Image.fromarray(pixels).save(tmp_path / f"bad/{number:02d}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{number:02d}.png")
    found = gan.examine_detector(
        tmp_path / "bad", lambda images: images.max((1, 2, 3)) / 255.0, out=tmp_path / "out", changes=False,
        which=Which(masks=tmp_path / "masks"), image_size=48, fit="crop",
    )  # fmt: skip
    assert found.recall.count == 6  # of the others the defect lies outside


def test_a_signal_keeps_what_was_scored(examined: Examined, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(scoring.Stop):
        looks = 0

        def __bool__(self) -> bool:
            Stopped.looks += 1
            if Stopped.looks == 3:
                self._on_signal(signal.SIGTERM, None)
            return super().__bool__()

    options = ("--detector", "theirs:rows", "--masks", "masks", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "Stop", Stopped)
        result = examined(*options)
    fails_in_one_line(result, 143, "SIGTERM", "run the same command again")
    assert not (desk / "out/report.html").exists()
    assert {"score", "darker 20"} <= rows_of(desk / "out")[0].keys()
    resumed, whole = examined(*options), examined(*options, "--out", "elsewhere")
    assert resumed.stdout == whole.stdout


@pytest.mark.parametrize("function", ["raises", "too_many", "nan", "leaves"])
def test_a_detector_that_fails_ends_with_65_in_one_line(examined: Examined, function: str) -> None:
    fails_in_one_line(examined("--detector", f"theirs:{function}"), 65, f"--detector theirs:{function}")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--detector", "nowhere_at_all:judge"), 66, "nowhere_at_all"),
        (("--detector", "theirs:rows", "--false-alarms", "0.1"), 2, "--good"),
        (("--detector", "theirs:rows", "--threshold", "0.1", "--false-alarms", "0.1", "--good", "good"), 2, "exclude"),
        (("--detector", "theirs:rows", "--good", "typo"), 66, "typo"),
        (("--detector", "theirs:rows", "--masks", "good"), 65, "--masks"),
        (("--detector", "theirs:rows", "--image-size", "7"), 2, "--image-size"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    examined: Examined, options: tuple[str, ...], code: int, words: str
) -> None:
    fails_in_one_line(examined(*options), code, words)


def test_photos_of_several_sizes_need_one(desk: Path) -> None:
    (desk / "mixed").mkdir()
    for path in sorted((desk / "bad").iterdir()):
        Image.open(path).crop((0, 0, 48 - int(path.stem) % 2, 48)).save(desk / "mixed" / path.name)
    with pytest.raises(CommandError, match="2 sizes, 47×48 to 48×48: `image_size`"):
        gan.examine_detector(desk / "mixed", "theirs:rows")
    assert gan.examine_detector(desk / "mixed", "theirs:rows", image_size=40, changes=False).image_size == (40, 40)
