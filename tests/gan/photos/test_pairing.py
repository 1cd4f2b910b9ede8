"""Which mask belongs to which photo, by names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from gan.photos.pairing import Pairing, masks_among, pair
from models.errors import CommandError, ExitCode


def files(folder: Path, *names: str) -> Path:
    """Files of different bytes; nothing here decodes them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    return folder


def found(data: Path, masks: Path, **chosen: list[str]) -> Pairing:
    return pair([data], masks, **chosen)


def of_all(pairing: Pairing, data: Path) -> dict[str, str]:
    """Photo to mask, where nothing is left."""
    assert (pairing.without_mask, pairing.without_photo, pairing.unclear) == ((), (), ())
    return dict(pairing.mask_of[data])


LAYOUTS = {
    "the same path": (["a/X.jpg", "b/X.jpg"], ["a/X.png", "b/X.png"]),
    "a word at the end": (["a/X.jpg", "b/X.jpg"], ["a/X_mask.png", "b/X-mask.png"]),
    "other words": (["a/X.jpg", "b/X.jpg", "Y.png"], ["a/X_label.bmp", "b/X.GT.png", "Y ground_truth.tif"]),
    "numbered words": (["a1.jpg", "a2.jpg"], ["a_mask1.png", "a_mask2.png"]),
    "flat": (["a/X.jpg", "b/Y.jpg"], ["X_mask.png", "Y.png"]),
    "folders of masks alone": (["X.jpg", "Y.jpg"], ["pit/X.png", "scratch/Y_mask.png"]),
    "a folder masks": (["a/X.jpg", "b/X.jpg"], ["masks/a/X.png", "b/ground_truth/X.png"]),
    "a folder images": (["train/images/X.jpg", "test/images/X.jpg"], ["train/masks/X.png", "test/masks/X.png"]),
    "a folder above": (["top/a/X.jpg", "top/b/X.jpg"], ["a/X.png", "b/X.png"]),
    "a photo that is called a mask": (["a_mask.jpg", "b.jpg"], ["a_mask.png", "b_mask.png"]),
}


@pytest.mark.parametrize(("photos", "masks"), LAYOUTS.values(), ids=LAYOUTS)
def test_a_mask_has_its_photos_name_with_a_word_or_a_folder_more(
    tmp_path: Path, photos: list[str], masks: list[str]
) -> None:
    data = files(tmp_path / "data", *photos)
    assert of_all(found(data, files(tmp_path / "drawn", *masks)), data) == dict(zip(photos, masks, strict=True))


def test_one_kind_of_defect_finds_its_own_folder_of_ground_truth(tmp_path: Path) -> None:
    """As in MVTec AD, where every kind has a 000.png."""
    files(tmp_path, "test/dent/000.png", "test/dent/001.png", "test/hole/000.png", "test/hole/002.png")
    masks = files(tmp_path / "ground_truth", "dent/000_mask.png", "hole/000_mask.png", "hole/002_mask.png")
    assert of_all(found(tmp_path / "test", masks, without=["dent"]), tmp_path / "test") == {
        "hole/000.png": "hole/000_mask.png",
        "hole/002.png": "hole/002_mask.png",
    }
    dents = found(tmp_path / "test" / "dent", masks)
    assert dents.mask_of[tmp_path / "test" / "dent"] == {"000.png": "dent/000_mask.png", "001.png": ""}
    assert dents.without_mask == ("001.png",)
    assert sorted(dents.without_photo) == ["hole/000_mask.png", "hole/002_mask.png"]


def test_a_name_that_another_folder_has_too_does_not_pass_for_this_ones(tmp_path: Path) -> None:
    data = files(tmp_path / "photos", "000.png", "001.png")
    masks = files(tmp_path / "masks", "dent/000.png", "hole/000.png", "hole/001.png")
    result = found(data, masks)
    assert result.without_mask == ("000.png", "001.png")
    assert len(result.without_photo) == 3


IN_ONE_FOLDER = {
    "PNG beside JPEG": (["X.jpg", "Y.jpg"], ["X.png", "Y.png"]),
    "words": (["X.png", "Y.png"], ["X_mask.png", "Y_mask.png"]),
    "folders": (["a/images/X.png", "a/images/Y.png"], ["a/masks/X.png", "a/masks/Y.png"]),
    "both": (["a_mask.jpg", "b.bmp"], ["a_mask.png", "b.png"]),
}


@pytest.mark.parametrize(("photos", "masks"), IN_ONE_FOLDER.values(), ids=IN_ONE_FOLDER)
def test_masks_among_their_photos_are_no_photos(tmp_path: Path, photos: list[str], masks: list[str]) -> None:
    assert masks_among([*photos, *masks]) == set(masks)
    result = found(files(tmp_path, *photos, *masks), tmp_path)
    assert of_all(result, tmp_path) == dict(zip(photos, masks, strict=True))
    assert result.within[tmp_path] == set(masks)


def test_a_photo_without_a_mask_among_others_stays_a_photo(tmp_path: Path) -> None:
    result = found(files(tmp_path, "X.jpg", "X.png", "Y.jpg", "Z_mask.png"), tmp_path)
    assert result.without_mask == ("Y.jpg",)
    assert result.without_photo == ("Z_mask.png",)
    assert masks_among(["X.jpg", "X.jpeg", "Y.png"]) == frozenset()


def test_a_folder_of_masks_within_the_photos_is_left_out_of_them(tmp_path: Path) -> None:
    files(tmp_path, "a/X.png", "b/X.png", "drawn/a/X.png", "drawn/b/X.png")
    result = found(tmp_path, tmp_path / "drawn")
    assert of_all(result, tmp_path) == {"a/X.png": "a/X.png", "b/X.png": "b/X.png"}
    assert result.within[tmp_path] == {"drawn/a/X.png", "drawn/b/X.png"}


def test_one_folder_of_masks_serves_both_parts_of_a_split(tmp_path: Path) -> None:
    """Also where it is that of the photos which were divided."""
    whole = files(tmp_path / "whole", "a/X.jpg", "a/Y.jpg", "a/X.png", "a/Y.png")
    parts = [tmp_path / "out" / "train", tmp_path / "out" / "validation"]
    for part, name in zip(parts, ("X", "Y"), strict=True):
        (part / "a").mkdir(parents=True)
        (part / "a" / f"{name}.jpg").write_bytes((whole / "a" / f"{name}.jpg").read_bytes())
    result = pair(parts, whole)
    assert (result.without_mask, result.without_photo, result.unclear) == ((), (), ())
    assert [result.mask_of[part] for part in parts] == [{"a/X.jpg": "a/X.png"}, {"a/Y.jpg": "a/Y.png"}]
    alone = pair(parts[:1], whole)
    assert sorted(alone.without_photo) == ["a/Y.jpg", "a/Y.png"]


def test_parts_with_masks_of_the_same_names_share_the_folder_above(tmp_path: Path) -> None:
    files(tmp_path, "train/X.jpg", "train/X.png", "test/X.jpg", "test/X.png")
    parts = [tmp_path / "train", tmp_path / "test"]
    result = pair(parts, tmp_path)
    assert (result.without_mask, result.without_photo, result.unclear) == ((), (), ())
    assert [result.mask_of[part] for part in parts] == [{"X.jpg": "train/X.png"}, {"X.jpg": "test/X.png"}]


def test_masks_of_photos_that_patterns_leave_out_are_not_too_many(tmp_path: Path) -> None:
    data = files(tmp_path / "data", "a/X.jpg", "b/Y.jpg", "b/Y.png")
    masks = files(tmp_path / "masks", "a/X.png", "b/Y.png")
    assert of_all(found(data, masks, only=["a"]), data) == {"a/X.jpg": "a/X.png"}
    assert of_all(found(data, masks, without=["*.png"]), data) == {"a/X.jpg": "a/X.png", "b/Y.jpg": "b/Y.png"}


def test_several_masks_of_a_photo_and_several_photos_of_a_mask_are_told(tmp_path: Path) -> None:
    data = files(tmp_path / "data", "X.jpg", "Y.jpg", "Y.bmp")
    masks = files(tmp_path / "masks", "X.png", "X.bmp", "Y.png")
    result = found(data, masks)
    assert len(result.unclear) == 2
    assert "X.jpg has 2" in result.unclear[0]
    assert "Y.png is that of 2" in result.unclear[1]
    assert (result.without_mask, result.without_photo) == ((), ())


@pytest.mark.parametrize("zipped", ["photos", "masks", "both", "one"])
def test_photos_and_masks_may_be_zipped(tmp_path: Path, zipped: str) -> None:
    data = files(tmp_path / "data", "a/X.jpg", "b/X.jpg")
    masks = data if zipped == "one" else tmp_path / "masks"
    files(masks, "a/X.png", "b/X.png")

    def packed(folder: Path) -> Path:
        with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
            for path in sorted(folder.rglob("*.*")):
                archive.write(path, path.relative_to(folder))
        return folder.with_suffix(".zip")

    if zipped == "one":
        data = masks = packed(data)
    else:
        data = packed(data) if zipped in ("photos", "both") else data
        masks = packed(masks) if zipped in ("masks", "both") else masks
    assert of_all(found(data, masks), data) == {"a/X.jpg": "a/X.png", "b/X.jpg": "b/X.png"}


def test_a_folder_of_masks_that_is_not_there_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"`masks`: no folder .*gone") as refused:
        found(files(tmp_path / "data", "X.jpg"), tmp_path / "gone")
    assert refused.value.exit_code is ExitCode.NO_INPUT
