"""What photos show: by their folders, or by a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gan.photos.labels import FEW, classes_in, few, read_table
from models.errors import CommandError, ExitCode


def photos(folder: Path, *names: str) -> Path:
    """Files by names of photos; nothing here looks into them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"-")
    return folder


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def refused(data: Path, validation: Path | None = None, labels: Path | None = None, without: Sequence[str] = ()) -> str:
    with pytest.raises(CommandError) as error:
        classes_in(data, validation, labels, without=without)
    assert error.value.exit_code is ExitCode.BAD_DATA
    return str(error.value)


def test_sub_folders_are_the_classes_sorted_and_photos_may_lie_deeper(tmp_path: Path) -> None:
    found = classes_in(photos(tmp_path, "pit/a.png", "line/b.png", "line/cam2/c.png"))
    assert found.names == ("line", "pit")
    assert found.labels(["pit/a.png", "line/b.png", "line/cam2/c.png"]) == (1, 0, 0)


TABLES = {
    "head": "file_name,label\na.png,pit\nsub/b.png,line\n",
    "other columns": "id;Class;Image\n1;pit;a.png\n2;line;sub\\b.png\n",
    "no head": "a.png,pit\n\nb.png,line\n",
    "tabs and a mark": "\ufefffile\tdefect\na.png\tpit\nsub/b.png\tline\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_table_tells_classes_by_path_or_by_the_files_name(tmp_path: Path, text: str) -> None:
    data = photos(tmp_path / "photos", "a.png", "sub/b.png")
    assert classes_in(data, table=table(tmp_path, text)).labels(["a.png", "sub/b.png"]) == (1, 0)


def test_one_table_tells_of_both_parts_of_a_split(tmp_path: Path) -> None:
    photos(tmp_path, "train/a.png", "train/b.png", "validation/c.png")
    rows = table(tmp_path, "a.png,pit\nb.png,line\nc.png,pit\n")
    assert classes_in(tmp_path / "train", tmp_path / "validation", rows).labels(["c.png"]) == (1,)


def test_a_pattern_leaves_a_class_out(tmp_path: Path) -> None:
    data = photos(tmp_path, "line/a.png", "masks/a.png", "pit/b.png")
    (data / "empty").mkdir()
    assert classes_in(data, without=["masks", "empty"]).names == ("line", "pit")


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    photos(tmp_path, "line/a.png", "pit/b.png")
    (tmp_path / "dent").mkdir()
    assert "the class dent is empty" in refused(tmp_path)


def test_photos_without_a_folder_of_their_class_are_named(tmp_path: Path) -> None:
    said = refused(photos(tmp_path, "line/a.png", "pit/b.png", "c.png", "d.png"))
    assert "2 of 4 photos lie in no sub-folder" in said
    assert "c.png" in said


def test_a_table_with_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text('file_name,label\nline/a.png,"line\nline/b.png,pit\n')
    assert "is no CSV file" in refused(photos(tmp_path / "photos", "line/a.png", "line/b.png"), labels=table)


@pytest.mark.parametrize("names", [["line/a.png", "line/b.png"], ["line/a.png"]])
def test_one_class_alone_is_refused(tmp_path: Path, names: list[str]) -> None:
    assert "are of the class line: train without classes" in refused(photos(tmp_path, *names))


def test_a_class_that_only_photos_to_measure_on_show_is_named(tmp_path: Path) -> None:
    photos(tmp_path, "train/line/a.png", "train/pit/b.png", "validation/dent/c.png")
    assert "the class dent has photos to measure on and none" in refused(tmp_path / "train", tmp_path / "validation")


@pytest.mark.parametrize("name", ["a,b", "a=b", 'a"b', "a\tb"])
def test_a_name_that_cannot_stand_in_a_mix_is_refused(tmp_path: Path, name: str) -> None:
    assert "is no name for a class" in refused(photos(tmp_path, f"{name}/a.png", "line/b.png"))


WRONG = {
    "a photo without a row": ("a.png,pit\nb.png,line\n", "1 of 3 photos in", "c.png"),
    "a row without a photo": ("a.png,pit\nb.png,line\nc.png,pit\nz.png,pit\n", "1 of 4 rows", "z.png"),
    "a row without a class": ("a.png,pit\nb.png,\nc.png,pit\n", "row 2 lacks", ""),
    "two classes": ("a.png,pit\na.png,line\n", "a.png is pit and line (row 2)", ""),
    "no columns": ("a,b,c\nd,e,f\n", "no columns `file_name` and `label`", ""),
    "nothing": ("\n", "no columns", ""),
    "a head alone": ("file_name,label\n", "no rows", ""),
}


@pytest.mark.parametrize(("text", "said", "name"), WRONG.values(), ids=WRONG)
def test_a_table_that_does_not_fit_the_photos_is_refused(tmp_path: Path, text: str, said: str, name: str) -> None:
    data = photos(tmp_path / "photos", "a.png", "b.png", "c.png")
    message = refused(data, labels=table(tmp_path, text))
    assert said in message
    assert name in message


def test_a_files_name_that_two_photos_have_does_not_tell_which(tmp_path: Path) -> None:
    data = photos(tmp_path / "photos", "1/a.png", "2/a.png")
    assert "2 of 2 photos" in refused(data, labels=table(tmp_path, "a.png,pit\n"))


def test_a_table_that_is_not_there_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        read_table(tmp_path / "none.csv")
    assert error.value.exit_code is ExitCode.NO_INPUT


def test_classes_of_few_photos_are_warned_of_by_name() -> None:
    labels = [0] * FEW + [1] * (FEW - 1) + [2] * 3
    said = few(labels, ["a", "b", "c"])
    assert f"b has {FEW - 1}, c has 3" in said
    assert "a has" not in said
    assert few(labels[:FEW], ["a"]) == ""
