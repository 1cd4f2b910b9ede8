"""What a survey finds in a folder: every number against a photo made to have it."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan.photos.sheet import write_sheet
from gan.photos.survey import PhotoFacts, Survey, survey
from gan.photos.survey_page import advice, page, to_json
from models.errors import CommandError, ExitCode
from tests.conftest import write_photos
from tests.gan.photos.made import imagined

SIDE = 64


def grain(seed: int = 0, mean: float = 120, deviation: float = 25, side: int = SIDE) -> Image.Image:
    """A gray surface that resembles no other; its grain survives a thumbnail."""
    coarse = np.random.default_rng(seed).normal(mean, deviation, (32, 32)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)


def only(folder: Path) -> PhotoFacts:
    """The facts of the one photo in a folder."""
    (fact,) = survey(folder).photos
    return fact


# One photo


def test_size_is_that_of_the_photo_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (100, 50), 9).save(tmp_path / "a.jpg", exif=exif)
    assert (only(tmp_path).width, only(tmp_path).height) == (50, 100)


def test_brightness_contrast_and_clipped_are_those_of_the_gray_values(tmp_path: Path) -> None:
    pixels = np.repeat(np.array([0, 255, 100, 100], np.uint8), 16)[None].repeat(SIDE, axis=0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    fact = only(tmp_path)
    assert (fact.brightness, fact.contrast) == pytest.approx((pixels.mean(), pixels.std()), abs=0.01)
    assert fact.clipped == 0.5


@pytest.mark.parametrize(
    ("mode", "suffix", "stored", "bits"),
    [
        ("1", "png", "1", 1), ("L", "png", "L", 8), ("RGB", "png", "RGB", 8), ("RGBA", "webp", "RGBA", 8),
        ("P", "png", "P", 8), ("I;16", "png", "I;16", 16), ("F", "tif", "F", 32), ("CMYK", "jpg", "CMYK", 8),
    ],
)  # fmt: skip
def test_mode_and_bits_are_those_of_the_file(tmp_path: Path, mode: str, suffix: str, stored: str, bits: int) -> None:
    Image.new(mode, (SIDE, SIDE)).save(tmp_path / f"a.{suffix}")
    assert (only(tmp_path).mode, only(tmp_path).bits) == (stored, bits)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_gray_stored_as_a_colour_jpeg_is_gray_in_effect(tmp_path: Path, quality: int) -> None:
    grain().convert("RGB").save(tmp_path / "a.jpg", quality=quality)
    found = survey(tmp_path)
    assert (found.photos[0].mode, found.photos[0].colour, found.gray_in_effect) == ("RGB", False, 1)


def test_a_small_coloured_defect_is_colour(tmp_path: Path) -> None:
    rusty = grain(side=200).convert("RGB")
    ImageDraw.Draw(rusty).rectangle((50, 50, 59, 59), fill=(180, 80, 20))
    rusty.save(tmp_path / "a.jpg", quality=90)
    assert (only(tmp_path).colour, survey(tmp_path).gray_in_effect) == (True, 0)


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_gray_stored_as_gray_is_not_gray_in_effect(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (SIDE, SIDE)).save(tmp_path / "a.png")
    assert survey(tmp_path).gray_in_effect == 0


# All of them


def test_sizes_and_modes_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    for number, (width, mode) in enumerate([(40, "RGB"), (50, "L"), (50, "L")]):
        Image.new(mode, (width, 60)).save(tmp_path / f"{number}.png")
    found = survey(tmp_path)
    assert list(found.sizes.items()) == [((50, 60), 2), ((40, 60), 1)]
    assert list(found.modes.items()) == [("L", 2), ("RGB", 1)]
    assert (found.spread("width").min, found.spread("width").median, found.spread("width").max) == (40, 50, 50)


def test_names_are_ranked_by_a_number(tmp_path: Path) -> None:
    for name, mean in (("dark", 30), ("bright", 220), ("middle", 120)):
        grain(mean=mean, deviation=5).save(tmp_path / f"{name}.png")
    assert survey(tmp_path).ranked("brightness") == ["dark.png", "middle.png", "bright.png"]


def test_folders_and_runs_are_counted(tmp_path: Path) -> None:
    write_photos(tmp_path / "a", 3)
    write_photos(tmp_path, 2)
    found = survey(tmp_path)
    assert found.folders == {".": 2, "a": 3}
    assert [(run.first, run.count) for run in found.runs] == [("a/scratch_000.png", 3), ("scratch_000.png", 2)]


def test_equal_pixels_in_different_files_are_exact_duplicates(tmp_path: Path) -> None:
    for number in range(3):
        grain(number).save(tmp_path / f"{number}.png")
    grain(1).save(tmp_path / "again.bmp")
    grain(1).convert("RGB").save(tmp_path / "as_colour.png")
    assert survey(tmp_path).exact_duplicates == (("1.png", "again.bmp", "as_colour.png"),)


def test_blank_photos_of_different_sizes_are_no_duplicates(tmp_path: Path) -> None:
    Image.new("L", (40, 80)).save(tmp_path / "a.png")
    Image.new("L", (80, 40)).save(tmp_path / "b.png")
    assert survey(tmp_path).exact_duplicates == survey(tmp_path).near_duplicates == ()


def test_the_same_view_darker_or_smaller_is_a_near_duplicate_and_no_exact_one(tmp_path: Path) -> None:
    for number in range(4):
        grain(number).save(tmp_path / f"{number}.png")
    grain(2).point(lambda level: level // 2).save(tmp_path / "darker.png")
    grain(2, side=128).save(tmp_path / "larger.jpg", quality=80)
    found = survey(tmp_path)
    assert (found.exact_duplicates, found.near_duplicates) == ((), (("2.png", "darker.png", "larger.jpg"),))


def test_exact_duplicates_are_near_duplicates_even_where_they_are_blank(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (SIDE, SIDE), 50).save(tmp_path / name)
    assert survey(tmp_path).near_duplicates == (("a.png", "b.png"),)


def test_files_that_cannot_be_used_are_findings_with_their_reasons(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    (tmp_path / "empty.png").touch()
    Image.new("L", (20, 200)).save(tmp_path / "tiny.png")
    found = survey(tmp_path)
    assert (found.files, len(found.photos)) == (4, 2)
    assert [(bad.name, bad.reason[:10]) for bad in found.unreadable] == [
        ("empty.png", "empty file"),
        ("tiny.png", "20×200 pix"),
    ]


def test_a_folder_in_which_nothing_can_be_read_is_65(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(CommandError, match=r"not one of 1 files.*empty\.png") as refused:
        survey(tmp_path)
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_a_folder_without_photos_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        survey(tmp_path)
    assert refused.value.exit_code is ExitCode.NO_INPUT


def test_a_zip_is_surveyed_like_its_folder(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "folder", 5)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert survey(tmp_path / "photos.zip").photos == survey(folder).photos


def test_every_file_counts_for_the_progress_bar(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    (tmp_path / "empty.png").touch()
    seen: list[int] = []
    survey(tmp_path, lambda: seen.append(1))
    assert len(seen) == 4


# Said


def test_json_holds_all_of_it(photos: Path) -> None:
    content = json.loads(to_json(survey(photos)))
    assert content["sizes"] == [{"width": 128, "height": 128, "count": 24}]
    assert {len(content["photos"]), content["files"], content["runs"][0]["count"]} == {24}
    assert content["contrast"].keys() == {"min", "p5", "median", "p95", "max"}
    assert content["advice"]


def test_the_page_has_whole_lines_and_the_lists_are_cut(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    for number in range(15):
        (tmp_path / f"bad\n{number}.png").touch()
    text = page(survey(tmp_path))
    assert "17 files" in text
    assert "… and 5 more: --json has them all" in text
    assert r"'bad\n0.png': empty file" in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (imagined(), "--channels 1: no photo"),
        (imagined(colour=True, mode="RGB"), "--channels 3: 300 of 300"),
        (imagined(), "--image-size 128 --fit crop"),
        (imagined(width=64, height=64), "--image-size 64 --fit crop"),
        (imagined(width=256, height=300), "--image-size 256 --fit crop"),
        (imagined(width=200, height=600), "--image-size 128 --fit pad"),
        (imagined(width=200, height=600), "--image-size 64x224 has the shape of most photos"),
        (imagined(width=500, height=350), "--image-size 320x224 has the shape of most photos"),
        (imagined(width=4000, height=3000), "--image-size 256 --fit tile"),
        (imagined(width=32, height=40), "--image-size 32"),
        (imagined(9), "9 photos are too few"),
        (imagined(50), "50 photos are few: expect"),
        (imagined(300), "300 photos: the default recipe"),
        (imagined(1000), "1000 photos"),
        (imagined(contrast=6.0), "--standardize"),
        (imagined(clipped=0.2), "20% of a usual photo is pure black or white"),
        (imagined(groups=(("0.png", "1.png"),)), "2 photos are near-duplicates in 1 groups: divide with --split"),
    ],
)
def test_advice_follows_from_what_was_found(found: Survey, said: str) -> None:
    assert [line for line in advice(found) if line.startswith(said) or said in line], advice(found)


def test_photos_of_many_shapes_have_none_of_their_own() -> None:
    found = imagined(width=600, height=200)
    upright = imagined(100, width=200, height=600).photos
    assert any("has the shape" in line for line in advice(found))
    both = dataclasses.replace(found, photos=found.photos + upright)
    assert not any("has the shape" in line for line in advice(both))


def test_what_is_well_is_not_spoken_of() -> None:
    assert len(advice(imagined())) == 3


# The sheet


def test_the_sheet_shows_members_of_a_group_side_by_side_in_one_frame_and_others_without(tmp_path: Path) -> None:
    for number in range(6):
        grain(number).save(tmp_path / f"{number}.png")
    grain(0).save(tmp_path / "z.png")
    write_sheet(survey(tmp_path), tmp_path, tmp_path / "out" / "sheet.png")
    sheet = Image.open(tmp_path / "out" / "sheet.png").convert("RGB")
    assert sheet.size == (7 * 104, 104)
    corners = [sheet.getpixel((104 * index, 0)) for index in range(7)]
    assert corners[0] == corners[1] != (255, 255, 255)
    assert set(corners[2:]) == {(255, 255, 255)}


def test_the_sheet_shows_two_hundred_of_many_and_not_only_duplicates(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    groups = tuple(tuple(f"{group * 10 + member}.png" for member in range(10)) for group in range(30))
    write_sheet(imagined(400, groups), tmp_path, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png").convert("RGB")
    framed = [sheet.getpixel((index % 20 * 104, index // 20 * 104)) != (255, 255, 255) for index in range(144)]
    assert (sheet.size, all(framed)) == ((20 * 104, 10 * 104), True)


def test_the_sheet_of_a_zip_shows_its_photos(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in write_photos(tmp_path / "folder", 3).iterdir():
            archive.write(path, path.name)
    for name in ("photos.zip", "folder"):
        write_sheet(survey(tmp_path / name), tmp_path / name, tmp_path / f"{name}.png")
    assert (tmp_path / "photos.zip.png").read_bytes() == (tmp_path / "folder.png").read_bytes()
