"""A split on disk: what lands where, and what happens when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gan.photos import split_folder as module
from gan.photos.find import Photo
from gan.photos.split_folder import write_split
from models.errors import CommandError, ExitCode
from tests.conftest import write_photos

Tree = Callable[..., dict[str, bytes]]
FIRST, SECOND = ["scratch_000.png"], ["scratch_001.png"]


def test_photos_are_put_below_train_and_validation_under_their_names(tmp_path: Path, tree: Tree) -> None:
    data = write_photos(tmp_path / "data" / "x", 6).parent
    before = tree(data)
    names = sorted(before)
    write_split(data, tmp_path / "out", names[:4], names[4:])
    assert tree(tmp_path / "out" / "train") == {name: before[name] for name in names[:4]}
    assert tree(tmp_path / "out" / "validation") == {name: before[name] for name in names[4:]}
    assert tree(data) == before


def test_on_one_disk_files_are_linked_and_not_copied(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    assert (tmp_path / "out" / "train" / FIRST[0]).samefile(data / FIRST[0])


def test_where_no_link_can_be_made_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    data = write_photos(tmp_path / "data", 2)
    monkeypatch.setattr(os, "link", refuse)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    copy = tmp_path / "out" / "train" / FIRST[0]
    assert (copy.read_bytes(), copy.stat().st_nlink) == ((data / FIRST[0]).read_bytes(), 1)


def test_of_a_link_the_photo_itself_is_taken(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 1)
    (data / "link.png").symlink_to(FIRST[0])
    write_split(data, tmp_path / "out", FIRST, ["link.png"])
    linked = tmp_path / "out" / "validation" / "link.png"
    assert (linked.is_symlink(), linked.samefile(data / FIRST[0])) == (False, True)


def test_photos_of_a_zip_are_written_as_files_below_the_folder_whatever_their_names(tmp_path: Path, tree: Tree) -> None:
    photos = tree(write_photos(tmp_path / "data", 2))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name, content in photos.items():
            archive.writestr(f"../x/{name}", content)
    write_split(tmp_path / "data.zip", tmp_path / "out", ["x/scratch_000.png"], ["x/scratch_001.png"])
    written = tree(tmp_path / "out")
    del written["split.json"]
    assert written == {
        "train/x/scratch_000.png": photos[FIRST[0]],
        "validation/x/scratch_001.png": photos[SECOND[0]],
    }


def test_the_split_says_of_every_photo_its_part_its_sha256_and_what_it_was_kept_together_with(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 3)
    write_split(data, tmp_path / "out", [*FIRST, *SECOND], ["scratch_002.png"], [[*FIRST, *SECOND]])
    rows = json.loads((tmp_path / "out" / "split.json").read_text())["photos"]
    assert rows == {
        name: {"part": part, "sha256": hashlib.sha256((data / name).read_bytes()).hexdigest(), "group": group}
        for name, part, group in (
            (FIRST[0], "train", FIRST[0]), (SECOND[0], "train", FIRST[0]),
            ("scratch_002.png", "validation", "scratch_002.png"),
        )
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.png/b.png", "a.png/b/c.png"])
def test_a_name_in_a_zip_that_is_also_a_folder_is_65(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for member in ("a.png", name, "c.png"):
            archive.writestr(member, b"a photo")
    with pytest.raises(CommandError, match=f"{name} cannot be a file") as refused:
        write_split(tmp_path / "data.zip", tmp_path / "out", ["a.png", name], ["c.png"])
    assert (refused.value.exit_code, (tmp_path / "out").exists()) == (ExitCode.BAD_DATA, False)


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_split(write_photos(tmp_path / "data", 2), tmp_path / "out", FIRST, SECOND)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["split.json", "train", "validation"]


TAKEN: dict[str, Callable[[Path], object]] = {
    "a folder with something in it": lambda out: (out / "a").mkdir(parents=True),
    "a file": Path.touch,
    "a link to nowhere": lambda out: out.symlink_to("x"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_place_that_is_taken_is_73_and_left_as_it_is(tmp_path: Path, what: str) -> None:
    data = write_photos(tmp_path / "data", 2)
    TAKEN[what](tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CommandError, match="not an empty folder") as refused:
        write_split(data, tmp_path / "out", FIRST, SECOND)
    assert (refused.value.exit_code, sorted(tmp_path.rglob("*"))) == (ExitCode.CANNOT_WRITE, before)


def test_a_place_that_cannot_be_written_is_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError) as refused:
        write_split(write_photos(tmp_path / "data", 2), tmp_path / "file" / "out", FIRST, SECOND)
    assert refused.value.exit_code is ExitCode.CANNOT_WRITE


@pytest.mark.parametrize("place", ["", "split", "a/b"])
def test_a_place_among_the_photos_is_2(tmp_path: Path, place: str) -> None:
    data = write_photos(tmp_path / "data", 2)
    with pytest.raises(CommandError, match="lies in") as refused:
        write_split(data, data / place, FIRST, SECOND)
    assert (refused.value.exit_code, len(list(data.iterdir()))) == (ExitCode.USAGE, 2)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_split_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    data = write_photos(tmp_path / "data", 3)
    place = module._place

    def fail_at_the_last(photo: Photo, target: Path) -> None:
        if photo.name == "scratch_002.png":
            raise error
        place(photo, target)

    monkeypatch.setattr(module, "_place", fail_at_the_last)
    with pytest.raises((CommandError, KeyboardInterrupt)):
        write_split(data, tmp_path / "out", [*FIRST, "scratch_002.png"], SECOND)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    write_photos(tmp_path / ".out.tmp" / "train", 1, seed=3)
    write_split(data, tmp_path / "out", FIRST, SECOND)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]
    assert (tmp_path / "out" / "train" / FIRST[0]).samefile(data / FIRST[0])


def test_a_photo_that_is_gone_meanwhile_is_66_and_named(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "data", 2)
    with pytest.raises(CommandError, match=r"gone\.png") as refused:
        write_split(data, tmp_path / "out", [*FIRST, "gone.png"], SECOND)
    assert (refused.value.exit_code, (tmp_path / "out").exists()) == (ExitCode.NO_INPUT, False)
