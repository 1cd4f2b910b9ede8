"""Photos in a zip: the same names and pixels as in a folder, and every way in which a zip can be bad."""

from __future__ import annotations

import logging
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan.photos import find as module
from gan.photos.find import photos_in
from gan.photos.read import find_images, load_images
from models.errors import CommandError, ExitCode
from tests.conftest import write_photos

SIZE = 64


def pack(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip with these members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """Twelve photos in two folders, by name."""
    folder = tmp_path / "folder"
    write_photos(folder / "a", 6)
    write_photos(folder / "b", 6, seed=1)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def reasons(path: Path, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """What is said of each bad file of a zip."""
    with caplog.at_level(logging.WARNING, "gan"):
        load_images(path, 1, SIZE, skip_bad_files=True)
    lines = caplog.records[0].getMessage().splitlines()[1:]
    return dict(line.strip().split(": ", 1) for line in lines)


def patched(path: Path, name: str, change: Callable[[bytearray, int, int], None]) -> Path:
    """Change the bytes of a member; `change` gets all bytes and where its local and its central header begin."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(name).header_offset
    central = content.rindex(name.encode()) - 46  # what comes before the name, which nothing repeats behind it
    change(content, local, central)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["photos.zip", "photos.ZIP"])
def test_a_zip_gives_what_its_folder_gives(
    tmp_path: Path, members: dict[str, bytes], compression: int, name: str
) -> None:
    from_zip = load_images(pack(tmp_path / name, members, compression), 1, SIZE)
    from_folder = load_images(tmp_path / "folder", 1, SIZE)
    assert from_zip.names == from_folder.names == sorted(members)
    assert torch.equal(from_zip.images, from_folder.images)


def test_every_file_of_a_zip_counts_for_the_progress_bar(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", members)
    seen: list[int] = []
    load_images(path, 1, SIZE, on_file=lambda: seen.append(1))
    assert len(seen) == len(find_images(path)) == 12


def test_paths_in_a_zip_begin_with_the_zip(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", members)
    assert find_images(path)[0] == path / "a" / "scratch_000.png"


def test_nothing_is_written_to_disk(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", members)
    before = sorted(tmp_path.rglob("*"))
    load_images(path, 1, SIZE)
    assert sorted(tmp_path.rglob("*")) == before


def test_order_is_that_of_names_and_not_of_the_zip(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", dict(reversed(members.items())))
    assert load_images(path, 1, SIZE).names == sorted(members)


@pytest.mark.parametrize(
    "name", [".hidden.png", ".thumbs/a.png", "__MACOSX/a.png", "__MACOSX/x/._a.png", "notes.txt", "a.png/", "b.zip"]
)
def test_what_is_no_photo_by_name_is_passed_over(tmp_path: Path, members: dict[str, bytes], name: str) -> None:
    assert len(find_images(pack(tmp_path / "photos.zip", {**members, name: b""}))) == 12


@pytest.mark.parametrize("name", ["../../c/x.png", "/c/x.png", "./c/../c/x.png", "c//x.png"])
def test_a_name_that_would_lead_elsewhere_is_made_harmless(
    tmp_path: Path, members: dict[str, bytes], name: str
) -> None:
    with photos_in(pack(tmp_path / "photos.zip", {**members, name: b"?"})) as photos:
        harmless = photos[-1].name
    assert harmless in {"c/x.png", "c/c/x.png"}


def test_of_two_files_of_one_name_the_later_is_read_and_the_other_reported(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = pack(tmp_path / "photos.zip", members)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a/scratch_000.png", members["b/scratch_005.png"])
    assert "later file of the same name" in reasons(path, caplog)["a/scratch_000.png"]
    images = load_images(path, 1, SIZE, skip_bad_files=True)
    assert (len(images.names), torch.equal(images.images[0], images.images[-1])) == (12, True)


def test_a_damaged_member_is_named_and_does_not_hide_the_others(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(content: bytearray, local: int, central: int) -> None:
        content[local + 3000] ^= 0xFF

    pack(tmp_path / "photos.zip", members, zipfile.ZIP_STORED)
    path = patched(tmp_path / "photos.zip", "a/scratch_003.png", spoil)
    assert reasons(path, caplog) == {"a/scratch_003.png": "damaged in the zip"}


def test_an_encrypted_member_is_named_with_what_to_do(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def encrypt(content: bytearray, local: int, central: int) -> None:
        content[local + 6] |= 1
        content[central + 8] |= 1

    path = patched(pack(tmp_path / "photos.zip", members), "a/scratch_003.png", encrypt)
    assert "password" in reasons(path, caplog)["a/scratch_003.png"]


def test_a_member_that_claims_to_be_huge_is_refused_by_its_claim(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def inflate(content: bytearray, local: int, central: int) -> None:
        struct.pack_into("<I", content, central + 24, module.MAX_MEMBER_BYTES + 1)

    path = patched(pack(tmp_path / "photos.zip", members), "a/scratch_003.png", inflate)
    assert "more than 1,073,741,824 in a zip" in reasons(path, caplog)["a/scratch_003.png"]


def test_a_member_that_holds_more_than_it_claims_is_cut_off_and_named(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def understate(content: bytearray, local: int, central: int) -> None:
        struct.pack_into("<I", content, central + 24, 1000)

    path = patched(pack(tmp_path / "photos.zip", members), "a/scratch_003.png", understate)
    assert reasons(path, caplog) == {"a/scratch_003.png": "damaged in the zip"}


def test_a_compression_that_is_not_known_is_named_with_what_to_do(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def other(content: bytearray, local: int, central: int) -> None:
        struct.pack_into("<H", content, local + 8, 9)
        struct.pack_into("<H", content, central + 10, 9)

    path = patched(pack(tmp_path / "photos.zip", members), "a/scratch_003.png", other)
    assert "unpack the zip" in reasons(path, caplog)["a/scratch_003.png"]


def test_an_empty_member_is_a_bad_file(
    tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = pack(tmp_path / "photos.zip", {**members, "a/empty.png": b""})
    assert reasons(path, caplog) == {"a/empty.png": "empty file"}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 100, b"PK\x05\x06" + b"\xff" * 18])
def test_a_file_that_is_no_zip_is_65(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photos.zip").write_bytes(content)
    with pytest.raises(CommandError, match="no zip file") as refused:
        find_images(tmp_path / "photos.zip")
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_a_zip_whose_names_are_not_what_they_say_is_65(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", {"b\u00fcro.png": next(iter(members.values()))})
    path.write_bytes(path.read_bytes().replace("b\u00fcro".encode(), b"b\xff\xfero"))
    with pytest.raises(CommandError, match="names are UTF-8, and they are not: pack it again") as refused:
        find_images(path)
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_a_zip_that_was_cut_off_is_65(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "photos.zip", members)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CommandError, match="damaged") as refused:
        find_images(path)
    assert refused.value.exit_code is ExitCode.BAD_DATA


def test_a_zip_without_photos_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no images.*photos\.zip") as refused:
        find_images(pack(tmp_path / "photos.zip", {"notes.txt": b"shift 3"}))
    assert refused.value.exit_code is ExitCode.NO_INPUT


def test_a_zip_that_is_not_there_is_66(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"photos\.zip") as refused:
        find_images(tmp_path / "photos.zip")
    assert refused.value.exit_code is ExitCode.NO_INPUT


def test_a_folder_may_end_like_a_zip(tmp_path: Path) -> None:
    assert len(find_images(write_photos(tmp_path / "photos.zip", 2))) == 2


def test_zips_in_a_folder_are_not_looked_into(tmp_path: Path, members: dict[str, bytes]) -> None:
    pack(tmp_path / "folder" / "more.zip", members)
    assert len(find_images(tmp_path / "folder")) == 12


def test_sheets_masks_and_samples_that_our_commands_leave_are_no_photos(tmp_path: Path) -> None:
    left = ["run/contact_sheet.png", "run/quality_offenders.png", "run/masks/00000/00000000.png", "a/contact_sheet.png",
            "models/samples/reals.png", "models/losses.png"]  # fmt: skip
    photos = ["masks/a.png", "run/images/00000/00000000.png", "samples/a.png"]
    for name in left + photos:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("run/run.json", "models/stats.jsonl"):
        (tmp_path / name).touch()
    with photos_in(tmp_path) as found:
        assert [photo.name for photo in found] == photos
    with photos_in(pack(tmp_path / "a.zip", {"a/contact_sheet.png": b"", "a/b.png": b""})) as found:
        assert [photo.name for photo in found] == ["a/b.png"]


@pytest.mark.parametrize("top", ["", "all/"])
@pytest.mark.parametrize("marks_last", [True, False])
def test_what_our_commands_leave_is_no_photo_in_a_zip_either(tmp_path: Path, top: str, marks_last: bool) -> None:
    left = ["masks/00000/00000000.png", "contact_sheet.png", "m/samples/reals.png", "m/losses.png"]
    photos = ["b/losses.png", "b/masks/a.png", "images/00000/00000000.png", "m/masks/a.png", "samples/a.png"]
    names = [*left, *photos, "run.json", "m/stats.jsonl"]
    packed = pack(tmp_path / "a.zip", {top + name: b"" for name in (names if marks_last else reversed(names))})
    with photos_in(packed) as found:
        assert [photo.name for photo in found] == [top + name for name in photos]
