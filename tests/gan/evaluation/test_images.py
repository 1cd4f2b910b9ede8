"""Folders of generated images: which are taken, how they are brought to one shape, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.evaluation.images import read_made
from models.errors import CommandError, ExitCode
from tests.gan.evaluation.made import write_plates


def refused(code: ExitCode, fake: Path, *words: str, channels: int | None = None, size: int | None = 32) -> None:
    with pytest.raises(CommandError) as caught:
        read_made(fake, 20, channels, size, "crop")
    assert caught.value.exit_code == code
    for word in words:
        assert word in str(caught.value)


def test_folder_gives_images_evenly_spaced_in_their_order(tmp_path: Path) -> None:
    found, notes = read_made(write_plates(tmp_path, 35), 10, None, 32, "crop")
    assert found.images.shape == (10, 1, 32, 32)
    assert found.images[:, 0, 5, 5].tolist() == [0, 3, 7, 10, 14, 17, 21, 24, 28, 31]
    assert found.names[:2] == ["00000/00000000.png", "00000/00000003.png"]
    assert notes == ()


def test_folder_with_fewer_images_gives_all(tmp_path: Path) -> None:
    found, _ = read_made(write_plates(tmp_path, 12), 1000, None, 32, "crop")
    assert found.images[:, 0, 0, 0].tolist() == list(range(12))


def test_colour_is_taken_from_the_files_unless_asked_otherwise(tmp_path: Path) -> None:
    write_plates(tmp_path, 12, mode="RGB")
    assert read_made(tmp_path, 20, None, 32, "crop")[0].images.shape == (12, 3, 32, 32)
    assert read_made(tmp_path, 20, 1, 32, "crop")[0].images.shape == (12, 1, 32, 32)


def test_larger_images_are_brought_to_the_size_with_a_note_and_smaller_ones_are_refused(tmp_path: Path) -> None:
    write_plates(tmp_path, 12, (48, 40))
    found, notes = read_made(tmp_path, 20, None, 32, "crop")
    assert found.images.shape == (12, 1, 32, 32)
    assert notes == ("the fakes are 48×40 and were brought to 32×32",)
    refused(ExitCode.BAD_DATA, tmp_path, "48×40", "image_size=40", size=None)


def test_images_of_several_sizes_are_brought_to_one_with_a_note(tmp_path: Path) -> None:
    write_plates(tmp_path, 12)
    Image.new("L", (64, 48), 200).save(tmp_path / "large.png")
    found, notes = read_made(tmp_path, 20, None, 32, "crop")
    assert found.images[:, 0, 0, 0].tolist() == [*range(12), 200]
    assert notes == ("the fakes are of 2 sizes, 32×32 to 64×48 and were brought to 32×32",)
    refused(ExitCode.BAD_DATA, tmp_path, "2 sizes, 32×32 to 64×48", "image_size=32", size=None)


def test_few_damaged_or_no_images_are_refused(tmp_path: Path) -> None:
    refused(ExitCode.BAD_DATA, write_plates(tmp_path / "few", 9), "9 images", "at least 10")
    (tmp_path / "empty").mkdir()
    refused(ExitCode.NO_INPUT, tmp_path / "empty", "no images")
    write_plates(tmp_path / "damaged", 12)
    (tmp_path / "damaged" / "zz.png").write_text("no image")
    refused(ExitCode.BAD_DATA, tmp_path / "damaged", "zz.png", "cannot be read")
    whole = (tmp_path / "damaged" / "00000" / "00000000.png").read_bytes()
    (tmp_path / "damaged" / "zz.png").write_bytes(whole[:-30])
    refused(ExitCode.BAD_DATA, tmp_path / "damaged", "zz.png")


def test_oblong_images_become_squares_as_photos_do(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(32, 0))
    for number in range(12):
        ramp.save(tmp_path / f"{number:02d}.png")
    rows = {fit: read_made(tmp_path, 20, None, 32, fit)[0].images[0, 0, 16].tolist() for fit in ("crop", "stretch")}
    assert rows["crop"][0] > 60 > rows["stretch"][0]


def test_rectangles_are_read_as_they_are(tmp_path: Path) -> None:
    write_plates(tmp_path, 12, (96, 64))
    found, notes = read_made(tmp_path, 20, None, "96x64", "crop")
    assert (found.images.shape, notes) == ((12, 1, 64, 96), ())
    _, notes = read_made(tmp_path, 20, None, "64x32", "crop")
    assert notes == ("the fakes are 96×64 and were brought to 64×32",)
    with pytest.raises(CommandError, match="add `image_size=64` or `image_size=96x64`"):
        read_made(tmp_path, 20, None, "64x96", "crop")


def test_sixteen_bit_images_are_gray_of_one_scale(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(np.full((32, 32), 257 * 20 * number, np.uint16)).save(tmp_path / f"{number:02d}.png")
    assert read_made(tmp_path, 20, None, 32, "crop")[0].images[:, 0, 0, 0].tolist() == list(range(0, 240, 20))
