"""The split of `gan-eval usefulness` in every layout: what is tuned and tested on stays apart, and is photos alone."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from gan.photos.split_file import TEST, TRAIN, UNUSED, VALIDATION, Place, Split
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.dataset.convert.made import command, sha256, write_real

PARTS = {"train": "train", "validation": "val", "test": "test"}
IN_FOLDERS = {"imagefolder": "{}/*", "yolo-classify": "{}/*", "yolo-detect": "images/{}", "yolo-segment": "images/{}"}
IN_FOLDERS |= {"coco": "images/{}", "hf": "{}/images"}


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos`, `masks`, and a `split.json` and a `subset.json` as `gan-eval usefulness` writes them."""
    folder = write_real(tmp_path_factory.mktemp("divided"))
    for path in sorted(folder.rglob("*.png")):  # no name twice
        path.rename(path.with_name(f"{path.parent.name}-{path.name}"))
    places = {}
    for number, path in enumerate(sorted((folder / "photos").rglob("*.png"))):
        name = path.relative_to(folder / "photos").as_posix()
        part = (TRAIN, TRAIN, VALIDATION, TRAIN, TEST, TEST)[number % 6]
        places[name] = Place(part, sha256(path.read_bytes()), name)
    Split(places).write(folder / "split.json")
    for name in [name for name, place in places.items() if place.part == TRAIN][::2]:
        places[name] = dataclasses.replace(places[name], part=UNUSED)
    Split(places).write(folder / "subset.json")
    return folder


def wanted(split: Path) -> dict[str, list[str]]:
    """The stems of photos in each part, as a data set names the parts."""
    rows = json.loads(split.read_text())["photos"].items()
    return {ours: sorted(Path(name).stem for name, row in rows if row["part"] == part) for part, ours in PARTS.items()}


def photos_among(stems: Iterable[str]) -> list[str]:
    return sorted(stem.split("_", 2)[2] for stem in stems if stem.startswith("real_"))


def stems(out: Path, to: str, part: str) -> list[str]:
    """The images of a part: by their folder, or as the list of VOC has it."""
    if to == "voc":
        return (out / f"VOCdevkit/VOC2007/ImageSets/Main/{part}.txt").read_text().split()
    return [path.stem for path in out.glob(f"{IN_FOLDERS[to].format(part)}/*.png")]


def masked(divided: Path, to: str) -> list[str | Path]:
    needed = to not in {"imagefolder", "yolo-classify"}
    return ["--real", divided / "photos", *(["--real-masks", divided / "masks"] if needed else [])]


@pytest.mark.parametrize("to", [*IN_FOLDERS, "voc"])
def test_each_part_has_its_photos_and_only_train_has_images_of_the_run(
    to: str, labelled: Path, divided: Path, tmp_path: Path
) -> None:
    split = divided / "split.json"
    result = run_in_process(*command(labelled, to, tmp_path / "out", *masked(divided, to), "--split", split))
    assert result.returncode == 0, result.stderr
    assert "divided here" not in result.stderr
    parts = {part: stems(tmp_path / "out", to, part) for part in PARTS.values()}
    assert {part: photos_among(found) for part, found in parts.items()} == wanted(split)
    made = {part: sum(not stem.startswith("real_") for stem in found) for part, found in parts.items()}
    assert made == {"train": 50, "val": 0, "test": 0}
    if to.startswith("yolo-") and to != "yolo-classify":
        assert "test: images/test" in (tmp_path / "out/data.yaml").read_text()


def test_photos_that_a_subset_leaves_out_are_in_no_part(labelled: Path, divided: Path, tmp_path: Path) -> None:
    split = divided / "subset.json"
    for to in ("coco", "imagefolder"):
        out = tmp_path / to
        result = run_in_process(*command(labelled, to, out, *masked(divided, to), "--split", split))
        assert result.returncode == 0, result.stderr
        assert "12 photos are in no part of the split and are left out" in result.stderr
        assert {part: photos_among(stems(out, to, part)) for part in PARTS.values()} == wanted(split)


def test_good_parts_of_one_folder_with_the_bad_ones_are_divided_by_their_split(
    labelled: Path, divided: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(divided / "photos", tmp_path / "photos")
    (photos / "dent").rename(photos / "good")
    split = tmp_path / "split.json"
    split.write_text((divided / "split.json").read_text().replace('"dent/', '"good/'))
    good = {name: row for name, row in json.loads(split.read_text())["photos"].items() if name.startswith("good/")}
    masks = divided / "masks/scratch"
    options = ["--real", photos, "--real-masks", masks, "--real-good", photos / "good", "--split", split]
    result = run_in_process(*command(labelled, "mvtec-ad", tmp_path / "out", *options))
    assert result.returncode == 0, result.stderr
    for part, theirs in (("train", {"train"}), ("test", {"validation", "test"})):
        found = photos_among(path.stem for path in (tmp_path / f"out/{part}/good").iterdir())
        assert found == sorted(Path(name).stem for name, row in good.items() if row["part"] in theirs)
    assert len(photos_among(path.stem for path in (tmp_path / "out/test/scratch").iterdir())) == 24
    assert [path.name for path in (tmp_path / "out/train").iterdir()] == ["good"]
    same = [*options[:4], "--real-good", photos]
    fails_in_one_line(
        run_in_process(*command(labelled, "mvtec-ad", tmp_path / "no", *same)), 2, "--real-good", "--real"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"validation": "unused"}, "has no part val of these 48 photos"),
        ({"test": "tests"}, "is no split.json of `gan-eval`"),
    ],
)
def test_split_that_a_trainer_cannot_use_is_refused(
    change: dict[str, str], said: str, labelled: Path, divided: Path, tmp_path: Path
) -> None:
    split = json.loads((divided / "split.json").read_text())
    for row in split["photos"].values():
        row["part"] = change.get(row["part"], row["part"])
    (tmp_path / "split.json").write_text(json.dumps(split))
    options = [*masked(divided, "yolo-segment"), "--split", tmp_path / "split.json"]
    fails_in_one_line(run_in_process(*command(labelled, "yolo-segment", tmp_path / "out", *options)), 65, said)
