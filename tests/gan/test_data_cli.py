"""The command `gan-eval data`: what it is told, what it says, and where."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import fails_in_one_line, run_in_process, surface, write_photos

Data = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gan_eval_data() -> Data:
    """The command as a program runs it, but in this process."""
    return partial(run_in_process, "gan-eval", "data")


def test_it_prints_a_page_and_ends_with_0(gan_eval_data: Data, photos: Path) -> None:
    result = gan_eval_data(photos)
    assert (result.returncode, result.stderr) == (0, "")
    assert all(word in result.stdout for word in ("24 files", "128×128 (24)", "near-duplicates", "Advice:"))


def test_json_is_one_object_and_nothing_else_on_stdout(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    result = gan_eval_data(photos, "--json", "--split", tmp_path / "out", "--sheet", tmp_path / "sheet.png")
    assert json.loads(result.stdout)["files"] == 24


def test_nothing_is_written_that_was_not_asked_for(
    gan_eval_data: Data, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gan_eval_data(photos)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_used_are_findings_and_no_error(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    (tmp_path / "empty.png").touch()
    result = gan_eval_data(tmp_path)
    assert result.returncode == 0
    assert "empty.png: empty file" in result.stdout


def test_a_folder_in_which_nothing_can_be_read_is_65(gan_eval_data: Data, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    fails_in_one_line(gan_eval_data(tmp_path), 65, "not one of 1 files", "empty.png")


@pytest.mark.parametrize("name", ["", "typo", "typo.zip"])
def test_where_there_is_nothing_it_is_66_and_named(gan_eval_data: Data, tmp_path: Path, name: str) -> None:
    fails_in_one_line(gan_eval_data(tmp_path / name), 66, str(tmp_path / name))


def test_a_broken_zip_is_65(gan_eval_data: Data, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    fails_in_one_line(gan_eval_data(tmp_path / "a.zip"), 65, "a.zip", "no zip file")


def test_a_sheet_is_written_where_it_is_asked_for(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    assert gan_eval_data(photos, "--sheet", tmp_path / "deep" / "sheet.png").returncode == 0
    assert Image.open(tmp_path / "deep" / "sheet.png").width > 100


def test_a_split_says_how_many_are_where(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    result = gan_eval_data(photos, "--split", tmp_path / "out")
    train, validation = (len(list((tmp_path / "out" / side).iterdir())) for side in ("train", "validation"))
    assert train + validation == 24
    assert f"{train} photos in {tmp_path / 'out' / 'train'}, {validation} in" in result.stderr


def test_a_part_that_is_too_small_for_training_is_warned_of(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    result = gan_eval_data(photos, "--split", tmp_path / "out")
    count = len(list((tmp_path / "out" / "validation").iterdir()))
    (line,) = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert f"{tmp_path / 'out' / 'validation'} has {count} photos, and gan-train needs 10" in line
    write_photos(tmp_path / "more", 48)
    assert "WARNING" not in gan_eval_data(tmp_path / "more", "--split", tmp_path / "larger").stderr


def test_a_name_in_a_zip_that_is_too_long_for_a_file_is_65(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    name = "a" * 300 + ".png"
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.iterdir()):
            archive.write(path, path.name)
        archive.write(path, name)
    fails_in_one_line(gan_eval_data(tmp_path / "photos.zip", "--split", tmp_path / "out"), 65, name, "too long")
    assert not (tmp_path / "out").exists()


def test_the_same_split_comes_again_and_another_seed_gives_another(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 60)
    for out, seed in (("a", 1), ("b", 1), *((f"c{seed}", seed) for seed in range(2, 5))):
        assert gan_eval_data(tmp_path / "photos", "--split", tmp_path / out, "--seed", str(seed)).returncode == 0

    def kept(out: str) -> list[str]:
        return sorted(path.name for path in (tmp_path / out / "validation").iterdir())

    assert kept("a") == kept("b")
    assert [seed for seed in range(2, 5) if kept(f"c{seed}") != kept("a")]


def test_the_share_is_the_one_asked_for(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 100)
    gan_eval_data(tmp_path / "photos", "--split", tmp_path / "out", "--validation-share", "0.5")
    assert 35 <= len(list((tmp_path / "out" / "validation").iterdir())) <= 65


@pytest.mark.parametrize("share", ["0", "1", "-1", "nan", "half"])
def test_a_share_that_is_none_is_2(gan_eval_data: Data, photos: Path, tmp_path: Path, share: str) -> None:
    result = gan_eval_data(photos, "--split", tmp_path / "out", f"--validation-share={share}")
    fails_in_one_line(result, 2, "--validation-share")


def test_a_share_without_a_split_is_2(gan_eval_data: Data, photos: Path) -> None:
    fails_in_one_line(gan_eval_data(photos, "--validation-share", "0.5"), 2, "--split")


def test_a_split_among_the_photos_is_2(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 12)
    fails_in_one_line(gan_eval_data(tmp_path / "photos", "--split", tmp_path / "photos" / "out"), 2, "lies in")


def test_a_split_onto_something_is_73(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    fails_in_one_line(gan_eval_data(photos, "--split", tmp_path), 73, str(tmp_path), "not an empty folder")


def test_photos_that_cannot_be_divided_are_65(gan_eval_data: Data, tmp_path: Path) -> None:
    for number in range(12):
        Image.new("L", (64, 64), 50).save(tmp_path / f"{number}.png")
    fails_in_one_line(gan_eval_data(tmp_path, "--split", tmp_path.with_name("out")), 65, "cannot be divided")


def test_a_sheet_among_the_photos_is_2(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path, 12)
    fails_in_one_line(gan_eval_data(tmp_path, "--sheet", tmp_path / "sheet.png"), 2, "--sheet", "taken for a photo")


def test_a_sheet_that_cannot_be_written_is_73(gan_eval_data: Data, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fails_in_one_line(gan_eval_data(photos, "--sheet", tmp_path / "file" / "sheet.png"), 73, "file")


def test_a_wrong_option_is_2_and_named(gan_eval_data: Data, photos: Path) -> None:
    fails_in_one_line(gan_eval_data(photos, "--no-such-option"), 2, "--no-such-option")


def test_photos_of_one_minute_and_shifted_copies_are_on_one_side_and_the_pairs_are_told(
    gan_eval_data: Data, tmp_path: Path
) -> None:
    """Every 17 s one photo, and of each the next shows the same a little further on."""
    folder = tmp_path / "photos"
    folder.mkdir()
    begin = datetime(2024, 1, 31, 23, 50, tzinfo=UTC)
    for number in range(60):
        strip = surface(number // 2).resize((320, 320), Image.Resampling.BICUBIC)
        name = (begin + timedelta(seconds=17 * number)).strftime("%Y%m%d_%H%M%S_cam1.png")
        strip.crop((0, 30 * (number % 2), 256, 256 + 30 * (number % 2))).save(folder / name)
    result = gan_eval_data(folder, "--split", tmp_path / "out", "--json")
    split = json.loads((tmp_path / "out" / "split.json").read_text())["photos"]
    assert {row["part"] for row in split.values()} == {"train", "validation"}
    minutes = {(name[:13], row["part"]) for name, row in split.items()}
    assert len(minutes) == len({minute for minute, _ in minutes}), "a minute lies on both sides"
    in_order = sorted(split)
    pairs = zip(in_order[::2], in_order[1::2], strict=True)
    assert [pair for pair in pairs if split[pair[0]]["part"] != split[pair[1]]["part"]] == []
    told = json.loads(result.stdout)["pairs"]
    assert (told["made"]["near_duplicates"], told["made"]["same_minute"]) == (0, 0)
    assert told["by_chance"]["near_duplicates"] > 10 < told["by_chance"]["same_minute"]
    page = gan_eval_data(folder).stdout
    assert "time of day: 60 photos tell it" in page
    assert "pairs that belong together and would be parted with 20 photos kept back\n  by chance " in page
    assert "this split" not in page


def test_patterns_choose_the_photos(gan_eval_data: Data, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos" / "bad", 12)
    write_photos(tmp_path / "photos" / "good", 13)
    page = gan_eval_data(tmp_path / "photos").stdout
    assert "13 photos of good parts (good) and 12 of bad ones (bad) lie together: --only and --not part them" in page
    assert "12 files" in gan_eval_data(tmp_path / "photos", "--only", "bad").stdout
    assert "13 files" in gan_eval_data(tmp_path / "photos", "--not", "bad", "--not", "ugly").stdout
    fails_in_one_line(gan_eval_data(tmp_path / "photos", "--only", "ugly"), 66, "'ugly'")


def test_names_that_nothing_decodes_are_told_and_kept(gan_eval_data: Data, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_photos(folder, 12)
    (folder / "scratch_003.png").rename(folder / os.fsdecode(b"scr\xe9tch.png"))
    (folder / os.fsdecode(b"br\xf6ken\n.png")).touch()
    result = gan_eval_data(folder, "--split", tmp_path / "out", "--sheet", tmp_path / "sheet.png")
    assert (result.returncode, "bug" in result.stderr) == (0, False)
    assert r"'br\udcf6ken\n.png': empty file" in result.stdout
    assert os.fsdecode(b"scr\xe9tch.png") in json.loads((tmp_path / "out" / "split.json").read_text())["photos"]
    fails_in_one_line(gan_eval_data(folder / "none"), 66, r"caf\udce9/none")


def with_masks(folder: Path) -> Path:
    """Ten photos, each with a mask beside it."""
    for number in range(10):
        surface(number).save(folder / f"{number}.jpg")
        mask = Image.new("L", (128, 128))
        mask.paste(255, (10, 10, 42, 42))
        mask.save(folder / f"{number}.png")
    return folder


def test_masks_are_looked_at_and_what_does_not_fit_is_a_finding(gan_eval_data: Data, tmp_path: Path) -> None:
    data = with_masks(tmp_path)
    assert "10 of 20 photos are all black and white" in gan_eval_data(data).stdout
    whole = gan_eval_data(data, "--masks", data).stdout
    for words in ("10 files in", "10 photos with masks, 0 without a defect", "covers 6.2 % of a photo", "--masks "):
        assert words in whole
    (data / "3.png").unlink()
    Image.new("L", (64, 64)).save(data / "4.png")
    Image.new("L", (128, 128)).save(data / "11_mask.png")
    result = gan_eval_data(data, "--masks", data)
    assert (result.returncode, result.stderr) == (0, "")
    for words in (
        "8 photos with masks, 0 without a defect; 1 without a mask",
        "1 photo without a mask: 3.jpg",
        "1 mask of no photo: 11_mask.png",
        "1 mask of another size: 4.png is 64×64, its photo 128×128",
        "--missing-masks empty",
    ):
        assert words in result.stdout
    found = json.loads(gan_eval_data(data, "--masks", data, "--json").stdout)["masks"]
    assert (found["without_mask"], found["shares"], found["spots"]) == (["3.jpg"], [0.0625] * 8, [1] * 8)
    assert json.loads(gan_eval_data(data, "--json").stdout)["masks"] is None


def test_a_split_holds_photos_alone_and_the_masks_fit_its_parts(gan_eval_data: Data, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    data, out = with_masks(tmp_path / "photos"), tmp_path / "out"
    assert gan_eval_data(data, "--masks", data, "--split", out, "--validation-share", "0.3").returncode == 0
    assert len(list(out.rglob("*.jpg"))) == 10
    assert not list(out.rglob("*.png"))
    for part, count in (("train", 7), ("validation", 3)):
        found = json.loads(gan_eval_data(out / part, "--masks", data, "--json").stdout)["masks"]
        assert (len(found["shares"]), found["without_mask"]) == (count, [])


def test_masks_that_are_not_there_are_66(gan_eval_data: Data, photos: Path) -> None:
    fails_in_one_line(gan_eval_data(photos, "--masks", "gone"), 66, "--masks", "gone")
