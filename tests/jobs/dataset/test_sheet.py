"""The contact sheet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jobs.dataset.formats import Folders
from jobs.dataset.sheet import contact_sheet, image_of
from jobs.stores.local_store import LocalStore
from models.errors import CommandError, ExitCode
from models.pictures import grid
from tests.conftest import run_in_process
from tests.jobs.conftest import batch, decoded, succeeds


def write_images(folder: Path, count: int, mode: str = "L") -> list[str]:
    """`count` plain images of 10×6, each brighter than the one before."""
    for number in range(count):
        Image.new(mode, (10, 6), (number + 1,) * len(mode)).save(folder / f"{number}.png")
    return [f"{number}.png" for number in range(count)]


def inner_values(sheet: bytes) -> NDArray[np.uint8]:
    """The value in the middle of each place: rows of 8, at a pitch of 12×8 pixels."""
    return decoded(sheet)[3::8, 5::12, 0]


def test_images_are_placed_in_order_from_left_to_right_and_top_to_bottom(tmp_path: Path) -> None:
    values = inner_values(contact_sheet(LocalStore(tmp_path), Folders("."), write_images(tmp_path, 24)))
    np.testing.assert_array_equal(values, np.arange(1, 25).reshape(3, 8))


def test_last_row_may_be_short(tmp_path: Path) -> None:
    values = inner_values(contact_sheet(LocalStore(tmp_path), Folders("."), write_images(tmp_path, 11)))
    np.testing.assert_array_equal(values.ravel()[:11], np.arange(1, 12))
    assert (values.ravel()[11:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_brightness_and_mode_stay_and_a_grid_of_the_same_images_is_the_same(tmp_path: Path, mode: str) -> None:
    names = write_images(tmp_path, 9, mode)
    sheet = Image.open(io.BytesIO(contact_sheet(LocalStore(tmp_path), Folders("."), names)))
    assert sheet.mode == mode
    assert np.asarray(sheet)[:6, :10].max() == 1
    picture = grid(np.stack([decoded((tmp_path / name).read_bytes()) for name in names]))
    assert (picture.mode, picture.tobytes()) == (mode, sheet.tobytes())


def test_sheet_of_a_run_shows_64_images_spread_over_it(finished: Path) -> None:
    sheet = decoded((finished / "contact_sheet.png").read_bytes())
    shown = [sheet[y * 130 :, x * 130 :][:128, :128] for y in range(8) for x in range(8)]
    names = [f"images/{index // 100:05d}/{index:08d}.png" for index in (place * 130 // 64 for place in range(64))]
    for image, name in zip(shown, names, strict=True):
        np.testing.assert_array_equal(image, decoded((finished / name).read_bytes()))


def test_sheet_of_a_small_run_shows_all_of_it(model: Path, tmp_path: Path) -> None:
    succeeds(run_in_process(*batch(model, tmp_path / "run", 3)))
    assert decoded((tmp_path / "run" / "contact_sheet.png").read_bytes()).shape == (128, 8 * 130 - 2, 1)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "no image"])
def test_image_that_is_missing_or_damaged_is_named_with_what_to_do(damage: str, tmp_path: Path) -> None:
    (name,) = write_images(tmp_path, 1)
    content = (tmp_path / name).read_bytes()
    damaged = {"empty": b"", "cut off": content[:-30], "no image": b"GIF, but no more"}
    (tmp_path / name).unlink()
    if damage in damaged:
        (tmp_path / name).write_bytes(damaged[damage])
    with pytest.raises(CommandError, match=rf"{name} .*gan-batch verify {tmp_path} --repair") as error:
        image_of(LocalStore(tmp_path), Folders("."), name)
    assert error.value.exit_code is ExitCode.CHECK_FAILED
