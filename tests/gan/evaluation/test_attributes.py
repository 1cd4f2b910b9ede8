"""`gan-eval attributes` as a user runs it, on small folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan import attributes
from gan.evaluation.attributes import COLUMNS
from gan.photos.which import Which
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run_in_process
from tests.gan.evaluation.made import write_plates

ATTRIBUTES = ("gan-eval", "attributes")


def write_lines(folder: Path, count: int, length: int, contrast: int = 40, masks: Path | None = None) -> Path:
    """Photos of 64×64 with a line of 3 pixels across, upright, in the left half; the last photo has none."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(length)
    for number in range(count):
        levels, mask = random.normal(110, 3, (64, 64)), np.zeros((64, 64), bool)
        if number < count - 1:
            mask[8 : 8 + length, 10 + number : 13 + number] = True
        Image.fromarray((levels + contrast * mask).astype(np.uint8)).save(folder / f"{number:02d}.png")
        if masks is not None:
            masks.mkdir(exist_ok=True)
            Image.fromarray(mask).save(masks / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    write_lines(folder / "photos", 12, 40, masks=folder / "masks")
    write_lines(folder / "made", 12, 20, -30)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("source", ["masks", "ridge filter"])
def test_every_photo_has_a_row(folder: Path, tmp_path: Path, source: str) -> None:
    masks = ("--masks", folder / "masks") if source == "masks" else ()
    result = run_in_process(*ATTRIBUTES, folder / "photos", *masks, "--image-size", "64", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path / "attributes.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["file_name"] for row in rows] == [f"{number:02d}.png" for number in range(12)]
    assert {row["source"] for row in rows} == {source}
    for number, row in enumerate(rows[:-1]):
        assert (row["count"], row["polarity"]) == ("1", "bright")
        assert float(row["length"]) == pytest.approx(40, abs=3)
        assert float(row["x"]) == pytest.approx(11 + number, abs=1)
    assert rows[-1] == {**dict.fromkeys(COLUMNS, ""), "file_name": "11.png", "count": "0", "source": source}
    assert "11 of 12" in result.stdout
    by = "their masks" if source == "masks" else "the ridge filter"
    assert result.stdout.splitlines()[0].endswith(f"by {by}")
    assert ("beside real masks it is off by" in result.stdout) == (source != "masks")


def test_synthetic_images_stand_beside_and_gaps_have_a_wish(folder: Path, tmp_path: Path) -> None:
    result = run_in_process(
        *ATTRIBUTES, folder / "photos", "--synthetic", folder / "made", "--image-size", "64", "--out", tmp_path
    )
    assert result.returncode == 0, result.stderr
    bright = next(line for line in result.stdout.splitlines() if line.startswith("bright"))
    assert bright.split()[1:5] == ["100", "%", "0", "%"]
    wish = "gan-batch --want 'polarity=dark' --count 500 --out synthetic/polarity-dark"
    assert f"0 of 11 photos, 11 synthetic: {wish}" in result.stdout
    page = (tmp_path / "report.html").read_text()
    assert wish.replace("'", "&#x27;") in page
    assert "photos beside the gap polarity=dark" in page
    assert page.count("photos beside synthetic images") == 9
    assert "http" not in page


def test_json_holds_what_the_table_does(folder: Path, tmp_path: Path) -> None:
    result = run_in_process(*ATTRIBUTES, folder / "photos", "--image-size", "64", "--json", "--out", tmp_path)
    told = json.loads(result.stdout)
    assert (told["measure"], told["synthetic"], told["photos"]["source"]) == (1, None, "ridge filter")
    assert told["photos"]["images"][0]["length"] == pytest.approx(40, abs=3)
    assert told["photos"]["images"][-1]["length"] is None
    (gap,) = told["gaps"]["polarity"]
    assert gap["wish"] == "polarity=dark"
    assert set(gap["neighbours"]) <= {f"{number:02d}.png" for number in range(12)}


def test_photos_without_a_defect_are_told_without_figures(tmp_path: Path) -> None:
    write_plates(tmp_path / "plain", 12)
    survey = attributes(tmp_path / "plain", image_size=32, out=tmp_path / "out")
    assert {found.count for found in survey.photos.found} == {0}
    assert survey.gaps == {}
    assert "None." in (tmp_path / "out/report.html").read_text()


def test_two_measures_beside_each_other_are_told(folder: Path) -> None:
    survey = attributes(
        folder / "photos", which=Which(masks=folder / "masks"), synthetic=folder / "made", image_size=64
    )
    assert survey.synthetic is not None
    assert (survey.photos.source, survey.synthetic.source) == ("masks", "ridge filter")
    assert any("may be the measure" in note for note in survey.notes)


def test_wrong_arguments_are_refused_in_a_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="`fit=cut` is none of crop") as error:
        attributes(folder / "photos", fit="cut")
    assert error.value.exit_code == ExitCode.USAGE
    result = run_in_process(*ATTRIBUTES, tmp_path / "missing", "--out", tmp_path / "out")
    fails_in_one_line(result, ExitCode.NO_INPUT, "missing")
    result = run_in_process(*ATTRIBUTES, folder / "photos", "--missing-masks", "empty", "--out", tmp_path / "out")
    assert result.returncode == ExitCode.USAGE
    assert "--missing-masks" in result.stderr
